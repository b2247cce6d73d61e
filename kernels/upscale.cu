// The kernels of the stages around inference. Each takes one struct by value (described in the
// header that its arithmetic is in) and keeps no state; none waits for another thread.
//
// Grid: threads along x take the spans of a row (16 pixels; `finish` 8, `gather` and `scatter`
// 16 bytes), threads along y its rows (fewer than there are do: each goes on with those that
// are left), layers along z the rectangles or regions. Threads too many do nothing. Rectangles
// are rounded outwards to whole spans, but for `compare_blocks` and `update_reference`, whose
// one rectangle is the frame.

#include "compare.h"
#include "finish.h"
#include "pack.h"
#include "region.h"
#include "unpack.h"

HD inline u32 column() { return blockIdx.x * blockDim.x + threadIdx.x; }

/// Calls `body(y)` for each row of a rectangle that is this thread's.
template <class Body>
HD inline void each_row(const Rect &rect, const Body &body) {
    const u32 first = blockIdx.y * blockDim.y + threadIdx.y, step = gridDim.y * blockDim.y;
    for (u32 y = first; y < rect.height; y += step) body(rect.y + y);
}

/// Calls `body(rect, x, y)` for each span of LENGTH pixels that is this thread's.
template <u32 LENGTH, class Body>
HD inline void each_span(const Rect *rects, const Body &body) {
    const Rect rect = rects[blockIdx.z];
    const u32 x = (rect.x / LENGTH + column()) * LENGTH;
    if (x < rect.right())
        each_row(rect, [&](u32 y) { body(rect, x, y); });
}

template <u32 LENGTH, class Args>
HD inline void each_run(const Args &args) {
    each_span<LENGTH>(args.rects, [&](const Rect &rect, u32 x, u32 y) { run(args, rect, x, y); });
}

/// Calls `body(part, y)` for each 16 bytes of a rectangle that are this thread's.
template <class T, class Body>
HD inline void each_sixteen(const Rect &rect, const Body &body) {
    constexpr u32 COUNT = Sixteen<T>::COUNT;
    const u32 x = (rect.x / COUNT + column()) * COUNT;
    if (x >= rect.right())
        return;
    const Sixteen<T> part{x, most(rect.x, x) - x, least(rect.right() - x, COUNT)};
    each_row(rect, [&](u32 y) { body(part, y); });
}

template <class T>
HD inline void gather_item(const Gather<T> &args) {
    const u32 item = blockIdx.z;
    const Region region = args.regions[item];
    each_sixteen<T>(Rect{0, 0, args.width, args.height}, [&](const Sixteen<T> &part, u32 y) {
        gather(args, region, item, part, y);
    });
}

template <class T>
HD inline void scatter_item(const Scatter<T> &args) {
    const u32 item = blockIdx.z, factor = args.factor;
    const Region region = args.regions[item];
    const Rect at = region.compute;
    const Rect to{at.x * factor, at.y * factor, at.width * factor, at.height * factor};
    each_sixteen<T>(
        to, [&](const Sixteen<T> &part, u32 y) { scatter(args, region, item, part, y); });
}

extern "C" {

__global__ void unpack_f32(const Unpack<float> args) { each_run<SPAN>(args); }
__global__ void unpack_f16(const Unpack<Half> args) { each_run<SPAN>(args); }

__global__ void compare_blocks(const Compare args) {
    each_span<SPAN>(args.rects, [&](const Rect &rect, u32 x, u32 y) {
        compare(args, rect, x, y);
    });
}

__global__ void update_reference(const Compare args) {
    each_span<SPAN>(args.rects, [&](const Rect &rect, u32 x, u32 y) {
        update(args, rect, x, y);
    });
}

__global__ void gather_f32(const Gather<float> args) { gather_item(args); }
__global__ void gather_f16(const Gather<Half> args) { gather_item(args); }

__global__ void scatter_f32(const Scatter<float> args) { scatter_item(args); }
__global__ void scatter_f16(const Scatter<Half> args) { scatter_item(args); }

__global__ void finish_f32(const Finish<float> args) { each_run<FINISHED>(args); }
__global__ void finish_f16(const Finish<Half> args) { each_run<FINISHED>(args); }

__global__ void pack_f32(const Pack<float> args) { each_run<SPAN>(args); }
__global__ void pack_f16(const Pack<Half> args) { each_run<SPAN>(args); }
}

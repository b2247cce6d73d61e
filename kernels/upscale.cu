// The kernels of the stages around inference. Each takes one struct by value, which is documented
// in the header of its arithmetic. Kernels keep no state. Threads wait only for those of their
// warp, which share memory in `unpack`, `finish` and `pack` (resample.h).
//
// Grid: threads along x, 32 in a block, process the spans of a row (16 pixels; `finish` 4 pixels,
// `gather` and `scatter` 16 bytes), threads along y the rows (`finish` 4 rows; there may be fewer
// threads than rows: each continues with the next rows that are left), and layers along z the
// rectangles or regions. Excess threads do nothing. Rectangles are rounded outwards to whole spans,
// except for `compare_blocks` and `update_reference`, whose only rectangle is the frame.

#include "compare.h"
#include "finish.h"
#include "pack.h"
#include "region.h"
#include "unpack.h"

HD inline u32 column() { return blockIdx.x * blockDim.x + threadIdx.x; }

/// Calls `body(y)` for each of this thread's groups of ROWS rows of a rectangle.
template <u32 ROWS = 1, class Body>
HD inline void each_row(const Rect &rect, const Body &body) {
    const u32 first = blockIdx.y * blockDim.y + threadIdx.y, step = gridDim.y * blockDim.y;
    for (u32 y = first * ROWS; y < rect.height; y += step * ROWS) body(rect.y + y);
}

/// Calls `body(rect, x, y)` for each of this thread's spans of LENGTH pixels.
template <u32 LENGTH, class Body>
HD inline void each_span(const Rect *rects, const Body &body) {
    const Rect rect = rects[blockIdx.z];
    const u32 x = (rect.x / LENGTH + column()) * LENGTH;
    if (x < rect.right())
        each_row(rect, [&](u32 y) { body(rect, x, y); });
}

/// Runs a stage for each of this warp's rows, LENGTH pixels for each thread. Its threads stay
/// together, and share `strip`.
template <u32 LENGTH, u32 ROWS = 1, class Args, class Strip>
HD inline void each_run(const Args &args, Strip &strip) {
    const Rect rect = args.rects[blockIdx.z];
    const u32 left = (rect.x / LENGTH + blockIdx.x * LANES) * LENGTH;
    if (left < rect.right())
        each_row<ROWS>(rect, [&](u32 y) { run(args, rect, left, y, strip); });
}

/// Calls `body(part, y)` for each of this thread's chunks of a rectangle.
template <class T, class Body>
HD inline void each_chunk(const Rect &rect, const Body &body) {
    constexpr u32 COUNT = Chunk<T>::COUNT;
    const u32 x = (rect.x / COUNT + column()) * COUNT;
    if (x >= rect.right())
        return;
    const Chunk<T> part{x, maximum(rect.x, x) - x, minimum(rect.right() - x, COUNT)};
    each_row(rect, [&](u32 y) { body(part, y); });
}

template <class T>
HD inline void gather_item(const Gather<T> &args) {
    const u32 item = blockIdx.z;
    const Region region = args.regions[item];
    each_chunk<T>(Rect{0, 0, args.width, args.height}, [&](const Chunk<T> &part, u32 y) {
        gather(args, region, item, part, y);
    });
}

template <class T>
HD inline void scatter_item(const Scatter<T> &args) {
    const u32 item = blockIdx.z, factor = args.factor;
    const Region region = args.regions[item];
    const Rect at = region.compute;
    const Rect to{at.x * factor, at.y * factor, at.width * factor, at.height * factor};
    each_chunk<T>(
        to, [&](const Chunk<T> &part, u32 y) { scatter(args, region, item, part, y); });
}

extern "C" {

__global__ void RESIDENT(4) unpack_f32(const Unpack<float> args) {
    __shared__ ChromaStrip strips[WARPS];
    each_run<SPAN>(args, strips[threadIdx.y]);
}

__global__ void RESIDENT(4) unpack_f16(const Unpack<Half> args) {
    __shared__ ChromaStrip strips[WARPS];
    each_run<SPAN>(args, strips[threadIdx.y]);
}

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

__global__ void RESIDENT(3) finish_f32(const Finish<float> args) {
    __shared__ FinishStrip strips[WARPS];
    each_run<OUTPUTS, FINISHED_ROWS>(args, strips[threadIdx.y]);
}

__global__ void RESIDENT(3) finish_f16(const Finish<Half> args) {
    __shared__ FinishStrip strips[WARPS];
    each_run<OUTPUTS, FINISHED_ROWS>(args, strips[threadIdx.y]);
}

__global__ void pack_f32(const Pack<float> args) {
    __shared__ ChromaStrip strips[WARPS];
    each_run<SPAN>(args, strips[threadIdx.y]);
}

__global__ void pack_f16(const Pack<Half> args) {
    __shared__ ChromaStrip strips[WARPS];
    each_run<SPAN>(args, strips[threadIdx.y]);
}
}

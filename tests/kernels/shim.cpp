// The kernels for a C++ compiler. They run on the CPU, one thread after the other.

struct Dim {
    unsigned x, y, z;
};

static thread_local Dim blockIdx, threadIdx, blockDim, gridDim;

#include "upscale.cu"

template <class Args>
static bool launch(void (*kernel)(Args), const void *args, u32 size, Dim grid, Dim block) {
    if (size != sizeof(Args))
        return false;
    gridDim = grid;
    blockDim = block;
    for (u32 i = 0; i < grid.x * grid.y * grid.z; i++) {
        blockIdx = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        for (u32 k = 0; k < block.x * block.y; k++) {
            threadIdx = {k % block.x, k / block.x, 0};
            kernel(*(const Args *)args);
        }
    }
    return true;
}

#define LAUNCH(name)                                                                              \
    extern "C" bool launch_##name(const void *args, u32 size, Dim grid, Dim block) {              \
        return launch(name, args, size, grid, block);                                             \
    }

LAUNCH(unpack_f32)
LAUNCH(unpack_f16)
LAUNCH(compare_blocks)
LAUNCH(update_reference)
LAUNCH(gather_f32)
LAUNCH(gather_f16)
LAUNCH(scatter_f32)
LAUNCH(scatter_f16)
LAUNCH(finish_f32)
LAUNCH(finish_f16)
LAUNCH(pack_f32)
LAUNCH(pack_f16)

extern "C" u32 half_of(float value) { return to_half(value).bits; }
extern "C" float float_of_half(u32 bits) { return to_float(Half{(u16)bits}); }

// The differences between NVRTC, which compiles for the GPU, and a C++ compiler, which the tests
// use.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/// An IEEE 754 binary16 number. Only storage uses it: all arithmetic is in float.
struct Half {
    u16 bits;
};

#ifdef __CUDACC_RTC__

#define HD __device__
#define UNROLL _Pragma("unroll")
/// The compiler would repeat the bodies of these loops, for more registers than it is worth.
#define ROLLED _Pragma("unroll 1")
/// Limits registers so that this number of blocks of 128 threads fits into a multiprocessor: 168
/// registers for 3, 128 for 4.
#define RESIDENT(blocks) __launch_bounds__(128, blocks)

HD inline u32 bits_of(float value) { return __float_as_uint(value); }
HD inline float float_of(u32 bits) { return __uint_as_float(bits); }

HD inline float to_float(Half half) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half.bits));
    return value;
}

/// Rounds to nearest, ties to even.
HD inline Half to_half(float value) {
    Half half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half.bits) : "f"(value));
    return half;
}

HD inline void atomic_or(u32 *word, u32 bits) { atomicOr(word, bits); }

HD inline void sync_warp() { __syncwarp(); }

#else

#define HD
#define UNROLL
#define ROLLED
#define RESIDENT(blocks)
#define __global__
#define __shared__ static thread_local

HD inline u32 bits_of(float value) {
    u32 bits;
    __builtin_memcpy(&bits, &value, 4);
    return bits;
}

HD inline float float_of(u32 bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}

HD inline float to_float(Half half) {
    const u32 sign = (half.bits & 0x8000u) << 16, rest = half.bits & 0x7FFFu;
    if (rest >= 0x7C00u)
        return float_of(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
    // The factor 2^112 corrects the exponent's bias, also of subnormal numbers.
    return float_of(sign | bits_of(float_of(rest << 13) * float_of(239u << 23)));
}

/// Rounds to nearest, ties to even.
HD inline Half to_half(float value) {
    const u32 bits = bits_of(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7FFFFFFFu;
    u32 half;
    if (rest > 0x7F800000u)
        return Half{0x7FFF};  // The GPU has only this NaN.
    else if (rest >= 0x47800000u)
        half = 0x7C00u;
    else if (rest < 0x38800000u)
        // Adding 0.5 leaves multiples of 2^-24, the smallest subnormal, in the low bits.
        half = bits_of(float_of(rest) + 0.5f) - 0x3F000000u;
    else
        half = (rest + 0xFFFu + (rest >> 13 & 1u) - 0x38000000u) >> 13;
    return Half{(u16)(sign | half)};
}

HD inline void atomic_or(u32 *word, u32 bits) { *word |= bits; }

/// Waits until all threads of the warp call it. What they wrote to shared memory can then be read.
void sync_warp();

#endif

/// Threads of a warp, which are the threads along x of a block.
enum : u32 { LANES = 32 };
/// The most threads along y of a block.
enum : u32 { WARPS = 4 };

HD inline float to_float(float value) { return value; }

HD inline void assign(float &to, float value) { to = value; }
HD inline void assign(Half &to, float value) { to = to_half(value); }

HD inline u32 minimum(u32 a, u32 b) { return a < b ? a : b; }
HD inline u32 maximum(u32 a, u32 b) { return a > b ? a : b; }

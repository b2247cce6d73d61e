// Film grain, as in src/frame/grain.rs.
#pragma once

#include "span.h"

/// The grain of a frame.
struct Grain {
    /// 256 × 256 floats of mean 0 and standard deviation 1.
    const float *noise;
    /// Derived from the frame's number.
    u64 seed;
    /// Standard deviation at mid-grey of SDR; 0 for no grain.
    float strength;
    /// How the grain depends on luma: 1 ÷ the luma from which on there is none, and the factors of a
    /// polynomial, the lowest power first.
    float inverse_white;
    float factors[4];
};

/// A pseudo-random number: the finalizer of SplitMix64.
HD inline u64 mix(u64 value) {
    value += 0x9E3779B97F4A7C15ull;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ value >> 27) * 0x94D049BB133111EBull;
    return value ^ value >> 31;
}

/// Unweighted grain of COUNT pixels from (`x`, `y`) on, all in the same block of 32 × 32.
template <int COUNT>
HD inline void grain_of(const Grain &grain, u32 x, u32 y, float (&out)[COUNT]) {
    constexpr u32 TILE = 256, BLOCK = 32;
    static_assert(BLOCK % COUNT == 0, "a span lies in one block");
    const u64 place = mix(grain.seed ^ mix((u64)(y / BLOCK) << 32 | x / BLOCK));
    const u32 left = (u32)(place % (TILE - BLOCK)) + x % BLOCK;
    const u32 top = (u32)((place >> 32) % (TILE - BLOCK)) + y % BLOCK;
    const float *noise = grain.noise + top * TILE + left;
    UNROLL for (int i = 0; i < COUNT; i++) out[i] = noise[i] * grain.strength;
}

/// Weight of the grain at this luma: 0 at black and white.
HD inline float grain_weight(const Grain &grain, float luma) {
    float x = luma * grain.inverse_white;
    x = x < 0.0f ? 0.0f : x;
    x = x > 1.0f ? 1.0f : x;
    const float *const f = grain.factors;
    return x * (1.0f - x) * (f[0] + x * (f[1] + x * (f[2] + x * f[3])));
}

/// Adds grain to Y′ or R′G′B′.
template <int CHANNELS, int COUNT>
HD inline void add_grain(const Grain &grain, u32 x, u32 y, float (&picture)[CHANNELS][COUNT]) {
    float noise[COUNT];
    grain_of(grain, x, y, noise);
    UNROLL for (int i = 0; i < COUNT; i++) {
        if (CHANNELS < 3) {
            UNROLL for (int c = 0; c < CHANNELS; c++)
                picture[c][i] += noise[i] * grain_weight(grain, picture[c][i]);
            continue;
        }
        const float luma = 0.299f * picture[0][i] + 0.587f * picture[CHANNELS / 2][i] +
                           0.114f * picture[CHANNELS - 1][i];
        const float here = noise[i] * grain_weight(grain, luma);
        UNROLL for (int c = 0; c < CHANNELS; c++) picture[c][i] += here;
    }
}

// Code values to float and back, as in src/frame/samples.rs.
#pragma once

#include "memory.h"

/// The code values of a component: value = (code − zero) · step.
struct Codes {
    float zero, step;
    /// Codes per 1.0.
    float scale;
    /// The highest code.
    float max;
};

HD inline float value_of(u32 code, const Codes &codes) {
    return ((float)code - codes.zero) * codes.step;
}

/// The nearest code, clamped to the valid ones. The comparisons turn NaN into 0. Adding 2^23
/// rounds ties to even and leaves the code in the low bits.
HD inline u32 code_of(float value, const Codes &codes) {
    float code = value * codes.scale + codes.zero;
    code = code > 0.0f ? code : 0.0f;
    code = code < codes.max ? code : codes.max;
    return bits_of(code + 8388608.0f) & 0xFFFFu;
}

/// A sample of 1 or 2 bytes, little-endian.
HD inline u32 read_sample(const u8 *row, u32 index, u32 bytes) {
    return bytes == 1 ? row[index] : ((const u16 *)row)[index];
}

/// The position of sample `offset` of group `i` in words that hold groups of STEP samples.
template <int BYTES, int STEP>
struct Place {
    int word;
    /// Whether a group can extend into the next word.
    bool wide;
    u32 shift;

    HD Place(int i, u32 offset)
        : word(i * STEP * BYTES / 4), wide(i * STEP * BYTES % 4 + STEP * BYTES > 4),
          shift(8 * (i * STEP * BYTES % 4 + BYTES * offset)) {}
};

template <int BYTES, int STEP, int WORDS>
HD inline u32 sample_of(const u32 (&words)[WORDS], int i, u32 offset) {
    const Place<BYTES, STEP> place(i, offset);
    const u32 mask = (1u << (8 * BYTES)) - 1;
    if (!place.wide)
        return words[place.word] >> place.shift & mask;
    const u64 pair = words[place.word] | (u64)words[place.word + 1] << 32;
    return (u32)(pair >> place.shift) & mask;
}

/// Sets a sample whose bits are all 1 so far.
template <int BYTES, int STEP, int WORDS>
HD inline void set_sample(u32 (&words)[WORDS], int i, u32 offset, u32 sample) {
    const Place<BYTES, STEP> place(i, offset);
    const u32 zeros = sample ^ ((1u << (8 * BYTES)) - 1);
    if (!place.wide) {
        words[place.word] ^= zeros << place.shift;
        return;
    }
    const u64 pair = (u64)zeros << place.shift;
    words[place.word] ^= (u32)pair;
    words[place.word + 1] ^= (u32)(pair >> 32);
}

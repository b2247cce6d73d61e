// Planar float pictures, as in src/frame/image.rs.
#pragma once

#include "memory.h"

/// Channel after channel, row after row, in float or Half.
template <class T>
struct Picture {
    /// Null if there is no picture.
    T *data;
    /// Samples from channel to channel, and from row to row.
    u64 channel_stride;
    u32 stride;
    u32 unused;

    HD T *row(u32 channel, u32 y) const {
        return data + channel * channel_stride + (u64)y * stride;
    }
};

HD inline float unpack_word(const u32 *words, int i, float) { return float_of(words[i]); }

HD inline float unpack_word(const u32 *words, int i, Half) {
    return to_float(Half{(u16)(words[i / 2] >> (i % 2 * 16))});
}

HD inline void pack_word(u32 *words, int i, float value, float) { words[i] = bits_of(value); }

HD inline void pack_word(u32 *words, int i, float value, Half) {
    const u32 bits = to_half(value).bits;
    words[i / 2] = i % 2 == 0 ? bits : words[i / 2] | bits << 16;
}

/// COUNT samples from an aligned address.
template <class T, int COUNT>
HD inline void read_row(const T *from, float (&out)[COUNT]) {
    u32 words[COUNT * sizeof(T) / 4];
    load(from, words);
    UNROLL for (int i = 0; i < COUNT; i++) out[i] = unpack_word(words, i, T());
}

template <class T, int COUNT>
HD inline void write_row(T *to, const float (&values)[COUNT]) {
    u32 words[COUNT * sizeof(T) / 4];
    UNROLL for (int i = 0; i < COUNT; i++) pack_word(words, i, values[i], T());
    store(to, words);
}

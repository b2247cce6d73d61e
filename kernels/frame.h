// Frames in memory, as in src/frame/format.rs and src/frame/info.rs.
#pragma once

#include "colour.h"
#include "samples.h"
#include "span.h"

/// One component of a frame.
struct Component {
    /// The first byte of its plane. The address and the stride are multiples of 16.
    u8 *data;
    /// Bytes from row to row.
    u32 stride;
    /// Samples before the first of this component in a row, and from one of them to the next.
    u32 offset, step;
    /// log₂ of the pixel columns and rows per sample.
    u32 shift_x, shift_y;
    u32 unused;
    Codes codes;

    HD u8 *row(u32 y) const { return data + (u64)y * stride; }
};

enum Family : u32 { YUV = 0, RGB = 1, GRAY = 2 };

/// A frame: its format, and where it lies in memory.
struct Frame {
    /// Y′, Cb, Cr or R′, G′, B′ or Y′, then alpha if the format has it.
    Component component[4];
    Matrix matrix;
    Family family;
    u32 width, height;
    /// Bytes of a sample, 1 or 2, and its unused low bits.
    u32 bytes, low_bits;
    u32 components;
    u32 unused;
};

/// Reads the codes of the components FIRST to END (exclusive) for COUNT pixels or chroma samples
/// from `x` on. The components share a plane whose groups have STEP samples of BYTES bytes.
template <int BYTES, int STEP, int FIRST, int END, int COUNT>
HD inline void read_groups(const Frame &frame, u32 x, u32 y, u32 (&codes)[END - FIRST][COUNT]) {
    u32 words[COUNT * STEP * BYTES / 4];
    load(frame.component[FIRST].row(y) + (u64)x * (STEP * BYTES), words);
    UNROLL for (int c = FIRST; c < END; c++)
        UNROLL for (int i = 0; i < COUNT; i++)
            codes[c - FIRST][i] =
                sample_of<BYTES, STEP>(words, i, frame.component[c].offset) >> frame.low_bits;
}

/// Writes what `read_groups` reads. Samples of no component become 0xFF.
template <int BYTES, int STEP, int FIRST, int END, int COUNT>
HD inline void write_groups(const Frame &frame, u32 x, u32 y,
                            const u32 (&codes)[END - FIRST][COUNT]) {
    constexpr int WORDS = COUNT * STEP * BYTES / 4;
    u32 words[WORDS];
    UNROLL for (int i = 0; i < WORDS; i++) words[i] = 0xFFFFFFFFu;
    UNROLL for (int c = FIRST; c < END; c++)
        if (c < frame.components)
            UNROLL for (int i = 0; i < COUNT; i++)
                set_sample<BYTES, STEP>(words, i, frame.component[c].offset,
                                        codes[c - FIRST][i] << frame.low_bits);
    store(frame.component[FIRST].row(y) + (u64)x * (STEP * BYTES), words);
}

template <int COUNT>
HD inline void values_of(const Frame &frame, int c, const u32 (&codes)[COUNT],
                         float (&values)[COUNT]) {
    UNROLL for (int i = 0; i < COUNT; i++)
        values[i] = value_of(codes[i], frame.component[c].codes);
}

template <int COUNT>
HD inline void codes_of(const Frame &frame, int c, const float (&values)[COUNT],
                        u32 (&codes)[COUNT]) {
    UNROLL for (int i = 0; i < COUNT; i++)
        codes[i] = code_of(values[i], frame.component[c].codes);
}

/// Codes of component C, which has a plane of its own.
template <int C, int COUNT>
HD inline void read_codes(const Frame &frame, u32 x, u32 y, u32 (&codes)[1][COUNT]) {
    if (frame.bytes == 1)
        read_groups<1, 1, C, C + 1>(frame, x, y, codes);
    else
        read_groups<2, 1, C, C + 1>(frame, x, y, codes);
}

template <int C, int COUNT>
HD inline void write_codes(const Frame &frame, u32 x, u32 y, const u32 (&codes)[1][COUNT]) {
    if (frame.bytes == 1)
        write_groups<1, 1, C, C + 1>(frame, x, y, codes);
    else
        write_groups<2, 1, C, C + 1>(frame, x, y, codes);
}

/// Values of component C, which has a plane of its own.
template <int C, int COUNT>
HD inline void read_plane(const Frame &frame, u32 x, u32 y, float (&values)[COUNT]) {
    u32 codes[1][COUNT];
    read_codes<C>(frame, x, y, codes);
    values_of(frame, C, codes[0], values);
}

template <int C, int COUNT>
HD inline void write_plane(const Frame &frame, u32 x, u32 y, const float (&values)[COUNT]) {
    u32 codes[1][COUNT];
    codes_of(frame, C, values, codes[0]);
    write_codes<C>(frame, x, y, codes);
}

/// Cb and Cr on the chroma grid, from two planes or from one plane of pairs.
template <int COUNT>
HD inline void read_chroma(const Frame &frame, u32 x, u32 y, float (&values)[2][COUNT]) {
    if (frame.component[1].step == 1) {
        read_plane<1>(frame, x, y, values[0]);
        read_plane<2>(frame, x, y, values[1]);
        return;
    }
    u32 codes[2][COUNT];
    if (frame.bytes == 1)
        read_groups<1, 2, 1, 3>(frame, x, y, codes);
    else
        read_groups<2, 2, 1, 3>(frame, x, y, codes);
    values_of(frame, 1, codes[0], values[0]);
    values_of(frame, 2, codes[1], values[1]);
}

template <int COUNT>
HD inline void write_chroma(const Frame &frame, u32 x, u32 y, const float (&values)[2][COUNT]) {
    if (frame.component[1].step == 1) {
        write_plane<1>(frame, x, y, values[0]);
        write_plane<2>(frame, x, y, values[1]);
        return;
    }
    u32 codes[2][COUNT];
    codes_of(frame, 1, values[0], codes[0]);
    codes_of(frame, 2, values[1], codes[1]);
    if (frame.bytes == 1)
        write_groups<1, 2, 1, 3>(frame, x, y, codes);
    else
        write_groups<2, 2, 1, 3>(frame, x, y, codes);
}

/// R′, G′, B′ and alpha of an RGB format: three or four bytes or four 16-bit words per pixel, or
/// planes. The last row is unspecified in formats without alpha.
HD inline void read_rgba(const Frame &frame, u32 x, u32 y, float (&values)[4][SPAN]) {
    const u32 step = frame.component[0].step;
    if (step == 1) {
        read_plane<0>(frame, x, y, values[0]);
        read_plane<1>(frame, x, y, values[1]);
        read_plane<2>(frame, x, y, values[2]);
        if (frame.components == 4)
            read_plane<3>(frame, x, y, values[3]);
        return;
    }
    u32 codes[4][SPAN];
    if (frame.bytes == 2)
        read_groups<2, 4, 0, 4>(frame, x, y, codes);
    else if (step == 4)
        read_groups<1, 4, 0, 4>(frame, x, y, codes);
    else
        read_groups<1, 3, 0, 4>(frame, x, y, codes);
    UNROLL for (int c = 0; c < 4; c++) values_of(frame, c, codes[c], values[c]);
}

HD inline void write_rgba(const Frame &frame, u32 x, u32 y, const float (&values)[4][SPAN]) {
    const u32 step = frame.component[0].step;
    if (step == 1) {
        write_plane<0>(frame, x, y, values[0]);
        write_plane<1>(frame, x, y, values[1]);
        write_plane<2>(frame, x, y, values[2]);
        if (frame.components == 4)
            write_plane<3>(frame, x, y, values[3]);
        return;
    }
    u32 codes[4][SPAN];
    UNROLL for (int c = 0; c < 4; c++) codes_of(frame, c, values[c], codes[c]);
    if (frame.bytes == 2)
        write_groups<2, 4, 0, 4>(frame, x, y, codes);
    else if (step == 4)
        write_groups<1, 4, 0, 4>(frame, x, y, codes);
    else
        write_groups<1, 3, 0, 4>(frame, x, y, codes);
}

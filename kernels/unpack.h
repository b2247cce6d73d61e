// Frames to pictures, as in src/frame/unpack.rs.
#pragma once

#include "frame.h"
#include "picture.h"
#include "resample.h"

/// Arguments of `unpack`. Pictures have the size of the frame, or of its chroma grid.
template <class T>
struct Unpack {
    Frame frame;
    /// R′G′B′ or Y′, nominally 0..1.
    Picture<T> model;
    /// The bypass planes, or null: Cb and Cr, −0.5..0.5, and alpha, 0..1. Always in float, since
    /// the model does not read them.
    Picture<float> chroma, alpha;
    /// From the chroma grid to the pixels, by the Catmull-Rom cubic. Used only from subsampled
    /// YUV to R′G′B′.
    Filter horizontal, vertical;
    /// The pixels to unpack; one per layer of the grid.
    const Rect *rects;
    /// Channels of the model picture: 1 or 3.
    u32 channels;
    u32 unused;

    /// Whether R′G′B′ is interpolated from subsampled chroma.
    HD bool is_interpolated() const {
        const Component &chroma = frame.component[1];
        return frame.family == YUV && channels == 3 && chroma.shift_x + chroma.shift_y > 0;
    }
};

/// Chroma samples, for interpolation.
struct ChromaSource {
    const Frame &frame;

    HD void operator()(u32 x, u32 y, float (&values)[2][4]) const {
        read_chroma(frame, x, y, values);
    }
};

/// Shared memory of one warp, to resample chroma.
using ChromaStrip = Strip<2, 1, 1>;

/// `COUNT` pixels of Y′CbCr to R′G′B′.
template <class T, int COUNT>
HD inline void unpack_rgb_of(const Unpack<T> &args, u32 x, u32 y, const float (&luma)[COUNT],
                             const float (&chroma)[2][COUNT]) {
    float rgb[3][COUNT];
    UNROLL for (int i = 0; i < COUNT; i++)
        rgb_of(args.frame.matrix, luma[i], chroma[0][i], chroma[1][i], rgb[0][i], rgb[1][i],
               rgb[2][i]);
    UNROLL for (int c = 0; c < 3; c++) write_row(args.model.row(c, y) + x, rgb[c]);
}

/// The pixels of a warp from subsampled YUV to R′G′B′, LANES · OUTPUTS at a time.
template <class T>
HD inline void unpack_subsampled(const Unpack<T> &args, const Rect &rect, u32 left, u32 y,
                                 ChromaStrip &strip) {
    const u32 end = minimum(left + LANES * SPAN, rect.right());
    for (; left < end; left += LANES * OUTPUTS) {
        float chroma[1][2][OUTPUTS], luma[OUTPUTS];
        resample(ChromaSource{args.frame}, args.horizontal, args.vertical, left, y, strip, chroma);
        const u32 x = left + OUTPUTS * threadIdx.x;
        if (x >= end)
            continue;
        read_plane<0>(args.frame, x, y, luma);
        unpack_rgb_of(args, x, y, luma, chroma[0]);
    }
}

/// COUNT chroma samples to the bypass planes.
template <int COUNT>
HD inline void unpack_chroma(const Frame &frame, const Picture<float> &to, u32 x, u32 y) {
    float chroma[2][COUNT];
    read_chroma(frame, x, y, chroma);
    write_row(to.row(0, y) + x, chroma[0]);
    write_row(to.row(1, y) + x, chroma[1]);
}

template <class T>
HD inline void unpack_yuv(const Unpack<T> &args, const Rect &rect, u32 x, u32 y) {
    const Frame &frame = args.frame;
    const u32 shift_x = frame.component[1].shift_x, shift_y = frame.component[1].shift_y;
    if (args.alpha.data) {
        float alpha[SPAN];
        read_plane<3>(frame, x, y, alpha);
        write_row(args.alpha.row(0, y) + x, alpha);
    }
    if (args.is_interpolated())
        return;
    float luma[SPAN];
    read_plane<0>(frame, x, y, luma);
    if (args.channels == 3) {
        float chroma[2][SPAN];
        read_chroma(frame, x, y, chroma);
        unpack_rgb_of(args, x, y, luma, chroma);
        return;
    }
    write_row(args.model.row(0, y) + x, luma);
    if (!args.chroma.data || !begins_row(rect, y, shift_y))
        return;
    if (shift_x == 0)
        unpack_chroma<SPAN>(frame, args.chroma, x, y >> shift_y);
    else
        unpack_chroma<SPAN / 2>(frame, args.chroma, x >> 1, y >> shift_y);
}

template <class T>
HD inline void unpack_rgb(const Unpack<T> &args, u32 x, u32 y) {
    const Matrix &matrix = args.frame.matrix;
    float rgba[4][SPAN];
    read_rgba(args.frame, x, y, rgba);
    if (args.channels == 3) {
        UNROLL for (int c = 0; c < 3; c++) write_row(args.model.row(c, y) + x, rgba[c]);
    } else {
        float luma[SPAN], cb[SPAN], cr[SPAN];
        UNROLL for (int i = 0; i < SPAN; i++) {
            luma[i] = luma_of(matrix, rgba[0][i], rgba[1][i], rgba[2][i]);
            chroma_of(matrix, rgba[0][i], rgba[1][i], rgba[2][i], cb[i], cr[i]);
        }
        write_row(args.model.row(0, y) + x, luma);
        if (args.chroma.data) {
            write_row(args.chroma.row(0, y) + x, cb);
            write_row(args.chroma.row(1, y) + x, cr);
        }
    }
    if (args.alpha.data)
        write_row(args.alpha.row(0, y) + x, rgba[3]);
}

template <class T>
HD inline void unpack_gray(const Unpack<T> &args, u32 x, u32 y) {
    float luma[SPAN];
    read_plane<0>(args.frame, x, y, luma);
    for (u32 c = 0; c < args.channels; c++) write_row(args.model.row(c, y) + x, luma);
}

/// The pixels of `rect` among those of a warp, SPAN for each thread from `left` on, of row `y`.
template <class T>
HD inline void run(const Unpack<T> &args, const Rect &rect, u32 left, u32 y, ChromaStrip &strip) {
    if (args.is_interpolated())
        unpack_subsampled(args, rect, left, y, strip);
    const u32 x = left + SPAN * threadIdx.x;
    if (x >= rect.right())
        return;
    if (args.frame.family == YUV)
        unpack_yuv(args, rect, x, y);
    else if (args.frame.family == RGB)
        unpack_rgb(args, x, y);
    else
        unpack_gray(args, x, y);
}

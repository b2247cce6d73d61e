// Pictures to frames, as in src/frame/pack.rs.
#pragma once

#include "frame.h"
#include "picture.h"
#include "resample.h"

/// Arguments of `pack`. Pictures have the size of the frame, or of its chroma grid.
template <class T>
struct Pack {
    Frame frame;
    /// R′G′B′ or Y′, nominally 0..1; other values are clamped.
    Picture<T> model;
    /// The enlarged bypass planes, or null: Cb and Cr, −0.5..0.5, and alpha, 0..1.
    Picture<float> chroma, alpha;
    /// From the pixels to the chroma grid, by the Catmull-Rom cubic. Used only from R′G′B′ to
    /// subsampled YUV.
    Filter horizontal, vertical;
    /// The pixels to pack; one per layer of the grid. Chroma samples that they share with other
    /// pixels are written too.
    const Rect *rects;
    /// Channels of the model picture: 1 or 3.
    u32 channels;
    u32 unused;

    /// Whether chroma is downsampled from R′G′B′.
    HD bool is_downsampled() const {
        const Component &chroma = frame.component[1];
        return frame.family == YUV && channels == 3 && chroma.shift_x + chroma.shift_y > 0;
    }
};

/// Chroma of pixels, the input of its downsampling.
template <class T>
struct PixelChroma {
    const Pack<T> &args;

    HD void operator()(u32 x, u32 y, float (&values)[2][4]) const {
        float rgb[3][4];
        UNROLL for (int c = 0; c < 3; c++) read_row(args.model.row(c, y) + x, rgb[c]);
        UNROLL for (int i = 0; i < 4; i++)
            chroma_of(args.frame.matrix, rgb[0][i], rgb[1][i], rgb[2][i], values[0][i],
                      values[1][i]);
    }
};

/// The chroma samples of a warp, LANES · OUTPUTS at a time.
template <class T>
HD inline void pack_downsampled(const Pack<T> &args, const Rect &rect, u32 left, u32 y,
                                Strip<2, 1, 1> &strip) {
    const u32 end = (minimum(left + LANES * SPAN, rect.right()) + 1) / 2;
    for (left /= 2; left < end; left += LANES * OUTPUTS) {
        float chroma[1][2][OUTPUTS];
        resample(PixelChroma<T>{args}, args.horizontal, args.vertical, left, y, strip, chroma);
        const u32 x = left + OUTPUTS * threadIdx.x;
        if (x < end)
            write_chroma(args.frame, x, y, chroma[0]);
    }
}

/// COUNT chroma samples of the bypass planes.
template <int COUNT, class T>
HD inline void pack_chroma(const Pack<T> &args, u32 x, u32 y) {
    float chroma[2][COUNT];
    read_row(args.chroma.row(0, y) + x, chroma[0]);
    read_row(args.chroma.row(1, y) + x, chroma[1]);
    write_chroma(args.frame, x, y, chroma);
}

/// Luma and chroma of every pixel.
template <class T>
HD inline void read_ycc(const Pack<T> &args, u32 x, u32 y, float (&luma)[SPAN],
                        float (&chroma)[2][SPAN]) {
    const Matrix &matrix = args.frame.matrix;
    float rgb[3][SPAN];
    UNROLL for (int c = 0; c < 3; c++) read_row(args.model.row(c, y) + x, rgb[c]);
    UNROLL for (int i = 0; i < SPAN; i++) {
        luma[i] = luma_of(matrix, rgb[0][i], rgb[1][i], rgb[2][i]);
        chroma_of(matrix, rgb[0][i], rgb[1][i], rgb[2][i], chroma[0][i], chroma[1][i]);
    }
}

template <class T>
HD inline void pack_yuv(const Pack<T> &args, const Rect &rect, u32 x, u32 y) {
    const Frame &frame = args.frame;
    const u32 shift_x = frame.component[1].shift_x, shift_y = frame.component[1].shift_y;
    if (args.alpha.data) {
        float alpha[SPAN];
        read_row(args.alpha.row(0, y) + x, alpha);
        write_plane<3>(frame, x, y, alpha);
    }
    float luma[SPAN], chroma[2][SPAN];
    if (args.channels == 3)
        read_ycc(args, x, y, luma, chroma);
    else
        read_row(args.model.row(0, y) + x, luma);
    write_plane<0>(frame, x, y, luma);
    if (!begins_row(rect, y, shift_y))
        return;
    if (args.channels == 1) {
        if (shift_x == 0)
            pack_chroma<SPAN>(args, x, y >> shift_y);
        else
            pack_chroma<SPAN / 2>(args, x >> 1, y >> shift_y);
    } else if (!args.is_downsampled()) {
        write_chroma(frame, x, y, chroma);
    }
}

template <class T>
HD inline void pack_rgb(const Pack<T> &args, u32 x, u32 y) {
    float rgba[4][SPAN];
    if (args.channels == 3) {
        UNROLL for (int c = 0; c < 3; c++) read_row(args.model.row(c, y) + x, rgba[c]);
    } else {
        float luma[SPAN], cb[SPAN], cr[SPAN];
        read_row(args.model.row(0, y) + x, luma);
        read_row(args.chroma.row(0, y) + x, cb);
        read_row(args.chroma.row(1, y) + x, cr);
        UNROLL for (int i = 0; i < SPAN; i++)
            rgb_of(args.frame.matrix, luma[i], cb[i], cr[i], rgba[0][i], rgba[1][i], rgba[2][i]);
    }
    UNROLL for (int i = 0; i < SPAN; i++) rgba[3][i] = 0.0f;
    if (args.alpha.data)
        read_row(args.alpha.row(0, y) + x, rgba[3]);
    write_rgba(args.frame, x, y, rgba);
}

template <class T>
HD inline void pack_gray(const Pack<T> &args, u32 x, u32 y) {
    float luma[SPAN], chroma[2][SPAN];
    if (args.channels == 3)
        read_ycc(args, x, y, luma, chroma);
    else
        read_row(args.model.row(0, y) + x, luma);
    write_plane<0>(args.frame, x, y, luma);
}

/// The pixels of `rect` among those of a warp, SPAN for each thread from `left` on, of row `y`.
template <class T>
HD inline void run(const Pack<T> &args, const Rect &rect, u32 left, u32 y, Strip<2, 1, 1> &strip) {
    const u32 shift_y = args.frame.component[1].shift_y;
    if (args.is_downsampled() && begins_row(rect, y, shift_y))
        pack_downsampled(args, rect, left, y >> shift_y, strip);
    const u32 x = left + SPAN * threadIdx.x;
    if (x >= rect.right())
        return;
    if (args.frame.family == YUV)
        pack_yuv(args, rect, x, y);
    else if (args.frame.family == RGB)
        pack_rgb(args, x, y);
    else
        pack_gray(args, x, y);
}

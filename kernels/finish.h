// Resampling to the output size, blending and grain, as in src/upscaler/cpu/finish.rs.
#pragma once

#include "grain.h"
#include "picture.h"
#include "resample.h"

/// Arguments of `finish`. Bypass planes use it too, with a share of 1 and no grain.
template <class T>
struct Finish {
    /// The picture enlarged by the model's factor. Read if the share is above 0.
    Picture<T> canvas;
    /// The unpacked frame. Read if the share is below 1.
    Picture<T> input;
    /// The finished picture, always in float: 16-bit formats lose nothing.
    Picture<float> out;
    /// Lanczos from the canvas and from the input to the output.
    Filter canvas_horizontal, canvas_vertical, input_horizontal, input_vertical;
    Grain grain;
    /// The output pixels to compute; one per layer of the grid.
    const Rect *rects;
    /// Weight of the canvas over the resampled input, 0..1.
    float share;
    /// 1 to 3.
    u32 channels;
};

/// Rows that a warp computes at once, because their windows overlap.
enum : u32 { FINISHED_ROWS = 4 };

/// Shared memory of one warp.
using FinishStrip = Strip<1, FINISHED_ROWS, 2>;

/// One channel of a picture.
template <class T>
struct ChannelSource {
    const Picture<T> &picture;
    u32 channel;

    HD void operator()(u32 x, u32 y, float (&values)[1][4]) const {
        read_row(picture.row(channel, y) + x, values[0]);
    }
};

/// Adds grain to the pixels of one thread, which have been written.
template <int CHANNELS>
HD inline void grain_written(const Picture<float> &out, const Grain &grain, u32 x, u32 y) {
    float picture[CHANNELS][OUTPUTS];
    UNROLL for (int c = 0; c < CHANNELS; c++) read_row(out.row(c, y) + x, picture[c]);
    add_grain(grain, x, y, picture);
    UNROLL for (int c = 0; c < CHANNELS; c++) write_row(out.row(c, y) + x, picture[c]);
}

/// The pixels of `rect` among those of a warp, OUTPUTS for each thread from `left` on, in rows `y`
/// to `y + FINISHED_ROWS` (exclusive).
template <class T>
HD inline void run(const Finish<T> &args, const Rect &rect, u32 left, u32 y,
                   FinishStrip &strip) {
    const u32 x = left + OUTPUTS * threadIdx.x;
    const u32 rows = x < rect.right() ? minimum(rect.y + rect.height - y, FINISHED_ROWS) : 0;
    ROLLED for (u32 c = 0; c < args.channels; c++) {
        float picture[FINISHED_ROWS][1][OUTPUTS], lanczos[FINISHED_ROWS][1][OUTPUTS];
        if (args.share > 0.0f)
            resample(ChannelSource<T>{args.canvas, c}, args.canvas_horizontal,
                     args.canvas_vertical, left, y, strip, picture);
        if (args.share < 1.0f)
            resample(ChannelSource<T>{args.input, c}, args.input_horizontal, args.input_vertical,
                     left, y, strip, lanczos);
        UNROLL for (u32 r = 0; r < FINISHED_ROWS; r++) {
            if (r >= rows)
                continue;
            float row[OUTPUTS];
            UNROLL for (u32 i = 0; i < OUTPUTS; i++) {
                const float from = lanczos[r][0][i], to = picture[r][0][i];
                row[i] = args.share >= 1.0f  ? to
                         : args.share > 0.0f ? (1.0f - args.share) * from + args.share * to
                                             : from;
            }
            write_row(args.out.row(c, y + r) + x, row);
        }
    }
    if (args.grain.strength == 0.0f)
        return;
    ROLLED for (u32 r = 0; r < rows; r++) {
        if (args.channels == 1)
            grain_written<1>(args.out, args.grain, x, y + r);
        else if (args.channels == 2)
            grain_written<2>(args.out, args.grain, x, y + r);
        else
            grain_written<3>(args.out, args.grain, x, y + r);
    }
}

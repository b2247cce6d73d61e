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

/// Output pixels per thread.
enum : u32 { FINISHED = 8 };

template <class T, int CHANNELS>
struct PictureSource {
    const Picture<T> &picture;

    HD void operator()(u32 x, u32 y, float (&values)[CHANNELS]) const {
        UNROLL for (int c = 0; c < CHANNELS; c++) values[c] = to_float(picture.row(c, y)[x]);
    }
};

template <int CHANNELS, class T>
HD inline void finish_of(const Finish<T> &args, u32 x, u32 y) {
    float picture[CHANNELS][FINISHED];
    if (args.share > 0.0f)
        resample(PictureSource<T, CHANNELS>{args.canvas}, args.canvas_horizontal,
                 args.canvas_vertical, x, y, picture);
    if (args.share < 1.0f) {
        float lanczos[CHANNELS][FINISHED];
        resample(PictureSource<T, CHANNELS>{args.input}, args.input_horizontal,
                 args.input_vertical, x, y, lanczos);
        UNROLL for (int c = 0; c < CHANNELS; c++)
            UNROLL for (int i = 0; i < FINISHED; i++)
                picture[c][i] = args.share > 0.0f ? (1.0f - args.share) * lanczos[c][i] +
                                                        args.share * picture[c][i]
                                                  : lanczos[c][i];
    }
    if (args.grain.strength != 0.0f)
        add_grain(args.grain, x, y, picture);
    UNROLL for (int c = 0; c < CHANNELS; c++) write_row(args.out.row(c, y) + x, picture[c]);
}

/// Pixels `x` to `x + FINISHED` (exclusive) of row `y`.
template <class T>
HD inline void run(const Finish<T> &args, const Rect &, u32 x, u32 y) {
    if (args.channels == 1)
        finish_of<1>(args, x, y);
    else if (args.channels == 2)
        finish_of<2>(args, x, y);
    else
        finish_of<3>(args, x, y);
}

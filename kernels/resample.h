// Separable resampling, as in src/frame/filter_table.rs, filter.rs and resample.rs.
#pragma once

#include "platform.h"

/// The input samples of one output sample.
struct Window {
    /// The first input sample.
    u32 start;
    /// Its weights are the `taps` floats from `weights + index · taps` on.
    u32 index;
};

/// Filter coefficients along one axis.
struct Filter {
    /// One per output sample.
    const Window *windows;
    const float *weights;
    u32 taps;
    /// Number of output samples.
    u32 outputs;
};

/// COUNT output samples of row `y` from `x` on, of CHANNELS channels; 0 past the last.
/// `source(x, y, values)` reads the input. The order of operations is that of the CPU: vertical
/// first, taps in order, and the first tap is not added to 0.
template <int CHANNELS, int COUNT, class Source>
HD inline void resample(const Source &source, const Filter &horizontal, const Filter &vertical,
                        u32 x, u32 y, float (&out)[CHANNELS][COUNT]) {
    const Window row = vertical.windows[y];
    const float *row_weights = vertical.weights + (u64)row.index * vertical.taps;
    // Outputs past the last have a window that contains no column.
    constexpr u32 NOWHERE = 0x80000000u;
    u32 start[COUNT], index[COUNT], from = NOWHERE, to = 0;
    UNROLL for (int i = 0; i < COUNT; i++) {
        start[i] = NOWHERE;
        index[i] = 0;
        UNROLL for (int c = 0; c < CHANNELS; c++) out[c][i] = 0.0f;
        if (x + i < horizontal.outputs) {
            const Window window = horizontal.windows[x + i];
            start[i] = window.start;
            index[i] = window.index * horizontal.taps;
            from = minimum(from, window.start);
            to = maximum(to, window.start + horizontal.taps);
        }
    }
    for (u32 at = from; at < to; at++) {
        float column[CHANNELS], values[CHANNELS];
        for (u32 tap = 0; tap < vertical.taps; tap++) {
            source(at, row.start + tap, values);
            const float weight = row_weights[tap];
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const float part = weight * values[c];
                column[c] = tap == 0 ? part : column[c] + part;
            }
        }
        UNROLL for (int i = 0; i < COUNT; i++) {
            const u32 tap = at - start[i];
            if (tap < horizontal.taps) {
                const float weight = horizontal.weights[index[i] + tap];
                UNROLL for (int c = 0; c < CHANNELS; c++) {
                    const float part = weight * column[c];
                    out[c][i] = tap == 0 ? part : out[c][i] + part;
                }
            }
        }
    }
}

// Separable resampling by tables of coefficients: src/frame/table.rs, filter.rs and resample.rs.
#pragma once

#include "platform.h"

/// What one output sample is made of.
struct Window {
    /// The first input sample.
    u32 start;
    /// The weights are `taps` floats from `weights + index · taps` on.
    u32 index;
};

/// Coefficients along one direction.
struct Table {
    /// One per output sample.
    const Window *windows;
    const float *weights;
    u32 taps;
    /// Output samples.
    u32 outputs;
};

/// Outputs of row `y` from `x` on, of CHANNELS channels, 0 past the last; `source(x, y, values)`
/// gives the input's. Vertically first, taps in order and the first not added to 0, as the CPU
/// does.
template <int CHANNELS, int COUNT, class Source>
HD inline void resample(const Source &source, const Table &across, const Table &down,
                        u32 x, u32 y, float (&out)[CHANNELS][COUNT]) {
    const Window row = down.windows[y];
    const float *row_weights = down.weights + (u64)row.index * down.taps;
    // A window that begins where no column is takes no part.
    constexpr u32 NOWHERE = 0x80000000u;
    u32 start[COUNT], index[COUNT], from = NOWHERE, to = 0;
    UNROLL for (int i = 0; i < COUNT; i++) {
        start[i] = NOWHERE;
        index[i] = 0;
        UNROLL for (int c = 0; c < CHANNELS; c++) out[c][i] = 0.0f;
        if (x + i < across.outputs) {
            const Window window = across.windows[x + i];
            start[i] = window.start;
            index[i] = window.index * across.taps;
            from = least(from, window.start);
            to = most(to, window.start + across.taps);
        }
    }
    for (u32 at = from; at < to; at++) {
        float column[CHANNELS], values[CHANNELS];
        for (u32 tap = 0; tap < down.taps; tap++) {
            source(at, row.start + tap, values);
            const float weight = row_weights[tap];
            UNROLL for (int c = 0; c < CHANNELS; c++) {
                const float part = weight * values[c];
                column[c] = tap == 0 ? part : column[c] + part;
            }
        }
        UNROLL for (int i = 0; i < COUNT; i++) {
            const u32 tap = at - start[i];
            if (tap < across.taps) {
                const float weight = across.weights[index[i] + tap];
                UNROLL for (int c = 0; c < CHANNELS; c++) {
                    const float part = weight * column[c];
                    out[c][i] = tap == 0 ? part : out[c][i] + part;
                }
            }
        }
    }
}

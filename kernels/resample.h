// Separable resampling, as in src/frame/filter_table.rs, filter.rs and resample.rs.
#pragma once

#include "picture.h"

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

/// Output samples that a thread computes in a row.
enum : u32 { OUTPUTS = 4 };
/// Shared memory of one warp: vertical sums of ROWS rows of CHANNELS channels. A thread sums GROUPS
/// groups of four columns at once. More of them need fewer passes, each of which reads all vertical
/// weights, and more registers.
template <int CHANNELS, int ROWS, int GROUPS>
struct alignas(16) Strip {
    /// Columns that are held at once.
    static const u32 COLUMNS = GROUPS * 4 * LANES;
    /// Floats of a row: 4 are left out after every 32, so that threads that read 16 bytes at
    /// distances of 32 or 64 bytes use different banks.
    static const u32 PITCH = COLUMNS + COLUMNS / 8;

    float sums[ROWS * CHANNELS * PITCH];

    /// Four columns from `column`, a multiple of 4, on.
    HD float *at(u32 row, u32 column) { return sums + row * PITCH + column + column / 32 * 4; }
};

/// The windows of this thread's outputs along a row. Outputs past the last have a window that
/// contains no column.
struct Windows {
    u32 start[OUTPUTS], index[OUTPUTS];
    /// Columns of all windows.
    u32 from, to;

    HD Windows(const Filter &filter, u32 x) : from(NOWHERE), to(0) {
        u32 words[2 * OUTPUTS];
        const bool all = x + OUTPUTS <= filter.outputs;
        if (all)
            load(filter.windows + x, words);
        UNROLL for (int i = 0; i < OUTPUTS; i++) {
            start[i] = NOWHERE;
            index[i] = 0;
            if (x + i < filter.outputs) {
                start[i] = all ? words[2 * i] : filter.windows[x + i].start;
                index[i] = (all ? words[2 * i + 1] : filter.windows[x + i].index) * filter.taps;
                from = minimum(from, start[i]);
                to = maximum(to, start[i] + filter.taps);
            }
        }
    }

  private:
    enum : u32 { NOWHERE = 0x80000000u };
};

/// The outputs of a warp: OUTPUTS for each thread in each of ROWS rows from (`left`, `y`) on; 0
/// past the last column. Past the last row they repeat it. `source(x, y, values)` reads four
/// columns from `x`, a multiple of 4, on. All threads of a warp call this with the same arguments.
///
/// Each thread sums columns vertically into `strip`, then its outputs horizontally from there.
/// The order of operations is that of the CPU: vertical first, taps in order, and the first tap is
/// not added to 0. Windows begin at later samples for later outputs, or at the same.
template <int CHANNELS, int ROWS, int GROUPS, class Source>
HD inline void resample(const Source &source, const Filter &horizontal, const Filter &vertical,
                        u32 left, u32 y, Strip<CHANNELS, ROWS, GROUPS> &strip,
                        float (&out)[ROWS][CHANNELS][OUTPUTS]) {
    constexpr u32 COLUMNS = Strip<CHANNELS, ROWS, GROUPS>::COLUMNS;
    const u32 lane = threadIdx.x;
    u32 line[ROWS];
    const float *weights[ROWS];
    UNROLL for (int r = 0; r < ROWS; r++) {
        const Window window = vertical.windows[minimum(y + r, vertical.outputs - 1)];
        line[r] = window.start;
        weights[r] = vertical.weights + (u64)window.index * vertical.taps;
    }
    const u32 last = minimum(left + OUTPUTS * LANES, horizontal.outputs) - 1;
    const u32 end = horizontal.windows[last].start + horizontal.taps;
    const Windows windows(horizontal, left + OUTPUTS * lane);
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < CHANNELS; c++)
            UNROLL for (int i = 0; i < OUTPUTS; i++) out[r][c][i] = 0.0f;

    ROLLED for (u32 strip_x = horizontal.windows[left].start & ~3u; strip_x < end; strip_x += COLUMNS) {
        float sum[GROUPS][ROWS][CHANNELS][4];
        const u32 x = strip_x + 4 * lane, stop_x = x < end ? line[ROWS - 1] + vertical.taps : 0;
        ROLLED for (u32 at = line[0]; at < stop_x; at++) {
            float values[GROUPS][CHANNELS][4];
            UNROLL for (u32 g = 0; g < GROUPS; g++)
                if (x + g * 4 * LANES < end)
                    source(x + g * 4 * LANES, at, values[g]);
            UNROLL for (int r = 0; r < ROWS; r++) {
                const u32 tap = at - line[r];
                if (tap >= vertical.taps)
                    continue;
                const float weight = weights[r][tap];
                UNROLL for (u32 g = 0; g < GROUPS; g++)
                    UNROLL for (int c = 0; c < CHANNELS; c++)
                        UNROLL for (int i = 0; i < 4; i++) {
                            const float part = weight * values[g][c][i];
                            float &to = sum[g][r][c][i];
                            to = tap == 0 ? part : to + part;
                        }
            }
        }
        UNROLL for (u32 g = 0; g < GROUPS; g++)
            if (x + g * 4 * LANES < end)
                UNROLL for (int r = 0; r < ROWS; r++)
                    UNROLL for (int c = 0; c < CHANNELS; c++)
                        write_row(strip.at(r * CHANNELS + c, (lane + g * LANES) * 4), sum[g][r][c]);
        sync_warp();
        const u32 stop = minimum(windows.to, strip_x + COLUMNS);
        ROLLED for (u32 at = maximum(windows.from, strip_x) & ~3u; at < stop; at += 4) {
            float column[ROWS][CHANNELS][4];
            UNROLL for (int r = 0; r < ROWS; r++)
                UNROLL for (int c = 0; c < CHANNELS; c++)
                    read_row(strip.at(r * CHANNELS + c, at - strip_x), column[r][c]);
            UNROLL for (int k = 0; k < 4; k++)
                UNROLL for (int i = 0; i < OUTPUTS; i++) {
                    const u32 tap = at + k - windows.start[i];
                    if (tap >= horizontal.taps)
                        continue;
                    const float weight = horizontal.weights[windows.index[i] + tap];
                    UNROLL for (int r = 0; r < ROWS; r++)
                        UNROLL for (int c = 0; c < CHANNELS; c++) {
                            const float part = weight * column[r][c][k];
                            out[r][c][i] = tap == 0 ? part : out[r][c][i] + part;
                        }
                }
        }
        sync_warp();
    }
}

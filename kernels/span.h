// Spans: the neighbouring pixels of a row that one thread processes.
#pragma once

#include "platform.h"

/// `width` × `height` pixels, the top left one at (`x`, `y`).
struct Rect {
    u32 x, y, width, height;

    HD u32 right() const { return x + width; }
};

/// Pixels of a span: a multiple of 16 bytes in every format. Spans begin at multiples of it.
/// Frames and pictures have room for whole spans: their rows begin at multiples of 16 bytes, and
/// the padding behind the last pixel may be read and written.
enum : u32 { SPAN = 16 };

/// Whether row `y` is the first row of `rect` that uses its row of subsampled samples.
HD inline bool begins_row(const Rect &rect, u32 y, u32 shift) {
    return y == rect.y || (y & ((1u << shift) - 1)) == 0;
}

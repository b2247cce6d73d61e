// The pixels that one thread works on: neighbours in a row.
#pragma once

#include "platform.h"

/// `width` × `height` pixels whose top left one is at (`x`, `y`).
struct Rect {
    u32 x, y, width, height;

    HD u32 right() const { return x + width; }
};

/// Pixels of a span: a row's piece is then a multiple of 16 bytes in every format. Spans begin
/// at multiples of it, and frames and pictures have room for whole ones: their rows begin at
/// multiples of 16 bytes, and what lies behind the last pixel may be read and written.
enum : u32 { SPAN = 16 };

/// Whether row `y` of `rect` is the first of those that share a row of samples.
HD inline bool begins_row(const Rect &rect, u32 y, u32 shift) {
    return y == rect.y || (y & ((1u << shift) - 1)) == 0;
}

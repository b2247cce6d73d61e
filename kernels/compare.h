// Comparison of a frame with the reference, as in src/reuse/reference/.
#pragma once

#include "samples.h"
#include "span.h"

/// Side of a block in pixels.
enum : u32 { BLOCK = 8 };

/// One plane of a frame and of the reference.
struct ComparedPlane {
    const u8 *frame;
    u8 *reference;
    /// Bytes from row to row.
    u32 frame_stride, reference_stride;
    /// Samples of a group (a pixel, or a pair of Cb and Cr), and a bit for each sample that
    /// belongs to a component (padding does not).
    u32 step, used;
    /// log₂ of the pixel columns and rows per group.
    u32 shift_x, shift_y;
};

/// Arguments of `compare` and `update`.
struct Compare {
    ComparedPlane plane[4];
    /// A bit per block, `row_words` words per row of blocks, the first column in the lowest bit
    /// (the words of ChangedMap). `compare` only sets bits; `update` reads them.
    u32 *changed;
    u32 row_words;
    u32 planes;
    /// Bytes of a sample, 1 or 2, and its unused low bits.
    u32 bytes, low_bits;
    /// The largest difference between codes that does not count as a change.
    u32 limit;
    /// Blocks that are compared with a limit of 0.
    Rect due;
    u32 unused;
    /// The whole frame; one per layer of the grid.
    const Rect *rects;
};

/// The bytes of the pixels `x` to `right` (exclusive) of row `y` in a plane. `x` is the first
/// column of a block.
struct Piece {
    const u8 *frame;
    u8 *reference;
    /// In bytes.
    u32 length;

    HD Piece(const ComparedPlane &plane, u32 bytes, u32 x, u32 right, u32 y) {
        const u32 group = plane.step * bytes, first = x >> plane.shift_x;
        const u32 end = (right + (1u << plane.shift_x) - 1) >> plane.shift_x;
        const u64 row = y >> plane.shift_y, at = (u64)first * group;
        frame = plane.frame + row * plane.frame_stride + at;
        reference = plane.reference + row * plane.reference_stride + at;
        length = (end - first) * group;
    }
};

HD inline bool both_aligned(const void *a, const void *b, u32 bits) {
    return is_aligned(a, bits) && is_aligned(b, bits);
}

/// Whether BYTES bytes at two aligned addresses are equal.
template <int BYTES>
HD inline bool are_equal(const u8 *a, const u8 *b) {
    u32 left[BYTES / 4], right[BYTES / 4], differing = 0;
    load(a, left);
    load(b, right);
    UNROLL for (int i = 0; i < BYTES / 4; i++) differing |= left[i] ^ right[i];
    return differing == 0;
}

/// A bit for each of the two blocks of a span that differs in a row of a plane.
HD inline u32 changed_of(const Compare &args, const ComparedPlane &plane, const Piece &piece,
                         const u32 (&limit)[2]) {
    const u8 *a = piece.frame, *b = piece.reference;
    const u32 chunk = piece.length % 16 == 0 ? 16 : 8;
    u32 changed = 0;
    for (u32 byte = 0; byte < piece.length; byte += chunk) {
        const u32 end = minimum(byte + chunk, piece.length);
        if (end == byte + chunk && both_aligned(a, b, chunk - 1) &&
            (chunk == 16 ? are_equal<16>(a + byte, b + byte) : are_equal<8>(a + byte, b + byte)))
            continue;
        for (u32 sample = byte / args.bytes; sample < end / args.bytes; sample++) {
            const u32 group = sample / plane.step, block = (group << plane.shift_x) / BLOCK;
            if (!(plane.used >> (sample - group * plane.step) & 1))
                continue;
            const u32 left = read_sample(a, sample, args.bytes) >> args.low_bits;
            const u32 right = read_sample(b, sample, args.bytes) >> args.low_bits;
            const u32 difference = left > right ? left - right : right - left;
            if (difference > (block == 0 ? limit[0] : limit[1]))
                changed |= 1u << block;
        }
    }
    return changed;
}

/// Marks the blocks that differ in a span of row `y` of the frame.
HD inline void compare(const Compare &args, const Rect &rect, u32 x, u32 y) {
    const u32 column = x / BLOCK, row = y / BLOCK;
    const bool row_due = row - args.due.y < args.due.height;
    u32 limit[2];
    UNROLL for (u32 i = 0; i < 2; i++)
        limit[i] = row_due && column + i - args.due.x < args.due.width ? 0 : args.limit;
    u32 changed = 0;
    UNROLL for (u32 p = 0; p < 4; p++) {
        if (p >= args.planes || !begins_row(rect, y, args.plane[p].shift_y))
            continue;
        const Piece piece(args.plane[p], args.bytes, x, minimum(x + SPAN, rect.right()), y);
        changed |= changed_of(args, args.plane[p], piece, limit);
    }
    if (changed)
        atomic_or(args.changed + (u64)row * args.row_words + column / 32, changed << column % 32);
}

HD inline void copy_bytes(const u8 *from, u8 *to, u32 length) {
    for (u32 at = 0; at < length; at += 16) {
        const u32 end = minimum(at + 16, length);
        if (end == at + 16 && both_aligned(from, to, 15)) {
            u32 words[4];
            load(from + at, words);
            store(to + at, words);
            continue;
        }
        for (u32 byte = at; byte < end; byte++) to[byte] = from[byte];
    }
}

/// Copies the changed blocks of a span of row `y` from the frame to the reference.
HD inline void update(const Compare &args, const Rect &rect, u32 x, u32 y) {
    const u32 column = x / BLOCK;
    const u32 word = args.changed[(u64)(y / BLOCK) * args.row_words + column / 32];
    const u32 changed = word >> column % 32 & 3;
    if (!changed)
        return;
    // The first of the span's two blocks, the second, or both.
    const u32 left = changed & 1 ? x : x + BLOCK, end = changed & 2 ? x + SPAN : x + BLOCK;
    if (left >= rect.right())
        return;
    UNROLL for (u32 p = 0; p < 4; p++) {
        if (p >= args.planes || !begins_row(rect, y, args.plane[p].shift_y))
            continue;
        const Piece piece(args.plane[p], args.bytes, left, minimum(end, rect.right()), y);
        copy_bytes(piece.frame, piece.reference, piece.length);
    }
}

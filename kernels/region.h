// Regions of a picture to a model's batch and back, as in src/upscaler/regionwise.rs.
#pragma once

#include "picture.h"
#include "span.h"

/// A part of the input that the model processes (src/reuse/region.rs).
struct Region {
    /// The input pixels whose enlarged picture is kept, and the input pixels that are read.
    Rect compute, read;
};

/// The sample at position `at` of a row of `length` samples that is repeated by reflection. The
/// outermost samples are not repeated.
HD inline u32 reflected(u32 at, u32 length) {
    if (at < length)
        return at;
    const u32 last = length - 1;
    if (length <= 1)
        return 0;
    const u32 place = at % (2 * last);
    return place > last ? 2 * last - place : place;
}

/// Arguments of `gather`.
template <class T>
struct Gather {
    /// The unpacked frame.
    Picture<T> source;
    /// Items of `channels` × `height` × `width` samples without padding.
    T *batch;
    /// One per item of the batch and layer of the grid. If `read` is smaller than an item, it is
    /// continued by reflection at its last column and row.
    const Region *regions;
    u32 channels;
    u32 width, height;
    u32 unused;
};

/// The samples of one thread: 16 bytes of a row, possibly cut at either end to those from
/// `x + first` to `x + end` (exclusive).
template <class T>
struct Chunk {
    enum : u32 { COUNT = 16 / sizeof(T) };
    u32 x, first, end;

    HD bool is_whole() const { return first == 0 && end == COUNT; }

    /// Copies `source(i)` to `to[i]` for each `i` from `first` on. `from` is null, or points to
    /// the same samples as `source` in consecutive memory.
    template <class Source>
    HD void copy(const Source &source, const T *from, T *to) const {
        if (from && is_whole() && is_aligned(from, 15) && is_aligned(to, 15)) {
            u32 words[4];
            load(from, words);
            store(to, words);
            return;
        }
        for (u32 i = first; i < end; i++) to[i] = source(i);
    }
};

/// Copies the samples `part` of row `y` of item `item`, in every channel.
template <class T>
HD inline void gather(const Gather<T> &args, const Region &region, u32 item,
                      const Chunk<T> &part, u32 y) {
    const Rect &read = region.read;
    const bool mirrored = part.x + part.end > read.width;
    for (u32 c = 0; c < args.channels; c++) {
        const T *row = args.source.row(c, read.y + reflected(y, read.height)) + read.x;
        T *to = args.batch + (((u64)item * args.channels + c) * args.height + y) * args.width;
        part.copy([&](u32 i) { return row[reflected(part.x + i, read.width)]; },
                  mirrored ? nullptr : row + part.x, to + part.x);
    }
}

/// Arguments of `scatter`.
template <class T>
struct Scatter {
    /// The enlarged picture of the whole frame.
    Picture<T> canvas;
    /// The model's output: items of `channels` × `height` × `width` samples without padding.
    const T *batch;
    /// One per item of the batch and layer of the grid.
    const Region *regions;
    u32 channels;
    /// Size of an enlarged item.
    u32 width, height;
    /// Output pixels per input pixel along each axis.
    u32 factor;
};

/// Copies the samples `part` of row `y` of the canvas, which lie inside the enlarged `compute`.
template <class T>
HD inline void scatter(const Scatter<T> &args, const Region &region, u32 item,
                       const Chunk<T> &part, u32 y) {
    const u32 left = region.read.x * args.factor, top = region.read.y * args.factor;
    for (u32 c = 0; c < args.channels; c++) {
        const u64 row = ((u64)item * args.channels + c) * args.height + (y - top);
        // `part.x` may lie left of the item; its first sample does not.
        const T *from = args.batch + (long long)(row * args.width + part.x) - left;
        part.copy([&](u32 i) { return from[i]; }, from, args.canvas.row(c, y) + part.x);
    }
}

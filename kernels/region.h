// Regions of a picture into a model's batch and out of it: src/upscaler/cpu/infer.rs.
#pragma once

#include "picture.h"
#include "span.h"

/// A part of the input that goes through the model: src/upscaler/region.rs.
struct Region {
    /// The input pixels whose enlarged picture is kept, and those that are read.
    Rect compute, read;
};

/// Where position `at` of an endlessly mirrored row of `length` samples lies in it; the outer
/// samples are not repeated.
HD inline u32 reflected(u32 at, u32 length) {
    if (at < length)
        return at;
    const u32 last = length - 1;
    if (length <= 1)
        return 0;
    const u32 place = at % (2 * last);
    return place > last ? 2 * last - place : place;
}

/// What `gather` works on.
template <class T>
struct Gather {
    /// The unpacked frame.
    Picture<T> source;
    /// Batch items of `channels` × `height` × `width` samples without padding.
    T *batch;
    /// One per item of the batch, a layer of the grid each. `read` is no larger than an item;
    /// what it lacks is mirrored about its last column and row.
    const Region *regions;
    u32 channels;
    u32 width, height;
    u32 unused;
};

/// Samples of one thread, 16 bytes of a row that may be cut short on either side: those from
/// `x + first` to `x + end` (exclusive).
template <class T>
struct Sixteen {
    enum : u32 { COUNT = 16 / sizeof(T) };
    u32 x, first, end;

    HD bool is_whole() const { return first == 0 && end == COUNT; }

    /// Copies `source(i)` for each `i` from `first` on to `to`, where sample `x` goes.
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

/// Samples `part` of row `y` of item `item`, in every channel.
template <class T>
HD inline void gather(const Gather<T> &args, const Region &region, u32 item,
                      const Sixteen<T> &part, u32 y) {
    const Rect &read = region.read;
    const bool mirrored = part.x + part.end > read.width;
    for (u32 c = 0; c < args.channels; c++) {
        const T *row = args.source.row(c, read.y + reflected(y, read.height)) + read.x;
        T *to = args.batch + (((u64)item * args.channels + c) * args.height + y) * args.width;
        part.copy([&](u32 i) { return row[reflected(part.x + i, read.width)]; },
                  mirrored ? nullptr : row + part.x, to + part.x);
    }
}

/// What `scatter` works on.
template <class T>
struct Scatter {
    /// The enlarged picture of the whole frame.
    Picture<T> canvas;
    /// The model's answer: items of `channels` × `height` × `width` samples without padding.
    const T *batch;
    /// One per item of the batch, a layer of the grid each.
    const Region *regions;
    u32 channels;
    /// Of an enlarged item.
    u32 width, height;
    /// Output pixels per input pixel, each way.
    u32 factor;
};

/// Samples `part` of row `y` of the canvas, which lie in the enlarged `compute`.
template <class T>
HD inline void scatter(const Scatter<T> &args, const Region &region, u32 item,
                       const Sixteen<T> &part, u32 y) {
    const u32 left = region.read.x * args.factor, top = region.read.y * args.factor;
    for (u32 c = 0; c < args.channels; c++) {
        const u64 row = ((u64)item * args.channels + c) * args.height + (y - top);
        // `part.x` may lie left of the item, where its first sample does not.
        const T *from = args.batch + (long long)(row * args.width + part.x) - left;
        part.copy([&](u32 i) { return from[i]; }, from, args.canvas.row(c, y) + part.x);
    }
}

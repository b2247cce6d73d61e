// Access to memory, 16 bytes at a time.
#pragma once

#include "platform.h"

struct alignas(16) Words4 {
    u32 word[4];
};

struct alignas(8) Words2 {
    u32 word[2];
};

/// Whether these bits of an address are 0. With 15, 16 bytes can be accessed at once.
HD inline bool is_aligned(const void *at, u32 bits) { return ((u64)at & bits) == 0; }

/// Reads a multiple of four words, or two, or one, from an aligned address.
template <int WORDS>
HD inline void load(const void *from, u32 (&words)[WORDS]) {
    static_assert(WORDS == 1 || WORDS == 2 || WORDS % 4 == 0, "16 bytes at a time, or less");
    if constexpr (WORDS == 1) {
        words[0] = *(const u32 *)from;
    } else if constexpr (WORDS == 2) {
        const Words2 pair = *(const Words2 *)from;
        UNROLL for (int k = 0; k < 2; k++) words[k] = pair.word[k];
    } else {
        UNROLL for (int i = 0; i < WORDS / 4; i++) {
            const Words4 four = ((const Words4 *)from)[i];
            UNROLL for (int k = 0; k < 4; k++) words[4 * i + k] = four.word[k];
        }
    }
}

/// Writes a multiple of four words, or two, or one, to an aligned address.
template <int WORDS>
HD inline void store(void *to, const u32 (&words)[WORDS]) {
    static_assert(WORDS == 1 || WORDS == 2 || WORDS % 4 == 0, "16 bytes at a time, or less");
    if constexpr (WORDS == 1) {
        *(u32 *)to = words[0];
    } else if constexpr (WORDS == 2) {
        *(Words2 *)to = Words2{{words[0], words[1]}};
    } else {
        UNROLL for (int i = 0; i < WORDS / 4; i++)
            ((Words4 *)to)[i] =
                Words4{{words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]}};
    }
}

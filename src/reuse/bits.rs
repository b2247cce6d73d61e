//! Sets of bits in words, counted from the lowest bit of the first word.

use std::ops::Range;

/// Bits per word.
pub(super) const WORD: usize = u64::BITS as usize;

/// Whether a bit is set; false past the end.
pub(super) fn get(words: &[u64], index: usize) -> bool {
    words.get(index / WORD).is_some_and(|word| word >> (index % WORD) & 1 == 1)
}

/// Sets the bits of `range`, except those past the end.
pub(super) fn set(words: &mut [u64], range: Range<usize>) {
    let mut at = range.start;
    while at < range.end {
        let bits = (WORD - at % WORD).min(range.end - at);
        if let Some(word) = words.get_mut(at / WORD) {
            *word |= (u64::MAX >> (WORD - bits)) << (at % WORD);
        }
        at += bits;
    }
}

/// The runs of set bits that lie in `from..to` or are cut to it, in ascending order.
pub(super) fn runs(
    words: &[u64],
    from: usize,
    to: usize,
) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = from;
    std::iter::from_fn(move || {
        let start = next(words, at, 0).filter(|start| *start < to)?;
        let end = next(words, start, u64::MAX).unwrap_or(to).min(to);
        at = end;
        Some(start..end)
    })
}

/// The first bit from `from` on that is set after XOR with `invert`.
fn next(words: &[u64], from: usize, invert: u64) -> Option<usize> {
    let mut mask = u64::MAX << (from % WORD);
    for (index, word) in words.iter().enumerate().skip(from / WORD) {
        let word = (word ^ invert) & mask;
        if word != 0 {
            return Some(index * WORD + word.trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cross_word_boundaries_and_are_cut_to_the_range() {
        let mut words = [0; 3];
        for range in [0..2, 60..70, 127..128, 190..500] {
            set(&mut words, range);
        }
        assert!(get(&words, 69) && !get(&words, 70) && !get(&words, 192));
        let found: Vec<_> = runs(&words, 1, 192).collect();
        assert_eq!(found, [1..2, 60..70, 127..128, 190..192]);
        assert!(runs(&words, 62, 65).eq(std::iter::once(62..65)));
    }
}

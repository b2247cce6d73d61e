//! Which blocks of a frame changed, a bit for each.

use std::ops::Range;

use crate::frame::Rect;

/// Luma columns and rows of a block. Even, so that a block has whole samples of all planes.
pub const BLOCK: u32 = 8;

const WORD: usize = u64::BITS as usize;

/// A bit per block of 8×8 pixels, from the top left; blocks at the right and bottom border may
/// be smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedMap {
    width: u32,
    height: u32,
    words_per_row: usize,
    /// Rows of `words_per_row`; bits past the last column are 0.
    words: Vec<u64>,
}

impl ChangedMap {
    /// No block of a frame of `width` × `height` pixels.
    pub fn none(width: u32, height: u32) -> Self {
        let words_per_row = (width.div_ceil(BLOCK) as usize).div_ceil(WORD);
        let words = vec![0; words_per_row * height.div_ceil(BLOCK) as usize];
        Self { width, height, words_per_row, words }
    }

    /// Every block.
    pub fn all(width: u32, height: u32) -> Self {
        let mut map = Self::none(width, height);
        for row in 0..map.rows() {
            map.mark_run(0..map.columns(), row);
        }
        map
    }

    /// Blocks whose bits are set in `words`, which lie as [`words`](Self::words) has them; those
    /// that are missing are not.
    pub fn of_words(width: u32, height: u32, words: &[u64]) -> Self {
        let mut map = Self::all(width, height);
        let words = words.iter().copied().chain(std::iter::repeat(0));
        map.words.iter_mut().zip(words).for_each(|(mine, word)| *mine &= word);
        map
    }

    /// Rows of whole words, from the top; columns from the lowest bit of a row's first word on.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Blocks that hold a pixel of any of `rects`.
    pub fn of_rects(rects: &[Rect], width: u32, height: u32) -> Self {
        let mut map = Self::none(width, height);
        for rect in rects.iter().map(|rect| rect.intersection(&Rect::of_size(width, height))) {
            if !rect.is_empty() {
                for row in rect.y / BLOCK..rect.bottom().div_ceil(BLOCK) {
                    map.mark_run(rect.x / BLOCK..rect.right().div_ceil(BLOCK), row);
                }
            }
        }
        map
    }

    /// The frame's size in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Blocks per row.
    pub fn columns(&self) -> u32 {
        self.width.div_ceil(BLOCK)
    }

    /// Rows of blocks.
    pub fn rows(&self) -> u32 {
        self.height.div_ceil(BLOCK)
    }

    /// Whether the frame is a duplicate.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Blocks that changed.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether a block changed; false outside of the frame.
    pub fn get(&self, column: u32, row: u32) -> bool {
        let column = column as usize;
        self.row(row).get(column / WORD).is_some_and(|word| word >> (column % WORD) & 1 == 1)
    }

    /// Marks a block as changed; nothing outside of the frame.
    pub fn mark(&mut self, column: u32, row: u32) {
        self.mark_run(column..column + 1, row);
    }

    /// Marks neighbours in a row, as many as there are.
    pub fn mark_run(&mut self, columns: Range<u32>, row: u32) {
        let end = columns.end.min(self.columns()) as usize;
        let start = row as usize * self.words_per_row;
        if let Some(words) = self.words.get_mut(start..start + self.words_per_row) {
            set_bits(words, columns.start as usize..end);
        }
    }

    /// Runs of changed blocks in a row, from the left.
    pub fn runs(&self, row: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let words = self.row(row);
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = next_bit(words, at, true)?;
            let end = next_bit(words, start, false).unwrap_or(words.len() * WORD);
            at = end;
            Some(start as u32..end as u32)
        })
    }

    /// The blocks of both, which are of frames of one size.
    pub fn union(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        self
    }

    /// All changed pixels, as few rectangles as runs of the same columns make.
    pub fn rects(&self) -> Vec<Rect> {
        let mut rects: Vec<Rect> = vec![];
        let mut above = 0;
        for row in 0..self.rows() {
            for run in self.runs(row) {
                let here = self.pixels(&run, row);
                let same = |rect: &Rect| {
                    (rect.x, rect.width, rect.bottom()) == (here.x, here.width, here.y)
                };
                match rects.iter().skip(above).position(same) {
                    Some(index) => rects
                        .iter_mut()
                        .skip(above + index)
                        .take(1)
                        .for_each(|rect| rect.height += here.height),
                    None => rects.push(here),
                }
            }
            // Those that end above this row can grow no more.
            while rects.get(above).is_some_and(|rect| rect.bottom() <= row * BLOCK) {
                above += 1;
            }
        }
        rects
    }

    /// The pixels of a run of blocks, cut to the frame.
    pub fn pixels(&self, columns: &Range<u32>, row: u32) -> Rect {
        let (x, right) = (columns.start * BLOCK, (columns.end * BLOCK).min(self.width));
        let (y, bottom) = (row * BLOCK, ((row + 1) * BLOCK).min(self.height));
        Rect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }

    fn row(&self, row: u32) -> &[u64] {
        let start = row as usize * self.words_per_row;
        self.words.get(start..start + self.words_per_row).unwrap_or_default()
    }
}

/// Sets the bits of `range`, counted from the first word's lowest; those past the end are left.
pub(super) fn set_bits(words: &mut [u64], range: Range<usize>) {
    let mut at = range.start;
    while at < range.end {
        let bits = (WORD - at % WORD).min(range.end - at);
        if let Some(word) = words.get_mut(at / WORD) {
            *word |= (u64::MAX >> (WORD - bits)) << (at % WORD);
        }
        at += bits;
    }
}

/// The first bit at or after `from` that is `value`.
pub(super) fn next_bit(words: &[u64], from: usize, value: bool) -> Option<usize> {
    let mut mask = u64::MAX << (from % WORD);
    for (index, word) in words.iter().enumerate().skip(from / WORD) {
        let word = if value { *word } else { !*word } & mask;
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
    fn runs_go_over_word_boundaries_and_end_at_the_last_block() {
        let mut map = ChangedMap::none(200 * 8 - 3, 16);
        map.mark_run(60..70, 1);
        map.mark(127, 1);
        map.mark_run(190..500, 1);
        assert_eq!(map.runs(1).collect::<Vec<_>>(), [60..70, 127..128, 190..200]);
        assert_eq!(map.count(), 10 + 1 + 10);
        assert_eq!(map.runs(0).count(), 0);
        assert_eq!(map.pixels(&(190..200), 1), Rect::new(1520, 8, 77, 8));
    }

    #[test]
    fn words_go_there_and_back_and_bits_beyond_the_frame_are_dropped() {
        let map = ChangedMap::of_rects(&[Rect::new(7, 15, 900, 9)], 1000, 40);
        assert_eq!(ChangedMap::of_words(1000, 40, map.words()), map);
        let all = ChangedMap::of_words(1000, 40, &[u64::MAX; 99]);
        assert_eq!(all, ChangedMap::all(1000, 40));
        assert!(ChangedMap::of_words(1000, 40, &[]).is_empty());
    }

    #[test]
    fn rectangles_hold_the_changed_blocks_and_no_others() {
        let mut map = ChangedMap::none(80, 60);
        let marked = [(0, 1), (1, 1), (0, 2), (1, 2), (5, 2), (0, 3), (5, 3), (9, 7)];
        marked.iter().for_each(|&(column, row)| map.mark(column, row));
        let rects = map.rects();
        assert_eq!(
            rects,
            [(0, 8, 16, 16), (40, 16, 8, 16), (0, 24, 8, 8), (72, 56, 8, 4)]
                .map(|(x, y, width, height)| Rect::new(x, y, width, height))
        );
        assert_eq!(ChangedMap::of_rects(&rects, 80, 60), map);
        assert_eq!(ChangedMap::all(80, 60).rects(), [Rect::of_size(80, 60)]);
    }

    #[test]
    fn rects_mark_every_block_that_they_touch() {
        let map = ChangedMap::of_rects(&[Rect::new(7, 15, 2, 1), Rect::new(30, 0, 0, 9)], 33, 17);
        let marked: Vec<_> = (0..3)
            .flat_map(|row| (0..5).map(move |column| (column, row)))
            .filter(|&(column, row)| map.get(column, row))
            .collect();
        assert_eq!(marked, [(0, 1), (1, 1)]);
        assert_eq!(ChangedMap::all(33, 17).count(), 15);
    }
}

//! Which blocks of a frame changed, one bit each.

use std::ops::Range;

use super::bits::{self, WORD};
use crate::frame::Rect;

/// Width and height of a block in luma pixels. It is even, so that a block contains whole samples
/// of every plane.
pub(crate) const BLOCK: u32 = 8;

/// One bit for each block of 8×8 pixels, from the top left. Blocks at the right and bottom border
/// may be smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedMap {
    width: u32,
    height: u32,
    words_per_row: usize,
    /// Rows of `words_per_row` words. Bits after the last column are 0.
    words: Vec<u64>,
}

impl ChangedMap {
    /// No block of a frame of `width` × `height` pixels.
    #[must_use]
    pub fn none(width: u32, height: u32) -> Self {
        let words_per_row = (width.div_ceil(BLOCK) as usize).div_ceil(WORD);
        let words = vec![0; words_per_row * height.div_ceil(BLOCK) as usize];
        Self { width, height, words_per_row, words }
    }

    /// Every block of a frame of `width` × `height` pixels.
    #[must_use]
    pub fn all(width: u32, height: u32) -> Self {
        let mut map = Self::none(width, height);
        for row in 0..map.rows() {
            map.mark_run(0..map.columns(), row);
        }
        map
    }

    /// The blocks whose bits are set in `words`, in the layout of [`words`](Self::words). Missing
    /// words count as 0; bits outside of the frame are ignored.
    #[must_use]
    pub fn of_words(width: u32, height: u32, words: &[u64]) -> Self {
        let mut map = Self::all(width, height);
        let words = words.iter().copied().chain(std::iter::repeat(0));
        map.words.iter_mut().zip(words).for_each(|(mine, word)| *mine &= word);
        map
    }

    /// The blocks that contain a pixel of any of `rects`.
    #[must_use]
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

    /// The bits: rows from the top, each of whole words; columns from the lowest bit of a row's
    /// first word.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Width and height of the frame in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Blocks per row.
    #[must_use]
    pub fn columns(&self) -> u32 {
        self.width.div_ceil(BLOCK)
    }

    /// Rows of blocks.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.height.div_ceil(BLOCK)
    }

    /// Whether no block changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The number of blocks that changed.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether a block changed; false outside of the frame.
    #[must_use]
    pub fn get(&self, column: u32, row: u32) -> bool {
        bits::get(self.row(row), column as usize)
    }

    /// Marks a block as changed, if it is inside the frame.
    pub fn mark(&mut self, column: u32, row: u32) {
        self.mark_run(column..column + 1, row);
    }

    /// Marks neighbouring blocks of a row as changed, those that are inside the frame.
    pub fn mark_run(&mut self, columns: Range<u32>, row: u32) {
        let end = columns.end.min(self.columns()) as usize;
        let start = row as usize * self.words_per_row;
        if let Some(words) = self.words.get_mut(start..start + self.words_per_row) {
            bits::set(words, columns.start as usize..end);
        }
    }

    /// The runs of changed blocks in a row, from the left.
    pub fn runs(&self, row: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let runs = bits::runs(self.row(row), 0, self.columns() as usize);
        runs.map(|run| run.start as u32..run.end as u32)
    }

    /// The blocks of both maps, which belong to frames of the same size.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
        self
    }

    /// The blocks of this map that are not in `other`, a map of a frame of the same size.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
        self
    }

    /// The blocks that are in both maps, which belong to frames of the same size.
    #[must_use]
    pub fn intersection(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
        self
    }

    /// These blocks and those up to `distance` blocks away, diagonals included.
    #[must_use]
    pub fn grown(&self, distance: u32) -> Self {
        let mut grown = Self::none(self.width, self.height);
        for row in 0..self.rows() {
            for run in self.runs(row) {
                let columns = run.start.saturating_sub(distance)..run.end + distance;
                for row in row.saturating_sub(distance)..=row + distance {
                    grown.mark_run(columns.clone(), row);
                }
            }
        }
        grown
    }

    /// The pixels of all changed blocks. Runs of the same columns in neighbouring rows make one
    /// rectangle.
    #[must_use]
    pub fn rects(&self) -> Vec<Rect> {
        let mut rects: Vec<Rect> = vec![];
        // The first rectangle that can still grow.
        let mut first = 0;
        for row in 0..self.rows() {
            for run in self.runs(row) {
                let here = self.pixels(&run, row);
                let same = |rect: &&mut Rect| {
                    (rect.x, rect.width, rect.bottom()) == (here.x, here.width, here.y)
                };
                match rects.iter_mut().skip(first).find(same) {
                    Some(rect) => rect.height += here.height,
                    None => rects.push(here),
                }
            }
            while rects.get(first).is_some_and(|rect| rect.bottom() <= row * BLOCK) {
                first += 1;
            }
        }
        rects
    }

    /// The pixels of a run of blocks, within the frame.
    #[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cross_word_boundaries_and_end_at_the_last_block() {
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
    fn a_map_survives_conversion_to_words_and_bits_outside_of_the_frame_are_ignored() {
        let map = ChangedMap::of_rects(&[Rect::new(7, 15, 900, 9)], 1000, 40);
        assert_eq!(ChangedMap::of_words(1000, 40, map.words()), map);
        let all = ChangedMap::of_words(1000, 40, &[u64::MAX; 99]);
        assert_eq!(all, ChangedMap::all(1000, 40));
        assert!(ChangedMap::of_words(1000, 40, &[]).is_empty());
    }

    #[test]
    fn maps_of_the_same_size_are_subtracted_intersected_and_grown() {
        let map = |rects: &[Rect]| ChangedMap::of_rects(rects, 80, 60);
        let (left, top) = (Rect::new(0, 0, 16, 60), Rect::new(0, 0, 80, 8));
        assert_eq!(map(&[left]).without(&map(&[top])), map(&[Rect::new(0, 8, 16, 52)]));
        assert_eq!(map(&[left]).intersection(&map(&[top])), map(&[Rect::new(0, 0, 16, 8)]));
        let grown = map(&[Rect::new(40, 56, 8, 4), Rect::new(0, 0, 8, 8)]).grown(2);
        assert_eq!(grown, map(&[Rect::new(24, 40, 40, 20), Rect::new(0, 0, 24, 24)]));
        assert!(map(&[]).grown(3).is_empty());
    }

    #[test]
    fn rectangles_contain_exactly_the_changed_blocks() {
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
    fn rectangles_mark_every_block_that_they_touch() {
        let map = ChangedMap::of_rects(&[Rect::new(7, 15, 2, 1), Rect::new(30, 0, 0, 9)], 33, 17);
        let marked: Vec<_> = (0..3)
            .flat_map(|row| (0..5).map(move |column| (column, row)))
            .filter(|&(column, row)| map.get(column, row))
            .collect();
        assert_eq!(marked, [(0, 1), (1, 1)]);
        assert_eq!(ChangedMap::all(33, 17).count(), 15);
    }
}

//! Which pixels of a layer changed: one bit per pixel, one word per 4×4 tile.

use super::{
    batch::Tile,
    kernels::{TILE, TILE_PIXELS},
};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    /// Tiles across and down.
    across: usize,
    down: usize,
    words: Vec<u16>,
}

const FULL: u16 = u16::MAX;

/// The bits of rows (first, end) of a tile.
fn rows([first, end]: [usize; 2]) -> u16 {
    (((1u32 << (TILE * (end - first))) - 1) << (TILE * first)) as u16
}

/// The bits of columns (first, end) of a tile.
fn columns([first, end]: [usize; 2]) -> u16 {
    ((((1u32 << (end - first)) - 1) << first) * 0x1111) as u16
}

/// The part of (first, end) that lies in a tile, from its origin.
fn part(tile: usize, [first, end]: [usize; 2]) -> [usize; 2] {
    let origin = tile * TILE;
    [first.saturating_sub(origin).min(TILE), end.saturating_sub(origin).min(TILE)]
}

impl Mask {
    /// Nothing has changed in a picture of `size`: rows, columns.
    pub(crate) fn new([height, width]: [usize; 2]) -> Self {
        let (across, down) = (width.div_ceil(TILE), height.div_ceil(TILE));
        Self { across, down, words: vec![0; across * down] }
    }

    pub(crate) fn fill(&mut self, changed: bool) {
        self.words.fill(if changed { FULL } else { 0 });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.words.iter().all(|&word| word == FULL)
    }

    pub(crate) fn words_mut(&mut self) -> &mut [u16] {
        &mut self.words
    }

    /// The tiles of a rectangle (first row and column, and those after the last) and the part
    /// of each that lies in it.
    fn parts(&self, [top, left, bottom, right]: [i64; 4]) -> impl Iterator<Item = (usize, u16)> {
        let clip = |at: i64, tiles: usize| usize::try_from(at).unwrap_or(0).min(tiles * TILE);
        let vertical = [clip(top, self.down), clip(bottom, self.down)];
        let horizontal = [clip(left, self.across), clip(right, self.across)];
        let (across, empty) = (self.across, vertical[0] >= vertical[1]);
        let tiles = |[first, end]: [usize; 2]| first / TILE..end.div_ceil(TILE);
        let down = if empty || horizontal[0] >= horizontal[1] { 0..0 } else { tiles(vertical) };
        down.flat_map(move |row| {
            let own = rows(part(row, vertical));
            tiles(horizontal)
                .map(move |column| (row * across + column, own & columns(part(column, horizontal))))
        })
    }

    /// Marks a rectangle as changed.
    pub(crate) fn mark(&mut self, rectangle: [i64; 4]) {
        for (index, bits) in self.parts(rectangle).collect::<Vec<_>>() {
            if let Some(word) = self.words.get_mut(index) {
                *word |= bits;
            }
        }
    }

    /// Whether any pixel of a rectangle changed.
    pub(crate) fn any(&self, rectangle: [i64; 4]) -> bool {
        self.parts(rectangle)
            .any(|(index, bits)| self.words.get(index).is_some_and(|word| word & bits != 0))
    }

    /// All tiles, in order.
    pub(crate) fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let across = self.across as u32;
        (0..self.down as u32)
            .flat_map(move |row| (0..across).map(move |column| Tile { row, column }))
    }

    pub(crate) fn count(&self) -> usize {
        self.words.len()
    }
}

const _: () = assert!(TILE_PIXELS == u16::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_rectangle_is_found_by_every_rectangle_that_meets_it() {
        let marked = [3, 5, 9, 6];
        let mut mask = Mask::new([13, 11]);
        mask.mark(marked);
        for top in -2..14 {
            for left in -2..12 {
                for (height, width) in [(1, 1), (6, 6), (3, 9)] {
                    let asked = [top, left, top + height, left + width];
                    let meets = asked[0] < marked[2]
                        && marked[0] < asked[2]
                        && asked[1] < marked[3]
                        && marked[1] < asked[3];
                    assert_eq!(mask.any(asked), meets, "{asked:?}");
                }
            }
        }
    }

    #[test]
    fn rectangles_outside_mark_nothing() {
        let mut mask = Mask::new([8, 8]);
        mask.mark([-4, -4, 0, 0]);
        mask.mark([8, 0, 12, 8]);
        mask.mark([3, 3, 3, 6]);
        assert!(mask.is_empty());
        mask.mark([-4, -4, 12, 12]);
        assert!(mask.is_full());
    }
}

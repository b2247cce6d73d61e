//! A mask of pixels: one bit per pixel, one word per 4×4 tile.

use super::{
    kernels::{TILE, TILE_PIXELS},
    reach::Reach,
    tile::Tile,
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

    /// Marks a rectangle (first row and column, and those after the last).
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

    /// Marks those of `count` pixels from (`y`, `x`) on for which `is_marked` holds, by their
    /// number.
    pub(crate) fn mark_row(
        &mut self,
        y: usize,
        x: usize,
        is_marked: impl Fn(usize) -> bool,
        count: usize,
    ) {
        let row = y / TILE * self.across;
        for at in (0..count).filter(|at| is_marked(*at)) {
            let column = x + at;
            if let Some(word) = self.words.get_mut(row + column / TILE) {
                *word |= 1 << (y % TILE * TILE + column % TILE);
            }
        }
    }

    /// Marks the tiles, as wholes, for which `is_marked` holds.
    pub(crate) fn mark_tiles(&mut self, is_marked: impl Fn(Tile) -> bool) {
        let across = self.across.max(1);
        for (index, word) in self.words.iter_mut().enumerate() {
            let (row, column) = ((index / across) as u32, (index % across) as u32);
            if *word != FULL && is_marked(Tile { row, column }) {
                *word = FULL;
            }
        }
    }

    /// Marks the tiles, as wholes, whose window holds a pixel of `changed`, a mask of the same
    /// size. The window begins `before` pixels (rows, columns) from the tile and has `size`.
    /// Whether it did: windows must reach at most into the tiles around.
    pub(crate) fn mark_near(&mut self, changed: &Self, before: [i64; 2], size: [usize; 2]) -> bool {
        let reach = |before: i64, size: usize| {
            let before = usize::try_from(before).ok()?;
            let after = size.checked_sub(before + TILE)?;
            (before <= TILE && after <= TILE).then_some((before, after))
        };
        let ([top, before], [height, width]) = (before, size);
        let (Some((above, below)), Some((left, right))) =
            (reach(top, height), reach(before, width))
        else {
            return false;
        };
        let across = self.across;
        if across == 0 || (across, self.down) != (changed.across, changed.down) {
            return false;
        }
        let (above, below) = (rows([TILE - above, TILE]), rows([0, below]));
        let (left, right) = (columns([TILE - left, TILE]), columns([0, right]));
        let none = vec![0; across];
        let line = |row: Option<usize>| {
            let words = row.and_then(|row| changed.words.get(row * across..(row + 1) * across));
            words.unwrap_or(&none)
        };
        // For each tile of a row, the pixels of it, of the tile above and of that below which are in
        // the rows of its window.
        let mut near = vec![0u16; across];
        for (row, own) in self.words.chunks_exact_mut(across).enumerate() {
            let [up, here, down] = [row.checked_sub(1), Some(row), Some(row + 1)].map(line);
            for (near, ((up, here), down)) in near.iter_mut().zip(up.iter().zip(here).zip(down)) {
                *near = up & above | here | down & below;
            }
            let before = std::iter::once(&0).chain(&near);
            let after = near.iter().skip(1).chain(std::iter::once(&0));
            for (own, ((here, before), after)) in
                own.iter_mut().zip(near.iter().zip(before).zip(after))
            {
                if here | before & left | after & right != 0 {
                    *own = FULL;
                }
            }
        }
        true
    }

    /// Marks the tiles, as wholes, of some rows of tiles that have a pixel in `other`, a mask of the
    /// same size.
    pub(crate) fn mark_where(&mut self, other: &Self, rows: std::ops::Range<usize>) {
        let words = rows.start * self.across..rows.end * self.across;
        let from = other.words.get(words.clone()).unwrap_or_default();
        for (own, other) in self.words.get_mut(words).unwrap_or_default().iter_mut().zip(from) {
            if *other != 0 {
                *own = FULL;
            }
        }
    }

    /// Marks the tiles, as wholes, that lie in the windows of the marked tiles of `readers`.
    pub(crate) fn mark_windows(&mut self, readers: &Self, reach: Reach) {
        if readers.is_empty() {
            return;
        }
        if readers.is_full() {
            return self.fill(true);
        }
        if let Reach::Window { before, size } = reach {
            // A tile is in the window of those whose mirrored windows are around it.
            let after = [0, 1].map(|axis: usize| {
                let [before, size] = [before.get(axis).copied(), size.get(axis).map(|&s| s as i64)];
                size.unwrap_or(0) - before.unwrap_or(0) - TILE as i64
            });
            if self.mark_near(readers, after, size) {
                return;
            }
        }
        for tile in readers.tiles() {
            for (index, _) in self.parts(reach.rectangle(tile)).collect::<Vec<_>>() {
                if let Some(word) = self.words.get_mut(index) {
                    *word = FULL;
                }
            }
        }
    }

    /// Clears all but some rows of tiles.
    pub(crate) fn keep_rows(&mut self, rows: std::ops::Range<usize>) {
        let across = self.across.max(1);
        for (row, words) in self.words.chunks_mut(across).enumerate() {
            if !rows.contains(&row) {
                words.fill(0);
            }
        }
    }

    /// The tiles that hold a marked pixel, in order.
    pub(crate) fn tiles(&self) -> Vec<Tile> {
        let across = self.across.max(1);
        let marked = self.words.iter().enumerate().filter(|(_, word)| **word != 0);
        let tile = |(index, _): (usize, &u16)| Tile {
            row: (index / across) as u32,
            column: (index % across) as u32,
        };
        marked.map(tile).collect()
    }

    /// The number of rows of tiles.
    pub(crate) fn down(&self) -> usize {
        self.down
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
    fn tiles_near_a_change_are_those_whose_window_holds_it() {
        let size = [26, 19];
        for (y, x) in [(0, 0), (3, 4), (7, 7), (8, 11), (13, 18), (25, 15)] {
            let mut changed = Mask::new(size);
            changed.mark_row(y, x, |at| at == 0, 1);
            for (before, window) in
                [([1, 1], [6, 6]), ([0, 0], [4, 4]), ([2, 0], [9, 5]), ([4, 4], [12, 12])]
            {
                let [mut near, mut expected] = [Mask::new(size), Mask::new(size)];
                assert!(near.mark_near(&changed, before, window));
                expected.mark_tiles(|tile| {
                    let [top, left] = tile.origin();
                    let (top, left) = (top - before[0], left - before[1]);
                    changed.any([top, left, top + window[0] as i64, left + window[1] as i64])
                });
                assert_eq!(near, expected, "({y}, {x}), {before:?}, {window:?}");
                assert!(!near.tiles().is_empty());
            }
        }
        assert!(!Mask::new(size).mark_near(&Mask::new(size), [5, 5], [14, 14]));
        assert!(!Mask::new(size).mark_near(&Mask::new([8, 8]), [1, 1], [6, 6]));
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

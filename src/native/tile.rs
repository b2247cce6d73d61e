//! Tiles of 4×4 pixels: the unit of all work.

use super::kernels::{LANES, Lanes, TILE, TILE_PIXELS};

/// The sixteen pixels of a tile, sixteen channels each.
pub(crate) type Samples = [Lanes; TILE_PIXELS];

pub(crate) const EMPTY: Samples = [Lanes([0.0; LANES]); TILE_PIXELS];

/// A tile by its place in the grid of tiles, which begins at the picture's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tile {
    pub row: u32,
    pub column: u32,
}

impl Tile {
    /// Its first pixel: row, column.
    pub(crate) fn origin(self) -> [i64; 2] {
        [i64::from(self.row) * TILE as i64, i64::from(self.column) * TILE as i64]
    }
}

/// All tiles of a picture of `size` (rows, columns), row after row.
pub(crate) fn all_tiles([height, width]: [usize; 2]) -> Vec<Tile> {
    let across = width.div_ceil(TILE) as u32;
    (0..height.div_ceil(TILE) as u32)
        .flat_map(|row| (0..across).map(move |column| Tile { row, column }))
        .collect()
}

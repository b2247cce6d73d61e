//! How much each block of a frame differs from a reference picture.

use super::changed_map::ChangedMap;

/// For each block, the largest difference of a sample, in 8-bit steps (rounded up for deeper
/// formats).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Distances {
    width: u32,
    height: u32,
    columns: u32,
    /// Row by row.
    steps: Vec<u8>,
}

impl Distances {
    /// No differences, for frames of `width` × `height` pixels.
    pub(crate) fn zero(width: u32, height: u32) -> Self {
        Self::filled(width, height, 0)
    }

    /// The largest possible difference in all blocks, for frames of `width` × `height` pixels.
    pub(crate) fn largest(width: u32, height: u32) -> Self {
        Self::filled(width, height, u8::MAX)
    }

    fn filled(width: u32, height: u32, steps: u8) -> Self {
        let blocks = ChangedMap::none(width, height);
        let columns = blocks.columns();
        Self { width, height, columns, steps: vec![steps; (columns * blocks.rows()) as usize] }
    }

    /// Blocks per row.
    pub(crate) fn columns(&self) -> u32 {
        self.columns
    }

    /// Rows of blocks.
    pub(crate) fn rows(&self) -> u32 {
        (self.steps.len() as u32).checked_div(self.columns).unwrap_or_default()
    }

    /// Raises the distance of a block to `steps` if it is less.
    pub(crate) fn raise(&mut self, column: u32, row: u32, steps: u8) {
        if let Some(own) = self.steps.get_mut((row * self.columns + column) as usize) {
            *own = (*own).max(steps);
        }
    }

    /// The blocks that differ by more than `steps`.
    pub(crate) fn above(&self, steps: u8) -> ChangedMap {
        let mut map = ChangedMap::none(self.width, self.height);
        let mut distances = self.steps.iter();
        for row in 0..map.rows() {
            for (column, distance) in (0..map.columns()).zip(&mut distances) {
                if *distance > steps {
                    map.mark(column, row);
                }
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Rect;

    #[test]
    fn the_largest_difference_of_a_block_counts() {
        let mut distances = Distances::zero(20, 10);
        distances.raise(2, 1, 5);
        distances.raise(2, 1, 3);
        distances.raise(0, 0, 4);
        let map = |rects: &[Rect]| ChangedMap::of_rects(rects, 20, 10);
        let (first, last) = (Rect::new(0, 0, 8, 8), Rect::new(16, 8, 4, 2));
        assert_eq!(distances.above(3), map(&[first, last]));
        assert_eq!(distances.above(4), map(&[last]));
        assert!(distances.above(5).is_empty());
        assert_eq!(Distances::largest(20, 10).above(254), ChangedMap::all(20, 10));
    }
}

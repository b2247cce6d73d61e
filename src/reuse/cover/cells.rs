//! Rectangles of cells.

/// The cells in columns `x..right` and rows `y..bottom` of a [`CellMask`](super::CellMask).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cells {
    pub x: usize,
    pub right: usize,
    pub y: usize,
    pub bottom: usize,
}

impl Cells {
    /// The smallest rectangle that contains both.
    pub(crate) fn union(&self, other: &Self) -> Self {
        Self {
            x: self.x.min(other.x),
            right: self.right.max(other.right),
            y: self.y.min(other.y),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// Whether both have a cell in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.right
            && other.x < self.right
            && self.y < other.bottom
            && other.y < self.bottom
    }

    /// Whether `other` lies inside.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.union(other) == *self
    }
}

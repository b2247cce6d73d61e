//! The cells of a rectangle, projected onto its columns and onto its rows.

use super::{cell_mask::CellMask, cells::Cells};
use crate::reuse::bits::{self, WORD};

/// What each column of a rectangle contains; or each row, with the axes exchanged.
pub(super) struct Projection {
    /// For each column, its first cell and the one after its last. The first is the greater one if
    /// there are none.
    extents: Vec<(usize, usize)>,
    /// For each column, the number of pixels of its cells.
    pixels: Vec<u64>,
    /// For each column, whether it differs from the one before.
    pub differs: Vec<bool>,
}

/// The bounds of the cells in neighbouring columns (or rows).
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// The first column that contains a cell, and the one after the last.
    pub along: (usize, usize),
    /// The first cell in any of the columns, and the one after the last.
    pub across: (usize, usize),
    /// The number of pixels of the cells.
    pub pixels: u64,
}

impl Bounds {
    const EMPTY: Self = Self { along: (usize::MAX, 0), across: (usize::MAX, 0), pixels: 0 };

    fn with(self, index: usize, extent: (usize, usize), pixels: u64) -> Self {
        if extent.0 >= extent.1 {
            return self;
        }
        Self {
            along: (self.along.0.min(index), self.along.1.max(index + 1)),
            across: (self.across.0.min(extent.0), self.across.1.max(extent.1)),
            pixels: self.pixels + pixels,
        }
    }
}

impl Projection {
    fn new(length: usize) -> Self {
        Self {
            extents: vec![(usize::MAX, 0); length],
            pixels: vec![0; length],
            differs: vec![false; length],
        }
    }

    /// The projections onto the columns and onto the rows of `cells`.
    pub(crate) fn both(mask: &CellMask, cells: Cells) -> (Self, Self) {
        let Cells { x, right, y, bottom } = cells;
        let (mut columns, mut rows) = (Self::new(right - x), Self::new(bottom - y));
        let mut inside = mask.blank_row();
        bits::set(&mut inside, x..right);
        let mut changes = mask.blank_row();
        let mut seen = mask.blank_row();
        // The differences in height between the cells of a column and of the one before.
        let mut steps = vec![0i64; right - x + 1];
        for row in y..bottom {
            let height = mask.y_interval(row, row + 1).length();
            let mut width = 0;
            for (from, to) in mask.runs(row, x, right) {
                rows.extend(row - y, from, to);
                width += mask.x_interval(from, to).length();
                for (at, step) in [(from, i64::from(height)), (to, -i64::from(height))] {
                    steps.iter_mut().skip(at - x).take(1).for_each(|steps| *steps += step);
                    bits::set(&mut changes, at..at + 1);
                }
            }
            rows.set(row - y, u64::from(width) * u64::from(height), || {
                let words = mask.row(row).iter().zip(mask.row(row.saturating_sub(1)));
                words.zip(&inside).any(|((word, above), inside)| (word ^ above) & inside != 0)
            });
            new_columns(&mut seen, &inside, mask.row(row), |column| {
                columns.extend(column - x, row, row + 1);
            });
        }
        seen.fill(0);
        for row in (y..bottom).rev() {
            new_columns(&mut seen, &inside, mask.row(row), |column| {
                columns.extend(column - x, row, row + 1);
            });
        }
        let mut height = 0;
        for (column, step) in (x..right).zip(&steps) {
            height += step;
            let width = mask.x_interval(column, column + 1).length();
            columns.set(column - x, height.unsigned_abs() * u64::from(width), || {
                bits::get(&changes, column)
            });
        }
        (columns, rows)
    }

    fn extend(&mut self, index: usize, from: usize, to: usize) {
        if let Some(extent) = self.extents.get_mut(index) {
            *extent = (extent.0.min(from), extent.1.max(to));
        }
    }

    fn set(&mut self, index: usize, pixels: u64, differs: impl Fn() -> bool) {
        if let (Some(place), Some(flag)) = (self.pixels.get_mut(index), self.differs.get_mut(index))
        {
            *place = pixels;
            *flag = index > 0 && differs();
        }
    }

    /// The bounds of all cells.
    pub(crate) fn bounds(&self) -> Bounds {
        self.items().fold(Bounds::EMPTY, |bounds, (index, extent, pixels)| {
            bounds.with(index, extent, pixels)
        })
    }

    fn items(&self) -> impl DoubleEndedIterator<Item = (usize, (usize, usize), u64)> {
        let items = self.extents.iter().zip(&self.pixels).enumerate();
        items.map(|(index, (extent, pixels))| (index, *extent, *pixels))
    }

    /// For each column, the bounds of the cells before it.
    pub(crate) fn before(&self) -> Vec<Bounds> {
        let mut bounds = Bounds::EMPTY;
        let all = self.items().map(|(index, extent, pixels)| {
            let next = bounds.with(index, extent, pixels);
            std::mem::replace(&mut bounds, next)
        });
        all.collect()
    }

    /// For each column, the bounds of the cells in it and after it.
    pub(crate) fn at_and_after(&self) -> Vec<Bounds> {
        let mut bounds = Bounds::EMPTY;
        let all = self.items().rev().map(|(index, extent, pixels)| {
            bounds = bounds.with(index, extent, pixels);
            bounds
        });
        let mut all: Vec<_> = all.collect();
        all.reverse();
        all
    }
}

/// Calls `found` for each column that has a cell in `row` and is not in `seen`, and adds it to
/// `seen`.
fn new_columns(seen: &mut [u64], inside: &[u64], row: &[u64], mut found: impl FnMut(usize)) {
    for (index, ((word, inside), seen)) in row.iter().zip(inside).zip(seen).enumerate() {
        let mut new = word & inside & !*seen;
        *seen |= new;
        while new != 0 {
            found(index * WORD + new.trailing_zeros() as usize);
            new &= new - 1;
        }
    }
}

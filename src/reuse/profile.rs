//! What a rectangle of cells holds, column by column and row by row.

use super::{changed_map::set_bits, cover::Cells, mask::Mask};

/// What lies in the columns, or rows, of a rectangle of cells, each by itself.
pub(super) struct Profile {
    /// First and one past the last cell of each; the first is beyond where there is none.
    extent: Vec<(usize, usize)>,
    /// Pixels of the cells.
    pixels: Vec<u64>,
    /// Whether it differs from the one before.
    pub differs: Vec<bool>,
}

/// What some neighbouring columns, or rows, hold.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// First and one past the last that hold anything.
    pub along: (usize, usize),
    /// First and one past the last cell in any of them.
    pub across: (usize, usize),
    pub pixels: u64,
}

impl Part {
    const NOTHING: Self = Self { along: (usize::MAX, 0), across: (usize::MAX, 0), pixels: 0 };

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

impl Profile {
    fn new(length: usize) -> Self {
        Self {
            extent: vec![(usize::MAX, 0); length],
            pixels: vec![0; length],
            differs: vec![false; length],
        }
    }

    /// Of the columns and of the rows of `cells`.
    pub fn both(mask: &Mask, cells: Cells) -> (Self, Self) {
        let Cells { x, right, y, bottom } = cells;
        let (mut columns, mut rows) = (Self::new(right - x), Self::new(bottom - y));
        let mut inside = mask.blank_row();
        set_bits(&mut inside, x..right);
        let mut changes = mask.blank_row();
        let mut seen = mask.blank_row();
        // Where the pixels of a column begin and cease to be more.
        let mut steps = vec![0i64; right - x + 1];
        for row in y..bottom {
            let height = mask.down(row, row + 1).length();
            let mut width = 0;
            for (from, to) in mask.runs(row, x, right) {
                rows.widen(row - y, from, to);
                width += mask.across(from, to).length();
                for (at, step) in [(from, i64::from(height)), (to, -i64::from(height))] {
                    steps.iter_mut().skip(at - x).take(1).for_each(|steps| *steps += step);
                    set_bits(&mut changes, at..at + 1);
                }
            }
            rows.set(row - y, u64::from(width) * u64::from(height), || {
                let words = mask.row(row).iter().zip(mask.row(row.saturating_sub(1)));
                words.zip(&inside).any(|((word, above), inside)| (word ^ above) & inside != 0)
            });
            new_columns(&mut seen, &inside, mask.row(row), |column| {
                columns.widen(column - x, row, row + 1);
            });
        }
        seen.fill(0);
        for row in (y..bottom).rev() {
            new_columns(&mut seen, &inside, mask.row(row), |column| {
                columns.widen(column - x, row, row + 1);
            });
        }
        let mut height = 0;
        for (column, step) in (x..right).zip(&steps) {
            height += step;
            let width = mask.across(column, column + 1).length();
            columns.set(column - x, height.unsigned_abs() * u64::from(width), || {
                changes.get(column / 64).is_some_and(|word| word >> (column % 64) & 1 == 1)
            });
        }
        (columns, rows)
    }

    fn widen(&mut self, index: usize, from: usize, to: usize) {
        if let Some(extent) = self.extent.get_mut(index) {
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

    /// All of it.
    pub fn whole(&self) -> Part {
        self.items()
            .fold(Part::NOTHING, |part, (index, extent, pixels)| part.with(index, extent, pixels))
    }

    fn items(&self) -> impl DoubleEndedIterator<Item = (usize, (usize, usize), u64)> {
        let items = self.extent.iter().zip(&self.pixels).enumerate();
        items.map(|(index, (extent, pixels))| (index, *extent, *pixels))
    }

    /// For each place to cut (before an item): what is before it.
    pub fn before(&self) -> Vec<Part> {
        let mut part = Part::NOTHING;
        let parts = self.items().map(|(index, extent, pixels)| {
            let next = part.with(index, extent, pixels);
            std::mem::replace(&mut part, next)
        });
        parts.collect()
    }

    /// For each place to cut: what is behind it.
    pub fn behind(&self) -> Vec<Part> {
        let mut part = Part::NOTHING;
        let parts = self.items().rev().map(|(index, extent, pixels)| {
            part = part.with(index, extent, pixels);
            part
        });
        let mut parts: Vec<_> = parts.collect();
        parts.reverse();
        parts
    }
}

/// Calls `found` for each column that has a cell in `row` and is not in `seen`, and adds it there.
fn new_columns(seen: &mut [u64], inside: &[u64], row: &[u64], mut found: impl FnMut(usize)) {
    for (index, ((word, inside), seen)) in row.iter().zip(inside).zip(seen).enumerate() {
        let mut new = word & inside & !*seen;
        *seen |= new;
        while new != 0 {
            found(index * 64 + new.trailing_zeros() as usize);
            new &= new - 1;
        }
    }
}

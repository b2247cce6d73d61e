//! The cheapest rectangles that cover a set of cells, found by cutting.
//!
//! The smallest rectangle around everything is cut in two along a line, each part is shrunk to
//! what it holds, and so on, as long as it pays. Cutting through from side to side is enough:
//! overlaps never pay, since affected places are wider than the halo is (each is a block with
//! at least the halo on both sides).

use std::collections::HashMap;

use super::{
    changed_map::{next_bit, set_bits},
    cost::CostModel,
    span::Direction,
};

/// Cuts that are followed at each step while there is time: all where there are this few …
const FEW: usize = 12;
/// … else those that look best.
const BEST: usize = 3;
/// Words and lines that may be looked at before only the best cut is followed; twice as many end
/// the search. Set so that planning at 1920×1080 stays well under a millisecond.
const BUDGET: usize = 30_000;

/// Columns `x..right`, rows `y..bottom` of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cells {
    pub x: usize,
    pub right: usize,
    pub y: usize,
    pub bottom: usize,
}

/// A bit per cell.
pub(super) struct Mask {
    pub columns: usize,
    pub rows: usize,
    words_per_row: usize,
    words: Vec<u64>,
}

impl Mask {
    pub fn new(columns: usize, rows: usize) -> Self {
        let words_per_row = columns.div_ceil(64);
        Self { columns, rows, words_per_row, words: vec![0; words_per_row * rows] }
    }

    fn row(&self, y: usize) -> &[u64] {
        let start = y * self.words_per_row;
        self.words.get(start..start + self.words_per_row).unwrap_or_default()
    }

    /// Adds `bits` to rows `from..to`.
    pub fn add(&mut self, bits: &[u64], from: usize, to: usize) {
        for row in self.words.chunks_mut(self.words_per_row.max(1)).take(to).skip(from) {
            row.iter_mut().zip(bits).for_each(|(word, bits)| *word |= bits);
        }
    }

    /// An empty row of as many words.
    pub fn blank_row(&self) -> Vec<u64> {
        vec![0; self.words_per_row]
    }

    /// Runs of cells in row `y`, from column `from` up to `to`.
    fn runs(&self, y: usize, from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
        let row = self.row(y);
        let mut at = from;
        std::iter::from_fn(move || {
            let start = next_bit(row, at, true).filter(|start| *start < to)?;
            let end = next_bit(row, start, false).unwrap_or(to).min(to);
            at = end;
            Some((start, end))
        })
    }
}

/// What lies in the columns, or rows, of a rectangle of cells, each by itself.
struct Profile {
    /// First and one past the last cell; none where they are equal.
    extent: Vec<(usize, usize)>,
    /// Pixels of the cells.
    pixels: Vec<u64>,
    /// Whether it differs from the one before.
    differs: Vec<bool>,
}

impl Profile {
    fn new(length: usize) -> Self {
        Self {
            extent: vec![(usize::MAX, 0); length],
            pixels: vec![0; length],
            differs: vec![false; length],
        }
    }

    fn widen(&mut self, index: usize, from: usize, to: usize) {
        if let Some(extent) = self.extent.get_mut(index) {
            *extent = (extent.0.min(from), extent.1.max(to));
        }
    }

    /// For each place to cut (before item `i`): what is before it, as first and end along,
    /// across, and pixels.
    fn before(&self) -> Vec<Part> {
        let mut part = Part { along: (usize::MAX, 0), across: (usize::MAX, 0), pixels: 0 };
        let mut parts = Vec::with_capacity(self.extent.len());
        for (index, (extent, pixels)) in self.extent.iter().zip(&self.pixels).enumerate() {
            parts.push(part);
            part = part.with(index, *extent, *pixels);
        }
        parts
    }

    /// The same for what is behind it.
    fn behind(&self) -> Vec<Part> {
        let mut part = Part { along: (usize::MAX, 0), across: (usize::MAX, 0), pixels: 0 };
        let items = self.extent.iter().zip(&self.pixels).enumerate().rev();
        let mut parts: Vec<_> = items
            .map(|(index, (extent, pixels))| {
                part = part.with(index, *extent, *pixels);
                part
            })
            .collect();
        parts.reverse();
        parts
    }
}

/// What one side of a cut holds.
#[derive(Clone, Copy)]
struct Part {
    along: (usize, usize),
    across: (usize, usize),
    pixels: u64,
}

impl Part {
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

struct Cut {
    one: Cells,
    other: Cells,
    /// The least that either could cost.
    least: (f64, f64),
    /// What both cost as they are.
    cost: f64,
}

/// What is known of the cells of a rectangle.
#[derive(Clone, Copy)]
struct Known {
    /// Seconds; a lower bound where it is not exact.
    cost: f64,
    exact: bool,
    cut: Option<(Cells, Cells)>,
}

/// The search for one frame.
pub(super) struct Search<'a> {
    pub mask: &'a Mask,
    pub x: &'a Direction,
    pub y: &'a Direction,
    pub model: CostModel,
    known: HashMap<Cells, Known>,
    work: usize,
}

impl<'a> Search<'a> {
    pub fn new(mask: &'a Mask, x: &'a Direction, y: &'a Direction, model: CostModel) -> Self {
        Self { mask, x, y, model, known: HashMap::new(), work: 0 }
    }

    /// Rectangles that cover all cells at less than `limit` seconds, if there are.
    pub fn run(&mut self, limit: f64) -> Option<Vec<Cells>> {
        let all = Cells { x: 0, right: self.mask.columns, y: 0, bottom: self.mask.rows };
        let (columns, rows) = self.profiles(all);
        let whole = rows.behind().first().copied()?;
        if whole.pixels == 0 {
            return Some(vec![]);
        }
        let across = columns.behind().first()?.along;
        let tight = Cells { x: across.0, right: across.1, y: whole.along.0, bottom: whole.along.1 };
        if self.least(whole.pixels, tight) >= limit || self.best(tight, limit) >= limit {
            return None;
        }
        let mut rects = vec![];
        let mut rest = vec![tight];
        while let Some(cells) = rest.pop() {
            match self.known.get(&cells).and_then(|known| known.cut) {
                Some((one, other)) => rest.extend([one, other]),
                None => rects.push(cells),
            }
        }
        Some(rects)
    }

    /// Seconds for `cells` as one rectangle.
    pub fn cost(&self, cells: Cells) -> f64 {
        let (columns, width) = self.x.size(self.x.pixels(cells.x, cells.right));
        let (rows, height) = self.y.size(self.y.pixels(cells.y, cells.bottom));
        self.model.seconds(columns * rows, width * height)
    }

    /// The least that covering `pixels` within `cells` can cost.
    fn least(&self, pixels: u64, cells: Cells) -> f64 {
        self.least_in(pixels, cells, 1.0)
    }

    /// The same in `parts` rectangles, which are squares at best.
    fn least_in(&self, pixels: u64, cells: Cells, parts: f64) -> f64 {
        let inside = |direction: &Direction, from, to| {
            let span = direction.pixels(from, to);
            span.start > direction.halo && span.end + direction.halo < direction.length
        };
        let inside = inside(self.x, cells.x, cells.right) && inside(self.y, cells.y, cells.bottom);
        let halo = if inside { 2.0 * f64::from(self.x.halo) } else { 0.0 };
        let area = pixels as f64;
        let read = area + 2.0 * halo * area.sqrt() + parts * halo * halo;
        self.model.per_call * parts + self.model.per_pixel * read
    }

    /// The least cost that is found for `cells`, which are shrunk to what they hold; any number
    /// of at least `limit` where it is not below that.
    fn best(&mut self, cells: Cells, limit: f64) -> f64 {
        if let Some(known) = self.known.get(&cells)
            && (known.exact || known.cost >= limit)
        {
            return known.cost;
        }
        let mut known = Known { cost: self.cost(cells), exact: true, cut: None };
        if self.work < 2 * BUDGET {
            let (pixels, mut cuts) = self.cuts(cells);
            if self.least_in(pixels, cells, 2.0) < known.cost.min(limit) {
                let followed = match cuts.len() {
                    _ if self.work > BUDGET => 1,
                    0..=FEW => FEW,
                    _ => BEST,
                };
                cuts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
                for cut in cuts.iter().take(followed) {
                    self.follow(cut, limit, &mut known);
                }
            }
        }
        if known.cost >= limit {
            known = Known { cost: limit, exact: false, cut: None };
        }
        self.known.insert(cells, known);
        known.cost
    }

    fn follow(&mut self, cut: &Cut, limit: f64, known: &mut Known) {
        let limit = known.cost.min(limit);
        if cut.least.0 + cut.least.1 >= limit {
            return;
        }
        let one = self.best(cut.one, limit - cut.least.1);
        if one + cut.least.1 >= limit {
            return;
        }
        let cost = one + self.best(cut.other, limit - one);
        if cost < limit {
            *known = Known { cost, exact: true, cut: Some((cut.one, cut.other)) };
        }
    }

    /// The pixels that `cells` hold, and every cut that can be of use.
    fn cuts(&mut self, cells: Cells) -> (u64, Vec<Cut>) {
        let (columns, rows) = self.profiles(cells);
        let mut cuts = vec![];
        let Cells { x, y, .. } = cells;
        let upright = |part: &Part| Cells {
            x: x + part.along.0,
            right: x + part.along.1,
            y: part.across.0,
            bottom: part.across.1,
        };
        let level = |part: &Part| Cells {
            x: part.across.0,
            right: part.across.1,
            y: y + part.along.0,
            bottom: y + part.along.1,
        };
        self.cuts_along(&columns, upright, &mut cuts);
        self.cuts_along(&rows, level, &mut cuts);
        self.work += 4 * cuts.len();
        (rows.pixels.iter().sum(), cuts)
    }

    fn cuts_along(&self, profile: &Profile, cells: impl Fn(&Part) -> Cells, cuts: &mut Vec<Cut>) {
        let parts = profile.before().into_iter().zip(profile.behind());
        for ((before, behind), differs) in parts.zip(&profile.differs) {
            if *differs && before.pixels > 0 && behind.pixels > 0 {
                let (one, other) = (cells(&before), cells(&behind));
                let least = (self.least(before.pixels, one), self.least(behind.pixels, other));
                cuts.push(Cut { one, other, least, cost: self.cost(one) + self.cost(other) });
            }
        }
    }

    /// What the columns and the rows of `cells` hold.
    fn profiles(&mut self, cells: Cells) -> (Profile, Profile) {
        let Cells { x, right, y, bottom } = cells;
        let (first, end) = (x / 64, right.div_ceil(64));
        let mut inside = self.mask.blank_row();
        set_bits(&mut inside, x..right);
        let (mut columns, mut rows) = (Profile::new(right - x), Profile::new(bottom - y));
        let mut changes = vec![0u64; self.mask.words_per_row];
        let mut edges = vec![0i64; right - x + 1];
        let mut seen = vec![0u64; self.mask.words_per_row];
        for row in y..bottom {
            let height = self.y.pixels(row, row + 1).length();
            let mut width = 0;
            for (from, to) in self.mask.runs(row, x, right) {
                rows.widen(row - y, from, to);
                width += self.x.pixels(from, to).length();
                if let Some(edge) = edges.get_mut(from - x) {
                    *edge += i64::from(height);
                }
                if let Some(edge) = edges.get_mut(to - x) {
                    *edge -= i64::from(height);
                }
                set_bits(&mut changes, from..from + 1);
                set_bits(&mut changes, to..to + 1);
            }
            if let Some(pixels) = rows.pixels.get_mut(row - y) {
                *pixels = u64::from(width) * u64::from(height);
            }
            if row > y
                && let Some(differs) = rows.differs.get_mut(row - y)
            {
                let words = self.mask.row(row).iter().zip(self.mask.row(row - 1)).zip(&inside);
                *differs = words
                    .skip(first)
                    .take(end - first)
                    .any(|((word, above), inside)| (word ^ above) & inside != 0);
            }
            self.new_columns(&mut seen, &inside, row, |column| {
                columns.widen(column - x, row, row + 1);
            });
        }
        seen.fill(0);
        for row in (y..bottom).rev() {
            self.new_columns(&mut seen, &inside, row, |column| {
                columns.widen(column - x, row, row + 1);
            });
        }
        let mut height = 0;
        for (column, (pixels, edge)) in columns.pixels.iter_mut().zip(&edges).enumerate() {
            height += edge;
            let width = self.x.pixels(x + column, x + column + 1).length();
            *pixels = height as u64 * u64::from(width);
        }
        for (column, differs) in columns.differs.iter_mut().enumerate().skip(1) {
            let word = changes.get((x + column) / 64).copied().unwrap_or(0);
            *differs = word >> ((x + column) % 64) & 1 == 1;
        }
        self.work += 2 * (bottom - y) * (end - first) + right - x;
        (columns, rows)
    }

    /// Calls `found` for each column that has a cell in this row and is not in `seen`, and adds
    /// it there.
    fn new_columns(
        &self,
        seen: &mut [u64],
        inside: &[u64],
        row: usize,
        mut found: impl FnMut(usize),
    ) {
        let words = self.mask.row(row).iter().zip(inside).zip(seen);
        for (index, ((word, inside), seen)) in words.enumerate() {
            let mut new = word & inside & !*seen;
            *seen |= new;
            while new != 0 {
                found(index * 64 + new.trailing_zeros() as usize);
                new &= new - 1;
            }
        }
    }
}

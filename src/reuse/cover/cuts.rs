//! The search for a cover by guillotine cuts: a rectangle is cut in two along a line, each half is
//! shrunk to its cells, and so on while that reduces the cost.

use std::collections::HashMap;

use super::{
    cell_mask::CellMask,
    cells::Cells,
    costs::Costs,
    projection::{Bounds, Projection},
};

/// The greatest number of rectangles that are joined in pairs.
const MAX_JOINED: usize = 16;

/// How much a search may do.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// All cuts of a rectangle are followed if there are at most this many …
    pub max_cuts: usize,
    /// … otherwise this many of the best.
    pub best_cuts: usize,
    /// The number of lines and words that the search may read.
    pub budget: usize,
}

/// The search for the cheapest cuts.
pub(super) struct CutSearch<'a> {
    mask: &'a CellMask,
    costs: &'a Costs<'a>,
    /// The limits, with the remaining budget.
    effort: Effort,
    known: HashMap<Cells, Known>,
}

/// What is known of a rectangle.
#[derive(Clone, Copy)]
struct Known {
    /// Seconds; a lower bound unless it is exact.
    cost: f64,
    exact: bool,
    /// The halves of the best cut, if cutting pays.
    halves: Option<(Cells, Cells)>,
}

/// A cut of a rectangle in two.
struct Cut {
    one: Cells,
    other: Cells,
    /// The number of pixels that each half contains.
    pixels: (u64, u64),
    /// The cost of both halves if they are not cut any further.
    cost: f64,
}

impl<'a> CutSearch<'a> {
    pub(crate) fn new(mask: &'a CellMask, costs: &'a Costs<'a>, effort: Effort) -> Self {
        Self { mask, costs, effort, known: HashMap::new() }
    }

    /// Whether the search ended early.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.effort.budget == 0
    }

    /// The cost and the rectangles that cover `all`, which contains `pixels` pixels, if that is
    /// below `limit`.
    pub(crate) fn run(&mut self, all: Cells, pixels: u64, limit: f64) -> Option<(f64, Vec<Cells>)> {
        if self.costs.lower_bound(pixels, all, 1.0) >= limit {
            return None;
        }
        let cost = self.cheapest(all, limit);
        if cost >= limit {
            return None;
        }
        let mut rects = vec![];
        let mut rest = vec![all];
        while let Some(cells) = rest.pop() {
            match self.known.get(&cells).and_then(|known| known.halves) {
                Some((one, other)) => rest.extend([one, other]),
                None => rects.push(cells),
            }
        }
        self.join(&mut rects);
        Some((self.costs.total(&rects).min(cost), rects))
    }

    /// Replaces two rectangles, and all others between them, by the one around them while that
    /// reduces the cost. The result may overlap other rectangles, which cuts alone do not find.
    fn join(&self, rects: &mut Vec<Cells>) {
        while rects.len() <= MAX_JOINED {
            let mut best = (0.0, None);
            for (index, one) in rects.iter().enumerate() {
                for other in rects.iter().skip(index + 1) {
                    let both = one.union(other);
                    let inside = rects.iter().filter(|cells| both.contains(cells));
                    let saved: f64 = inside.map(|cells| self.costs.of(*cells)).sum();
                    let saved = saved - self.costs.of(both);
                    if saved > best.0 {
                        best = (saved, Some(both));
                    }
                }
            }
            let Some(both) = best.1 else { return };
            rects.retain(|cells| !both.contains(cells));
            rects.push(both);
        }
    }

    /// The lowest cost that was found for `cells`, which are shrunk to their content; some number
    /// that is at least `limit` if the cost is not below that.
    fn cheapest(&mut self, cells: Cells, limit: f64) -> f64 {
        if let Some(known) = self.known.get(&cells)
            && (known.exact || known.cost >= limit)
        {
            return known.cost;
        }
        let mut known = Known { cost: self.costs.of(cells), exact: true, halves: None };
        if self.effort.budget > 0 {
            let (pixels, mut cuts) = self.cuts(cells);
            if self.costs.lower_bound(pixels, cells, 2.0) < known.cost.min(limit) {
                cuts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
                let Effort { max_cuts, best_cuts, .. } = self.effort;
                let followed = if cuts.len() <= max_cuts { max_cuts } else { best_cuts };
                for cut in cuts.iter().take(followed) {
                    self.follow(cut, limit, &mut known);
                }
            }
        }
        if known.cost >= limit {
            known = Known { cost: limit, exact: false, halves: None };
        }
        self.known.insert(cells, known);
        known.cost
    }

    /// Searches both halves of a cut, and updates `known` if they are cheaper.
    fn follow(&mut self, cut: &Cut, limit: f64, known: &mut Known) {
        let limit = known.cost.min(limit);
        let least_other = self.costs.lower_bound(cut.pixels.1, cut.other, 1.0);
        if self.costs.lower_bound(cut.pixels.0, cut.one, 1.0) + least_other >= limit {
            return;
        }
        // The comparisons use the same numbers that limit the search, because of rounding.
        let limit_one = limit - least_other;
        let one = self.cheapest(cut.one, limit_one);
        if one >= limit_one {
            return;
        }
        let limit_other = limit - one;
        let other = self.cheapest(cut.other, limit_other);
        if other < limit_other && one + other < limit {
            *known = Known { cost: one + other, exact: true, halves: Some((cut.one, cut.other)) };
        }
    }

    /// The number of pixels that `cells` contain, and all cuts that can reduce the cost.
    fn cuts(&mut self, cells: Cells) -> (u64, Vec<Cut>) {
        let (columns, rows) = Projection::both(self.mask, cells);
        let Cells { x, right, y, bottom } = cells;
        let mut cuts = vec![];
        let of_columns = |bounds: &Bounds| Cells {
            x: x + bounds.along.0,
            right: x + bounds.along.1,
            y: bounds.across.0,
            bottom: bounds.across.1,
        };
        let of_rows = |bounds: &Bounds| Cells {
            x: bounds.across.0,
            right: bounds.across.1,
            y: y + bounds.along.0,
            bottom: y + bounds.along.1,
        };
        self.add_cuts(&columns, of_columns, &mut cuts);
        self.add_cuts(&rows, of_rows, &mut cuts);
        let work = (bottom - y) * self.mask.words_per_row() + right - x + cuts.len();
        self.effort.budget = self.effort.budget.saturating_sub(work);
        (rows.bounds().pixels, cuts)
    }

    fn add_cuts(
        &self,
        projection: &Projection,
        cells: impl Fn(&Bounds) -> Cells,
        cuts: &mut Vec<Cut>,
    ) {
        let halves = projection.before().into_iter().zip(projection.at_and_after());
        for ((before, behind), differs) in halves.zip(&projection.differs) {
            if *differs && before.pixels > 0 && behind.pixels > 0 {
                let (one, other) = (cells(&before), cells(&behind));
                let pixels = (before.pixels, behind.pixels);
                let cost = self.costs.of(one) + self.costs.of(other);
                cuts.push(Cut { one, other, pixels, cost });
            }
        }
    }
}

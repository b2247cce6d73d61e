//! The cheapest rectangles that cover a set of cells, found by cutting.
//!
//! The smallest rectangle around everything is cut in two along a line, each part is shrunk to
//! what it holds, and so on, as long as it pays. Then rectangles are joined where that pays, and
//! [trade](super::trade) cells: two that cross may be better than three that do not.

use std::collections::HashMap;

use super::{
    cost::CostModel,
    mask::Mask,
    profile::{Part, Profile},
    span::{Direction, Span},
    trade::Trade,
};

/// Where there are this few cuts, all are followed in the thorough search, and this few
/// rectangles are tried in pairs …
const FEW: usize = 16;
/// … else those that look best.
const BEST: usize = 4;
/// Lines and words that the quick and the thorough search may look at. Set so that planning at
/// 1920×1080 takes some tenths of a millisecond at most.
const BUDGETS: [usize; 2] = [5_500, 2_000];
/// Rows of rectangles that trading may look at.
const TRADES: usize = 40_000;

/// Columns `x..right`, rows `y..bottom` of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cells {
    pub x: usize,
    pub right: usize,
    pub y: usize,
    pub bottom: usize,
}

impl Cells {
    pub fn union(&self, other: &Self) -> Self {
        Self {
            x: self.x.min(other.x),
            right: self.right.max(other.right),
            y: self.y.min(other.y),
            bottom: self.bottom.max(other.bottom),
        }
    }

    pub fn meets(&self, other: &Self) -> bool {
        self.x < other.right
            && other.x < self.right
            && self.y < other.bottom
            && other.y < self.bottom
    }

    fn contains(&self, other: &Self) -> bool {
        self.union(other) == *self
    }
}

/// Covers all cells of `mask` at less than `limit` seconds, if there is a way: each rectangle as
/// pixels across and down.
pub(super) fn cover(
    mask: &Mask,
    x: &Direction,
    y: &Direction,
    model: CostModel,
    limit: f64,
) -> Option<Vec<(Span, Span)>> {
    let everything = Cells { x: 0, right: mask.columns(), y: 0, bottom: mask.rows() };
    let (columns, rows) = Profile::both(mask, everything);
    let (across, down) = (columns.whole(), rows.whole());
    if down.pixels == 0 {
        return Some(vec![]);
    }
    let (x_ends, y_ends) = (across.along, down.along);
    let all = Cells { x: x_ends.0, right: x_ends.1, y: y_ends.0, bottom: y_ends.1 };
    let costs = Costs::new(mask, x, y, model);
    // First by the best cut alone, which is quick and sets a limit to the thorough search.
    let mut found = None;
    let mut limit = limit;
    for ((few, best), budget) in [(1, 1), (FEW, BEST)].into_iter().zip(BUDGETS) {
        let known = HashMap::new();
        let mut search = Search { mask, costs: &costs, few, best, known, budget };
        if let Some((cost, rects)) = search.run(all, down.pixels, limit) {
            (found, limit) = (Some(rects), cost);
        } else if search.budget == 0 {
            // Noise all over: more thought would not pay for itself.
            break;
        }
    }
    // Then without cuts, from what was found and from the pieces as they are.
    if let Some(mut trade) = Trade::new(mask, &costs, TRADES) {
        for mut rects in found.take().into_iter().chain(trade.pieces().collect::<Vec<_>>()) {
            trade.improve(&mut rects);
            let cost = trade.total(&rects);
            if cost < limit || found.is_none() && cost <= limit {
                (found, limit) = (Some(rects), cost);
            }
        }
    }
    let pixels =
        |cells: Cells| (mask.across(cells.x, cells.right), mask.down(cells.y, cells.bottom));
    found.map(|rects| rects.into_iter().map(pixels).collect())
}

/// What rectangles of cells cost.
pub(super) struct Costs<'a> {
    mask: &'a Mask,
    x: &'a Direction,
    y: &'a Direction,
    /// For each line across and down, what regions that end there read.
    ends: [Vec<Span>; 2],
    model: CostModel,
}

impl<'a> Costs<'a> {
    fn new(mask: &'a Mask, x: &'a Direction, y: &'a Direction, model: CostModel) -> Self {
        let ends = |direction: &Direction, lines: &[u32]| {
            lines.iter().map(|line| direction.reach(*line)).collect::<Vec<_>>()
        };
        Self { mask, x, y, ends: [ends(x, mask.lines(0)), ends(y, mask.lines(1))], model }
    }

    /// Seconds for `cells` as one rectangle.
    pub fn of(&self, cells: Cells) -> f64 {
        let size = |direction: &Direction, ends: &[Span], from: usize, to: usize, span: Span| match (
            ends.get(from),
            ends.get(to),
        ) {
            (Some(from), Some(to)) if span.length() + 2 * direction.align <= direction.most => {
                (1, u64::from(direction.given(to.end - from.start)))
            }
            _ => direction.size(span),
        };
        let Cells { x, right, y, bottom } = cells;
        let (columns, width) = size(self.x, &self.ends[0], x, right, self.mask.across(x, right));
        let (rows, height) = size(self.y, &self.ends[1], y, bottom, self.mask.down(y, bottom));
        self.model.seconds(columns * rows, width * height)
    }

    /// The least that covering `pixels` within `cells` can cost by `parts` rectangles, which are
    /// squares at best.
    fn least(&self, pixels: u64, cells: Cells, parts: f64) -> f64 {
        let inside = |direction: &Direction, span: Span| {
            span.start > direction.halo && span.end + direction.halo < direction.length
        };
        let inside = inside(self.x, self.mask.across(cells.x, cells.right))
            && inside(self.y, self.mask.down(cells.y, cells.bottom));
        let halo = if inside { 2.0 * f64::from(self.x.halo) } else { 0.0 };
        let area = pixels as f64;
        let read = area + 2.0 * halo * area.sqrt() + parts * halo * halo;
        self.model.per_call * parts + self.model.per_pixel * read
    }
}

struct Cut {
    one: Cells,
    other: Cells,
    /// Pixels that each holds.
    pixels: (u64, u64),
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

struct Search<'a> {
    mask: &'a Mask,
    costs: &'a Costs<'a>,
    /// Where there are at most this many cuts, all of them are followed …
    few: usize,
    /// … else this many.
    best: usize,
    known: HashMap<Cells, Known>,
    /// Lines and words that may yet be looked at.
    budget: usize,
}

impl Search<'_> {
    /// The cost and the rectangles for `all`, which holds `pixels`, where below `limit`.
    fn run(&mut self, all: Cells, pixels: u64, limit: f64) -> Option<(f64, Vec<Cells>)> {
        if self.costs.least(pixels, all, 1.0) >= limit {
            return None;
        }
        let cost = self.cheapest(all, limit);
        if cost >= limit {
            return None;
        }
        let mut rects = vec![];
        let mut rest = vec![all];
        while let Some(cells) = rest.pop() {
            match self.known.get(&cells).and_then(|known| known.cut) {
                Some((one, other)) => rest.extend([one, other]),
                None => rects.push(cells),
            }
        }
        self.join(&mut rects);
        Some((rects.iter().map(|cells| self.costs.of(*cells)).sum::<f64>().min(cost), rects))
    }

    /// Puts two rectangles into one, with all that lies in it, as long as that pays: it may
    /// cross others, which no cutting finds.
    fn join(&self, rects: &mut Vec<Cells>) {
        while rects.len() <= FEW {
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

    /// The least cost that is found for `cells`, which are shrunk to what they hold; any number
    /// of at least `limit` where it is not below that.
    fn cheapest(&mut self, cells: Cells, limit: f64) -> f64 {
        if let Some(known) = self.known.get(&cells)
            && (known.exact || known.cost >= limit)
        {
            return known.cost;
        }
        let mut known = Known { cost: self.costs.of(cells), exact: true, cut: None };
        if self.budget > 0 {
            let (pixels, mut cuts) = self.cuts(cells);
            if self.costs.least(pixels, cells, 2.0) < known.cost.min(limit) {
                cuts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
                let followed = if cuts.len() <= self.few { self.few } else { self.best };
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
        let least = self.costs.least(cut.pixels.1, cut.other, 1.0);
        if self.costs.least(cut.pixels.0, cut.one, 1.0) + least >= limit {
            return;
        }
        // Each comparison is with the very number that the search was given.
        let room = limit - least;
        let one = self.cheapest(cut.one, room);
        if one >= room {
            return;
        }
        let room = limit - one;
        let other = self.cheapest(cut.other, room);
        if other < room && one + other < limit {
            *known = Known { cost: one + other, exact: true, cut: Some((cut.one, cut.other)) };
        }
    }

    /// The pixels that `cells` hold, and every cut that can be of use.
    fn cuts(&mut self, cells: Cells) -> (u64, Vec<Cut>) {
        let (columns, rows) = Profile::both(self.mask, cells);
        let Cells { x, right, y, bottom } = cells;
        let mut cuts = vec![];
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
        let work = (bottom - y) * self.mask.words_per_row() + right - x + cuts.len();
        self.budget = self.budget.saturating_sub(work);
        (rows.whole().pixels, cuts)
    }

    fn cuts_along(&self, profile: &Profile, cells: impl Fn(&Part) -> Cells, cuts: &mut Vec<Cut>) {
        let parts = profile.before().into_iter().zip(profile.behind());
        for ((before, behind), differs) in parts.zip(&profile.differs) {
            if *differs && before.pixels > 0 && behind.pixels > 0 {
                let (one, other) = (cells(&before), cells(&behind));
                let pixels = (before.pixels, behind.pixels);
                cuts.push(Cut {
                    one,
                    other,
                    pixels,
                    cost: self.costs.of(one) + self.costs.of(other),
                });
            }
        }
    }
}

//! The cheapest rectangles that cover a set of cells: which of them share a rectangle.
//!
//! [`cuts`] finds a cover by cutting the rectangle around all cells, first quickly, then
//! thoroughly. [`overlap`] improves it, and covers of plain runs of cells, by letting rectangles
//! overlap. The cheapest cover is taken.
//!
//! | file | contents |
//! |---|---|
//! | `interval`, `axis` | intervals of pixels; regions along one axis |
//! | `cell_mask`, `cells` | the cells to cover; rectangles of them |
//! | `projection` | the cells of a rectangle, by columns and by rows |
//! | `costs` | the cost of a rectangle |
//! | `cuts`, `overlap` | the two searches |

mod axis;
mod cell_mask;
mod cells;
mod costs;
mod cuts;
mod interval;
mod overlap;
mod projection;

use cells::Cells;
use costs::Costs;
use cuts::{CutSearch, Effort};
use overlap::Overlap;
use projection::Projection;

pub(super) use axis::RegionAxis;
pub(super) use cell_mask::CellMask;
pub(super) use interval::Interval;

use super::cost::CostModel;

/// A quick search, whose cost limits the thorough one. With these budgets, planning a frame of
/// 1920×1080 pixels takes a few tenths of a millisecond at most.
const EFFORTS: [Effort; 2] = [
    Effort { max_cuts: 1, best_cuts: 1, budget: 5_500 },
    Effort { max_cuts: 16, best_cuts: 4, budget: 2_000 },
];
/// The number of rows of rectangles that the search for overlapping rectangles may read.
const OVERLAP_BUDGET: usize = 40_000;

/// Covers all cells of `mask`, whose lines lie on the axes `x` and `y`, at a cost below `limit`
/// seconds, if that is possible. Each rectangle is returned as its pixels on both axes.
pub(super) fn cover(
    mask: &CellMask,
    x: &RegionAxis,
    y: &RegionAxis,
    model: CostModel,
    limit: f64,
) -> Option<Vec<(Interval, Interval)>> {
    let everything = Cells { x: 0, right: mask.columns(), y: 0, bottom: mask.rows() };
    let (columns, rows) = Projection::both(mask, everything);
    let (columns, rows) = (columns.bounds(), rows.bounds());
    if rows.pixels == 0 {
        return Some(vec![]);
    }
    let (x_ends, y_ends) = (columns.along, rows.along);
    let all = Cells { x: x_ends.0, right: x_ends.1, y: y_ends.0, bottom: y_ends.1 };
    let costs = Costs::new(mask, x, y, model);
    let mut found = None;
    let mut limit = limit;
    for effort in EFFORTS {
        let mut search = CutSearch::new(mask, &costs, effort);
        if let Some((cost, rects)) = search.run(all, rows.pixels, limit) {
            (found, limit) = (Some(rects), cost);
        } else if search.is_exhausted() {
            // The changes are scattered all over: a longer search would cost more than it saves.
            break;
        }
    }
    if let Some(mut overlap) = Overlap::new(mask, &costs, OVERLAP_BUDGET) {
        for mut rects in found.take().into_iter().chain(overlap.runs().collect::<Vec<_>>()) {
            overlap.improve(&mut rects);
            let cost = costs.total(&rects);
            if cost < limit || found.is_none() && cost <= limit {
                (found, limit) = (Some(rects), cost);
            }
        }
    }
    let pixels = |cells: Cells| {
        (mask.x_interval(cells.x, cells.right), mask.y_interval(cells.y, cells.bottom))
    };
    found.map(|rects| rects.into_iter().map(pixels).collect())
}

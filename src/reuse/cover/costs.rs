//! The costs of rectangles of cells.

use super::{axis::RegionAxis, cell_mask::CellMask, cells::Cells, interval::Interval};
use crate::reuse::cost::CostModel;

/// Computes what regions that compute rectangles of cells cost.
pub(super) struct Costs<'a> {
    mask: &'a CellMask,
    x: &'a RegionAxis,
    y: &'a RegionAxis,
    /// For each vertical line, what regions that begin or end there read.
    x_reads: Vec<Interval>,
    /// For each horizontal line, what regions that begin or end there read.
    y_reads: Vec<Interval>,
    model: CostModel,
}

impl<'a> Costs<'a> {
    /// The costs of the rectangles of `mask`, whose lines lie on the axes `x` and `y`.
    pub(crate) fn new(
        mask: &'a CellMask,
        x: &'a RegionAxis,
        y: &'a RegionAxis,
        model: CostModel,
    ) -> Self {
        let reads = |axis: &RegionAxis, lines: &[u32]| {
            lines.iter().map(|line| axis.reads(*line)).collect::<Vec<_>>()
        };
        let (x_reads, y_reads) = (reads(x, mask.x_lines()), reads(y, mask.y_lines()));
        Self { mask, x, y, x_reads, y_reads, model }
    }

    /// The cost of `cells` as one rectangle, in seconds.
    pub(crate) fn of(&self, cells: Cells) -> f64 {
        let Cells { x, right, y, bottom } = cells;
        let (columns, width) =
            size(self.x, &self.x_reads, (x, right), self.mask.x_interval(x, right));
        let (rows, height) =
            size(self.y, &self.y_reads, (y, bottom), self.mask.y_interval(y, bottom));
        self.model.seconds(columns * rows, width * height)
    }

    /// The cost of several rectangles.
    pub(crate) fn total(&self, rects: &[Cells]) -> f64 {
        rects.iter().map(|cells| self.of(*cells)).sum()
    }

    /// A lower bound of the cost of covering `pixels` pixels within `cells` by `rects` rectangles:
    /// the cost of squares.
    pub(crate) fn lower_bound(&self, pixels: u64, cells: Cells, rects: f64) -> f64 {
        let inside = |axis: &RegionAxis, interval: Interval| {
            interval.start > axis.halo && interval.end.saturating_add(axis.halo) < axis.length
        };
        let inside = inside(self.x, self.mask.x_interval(cells.x, cells.right))
            && inside(self.y, self.mask.y_interval(cells.y, cells.bottom));
        let halo = if inside { 2.0 * f64::from(self.x.halo) } else { 0.0 };
        let area = pixels as f64;
        let read = area + 2.0 * halo * area.sqrt() + rects * halo * halo;
        self.model.per_call * rects + self.model.per_pixel * read
    }
}

/// The number of regions that cover `interval`, between the lines `from` and `to`, and the sum of
/// the lengths of their inputs.
fn size(
    axis: &RegionAxis,
    reads: &[Interval],
    (from, to): (usize, usize),
    interval: Interval,
) -> (u64, u64) {
    match (reads.get(from), reads.get(to)) {
        // The usual case, one region, without a division.
        (Some(from), Some(to))
            if interval.length().saturating_add(axis.align.saturating_mul(2))
                <= axis.max_length =>
        {
            (1, u64::from(axis.input_length(to.end - from.start)))
        }
        _ => axis.size(interval),
    }
}

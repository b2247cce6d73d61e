//! From what changed to the regions to compute.

use super::{
    changed_map::{ChangedMap, set_bits},
    cost::CostModel,
    cover::cover,
    mask::Mask,
    region::Region,
    span::{Direction, Span},
};
use crate::frame::Rect;

/// How a place of the canvas depends on the input around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependence {
    /// Input pixels around a place that the model looks at.
    pub halo: u32,
    /// How many pixels around a changed one differ in what the model is given, before it looks
    /// at them (interpolated chroma).
    pub spread: u32,
    /// What regions begin at multiples of, and have sides that are multiples of, ≥ 1.
    pub align: u32,
}

/// The shapes that regions may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// The sides of what is read are multiples of this where the frame has room, so that an
    /// engine that keeps memory for each shape sees finitely many; 1: any.
    pub grid: u32,
    /// The least side of what the model is given, ≥ 1.
    pub min_side: u32,
    /// The greatest width and height, halo not counted; those by which a whole frame is cut too.
    pub largest: (u32, u32),
}

/// What to compute for a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: the canvas holds.
    Nothing,
    /// These; the rest of the canvas holds.
    Regions(Vec<Region>),
    /// Everything, which is cheaper than regions.
    Whole,
}

/// Plans the frames of one stream.
#[derive(Clone, Debug)]
pub struct Planner {
    x: Direction,
    y: Direction,
    cost: CostModel,
}

impl Planner {
    /// For frames of `width` × `height` pixels.
    pub fn new(
        width: u32,
        height: u32,
        dependence: Dependence,
        shapes: Shapes,
        cost: CostModel,
    ) -> Self {
        let Dependence { halo, spread, align } = dependence;
        let Shapes { grid, min_side, largest } = shapes;
        let direction = |length, largest| {
            Direction::new(length, halo.saturating_add(spread), halo)
                .shaped(align, grid, min_side, largest)
        };
        Self { x: direction(width, largest.0), y: direction(height, largest.1), cost }
    }

    /// What to compute when these blocks changed, as cheap as can be found quickly.
    pub fn plan(&self, changed: &ChangedMap) -> Plan {
        if changed.size() != (self.x.length, self.y.length) {
            return Plan::Whole;
        }
        let mask = self.affected(changed).simplified();
        // What regions save must be more than rounding.
        let limit = self.whole_seconds() * (1.0 - 1e-6);
        match cover(&mask, &self.x, &self.y, self.cost, limit) {
            None => Plan::Whole,
            Some(rects) if rects.is_empty() => Plan::Nothing,
            Some(rects) => {
                Plan::Regions(rects.into_iter().flat_map(|(x, y)| self.regions(x, y)).collect())
            }
        }
    }

    /// The input blocks that nothing outside of `region` depends on; may be empty. They can be
    /// taken into a [`Reference`](super::Reference) when the region is computed anyway.
    pub fn owned(&self, region: &Region) -> Rect {
        let Rect { x, y, .. } = region.compute;
        let across = self.x.owned(Span { start: x, end: region.compute.right() });
        let down = self.y.owned(Span { start: y, end: region.compute.bottom() });
        Rect::new(across.start, down.start, across.length(), down.length())
    }

    /// Seconds that a plan takes.
    pub fn seconds(&self, plan: &Plan) -> f64 {
        match plan {
            Plan::Nothing => 0.0,
            Plan::Whole => self.whole_seconds(),
            Plan::Regions(regions) => {
                let pixels = regions.iter().map(Region::pixels).sum();
                self.cost.seconds(regions.len() as u64, pixels)
            }
        }
    }

    fn whole_seconds(&self) -> f64 {
        let size = |direction: &Direction| direction.size(Span { start: 0, end: direction.length });
        let ((columns, width), (rows, height)) = (size(&self.x), size(&self.y));
        self.cost.whole * self.cost.seconds(columns * rows, width * height)
    }

    /// The places whose picture depends on changed blocks.
    fn affected(&self, changed: &ChangedMap) -> Mask {
        let mut mask = Mask::new(self.x.lines.clone(), self.y.lines.clone());
        let mut bits = mask.blank_row();
        for row in 0..changed.rows() {
            bits.fill(0);
            let mut pending: Option<(usize, usize)> = None;
            for run in changed.runs(row) {
                let (from, to) = self.x.affected(run.start, run.end);
                pending = match pending {
                    Some((start, end)) if from <= end => Some((start, to.max(end))),
                    Some((start, end)) => {
                        set_bits(&mut bits, start..end);
                        Some((from, to))
                    }
                    None => Some((from, to)),
                };
            }
            if let Some((start, end)) = pending {
                set_bits(&mut bits, start..end);
                let (from, to) = self.y.affected(row, row + 1);
                mask.add(&bits, from, to);
            }
        }
        mask
    }

    /// The regions that compute a rectangle: one, or more where it is too large.
    fn regions(&self, x: Span, y: Span) -> impl Iterator<Item = Region> {
        let rect = |x: Span, y: Span| Rect::new(x.start, y.start, x.length(), y.length());
        self.y.parts(y).flat_map(move |y| {
            self.x.parts(x).map(move |x| {
                let read = rect(self.x.read(x), self.y.read(y));
                let padded = (self.x.given(read.width), self.y.given(read.height));
                Region { compute: rect(x, y), read, padded }
            })
        })
    }
}

#[cfg(test)]
mod tests;

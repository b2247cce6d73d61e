//! Decides which regions are computed for the blocks that changed: the cheapest cover of them, or the
//! whole frame.

use super::{
    bits,
    changed_map::ChangedMap,
    cost::CostModel,
    cover::{CellMask, Interval, RegionAxis, cover},
    region::Region,
};
use crate::frame::Rect;

/// How a pixel of the canvas depends on the input pixels around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependence {
    /// The distance up to which the model reads, in input pixels.
    pub halo: u32,
    /// The distance up to which a changed pixel changes the model's input, in pixels: more than 0
    /// for interpolated chroma.
    pub spread: u32,
    /// Regions begin at multiples of this and have sides that are multiples of it, at least 1.
    pub align: u32,
}

/// The sizes that regions may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// The sides of the model's input are multiples of this where the frame is large enough, so
    /// that an engine with memory for each size sees few of them; 1: any size.
    pub grid: u32,
    /// The smallest side of the model's input, at least 1.
    pub min_side: u32,
    /// The greatest width and height of a region without its halo. Whole frames are cut by it, too.
    pub largest: (u32, u32),
}

/// What to compute for a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: the canvas is up to date.
    Nothing,
    /// These regions; the rest of the canvas is up to date.
    Regions(Vec<Region>),
    /// The whole frame, which is cheaper than regions.
    Whole,
}

/// Plans the frames of one stream.
#[derive(Clone, Debug)]
pub struct Planner {
    x: RegionAxis,
    y: RegionAxis,
    cost: CostModel,
    tiles: Option<Tiles>,
}

/// The only regions of an engine that must always run at the same size.
#[derive(Clone, Debug)]
struct Tiles {
    tiles: Vec<Region>,
    /// Tiles that run at once.
    batch: u32,
    /// The distance up to which a changed pixel changes the canvas.
    reach: u32,
}

impl Planner {
    /// A planner for frames of `width` × `height` pixels.
    #[must_use]
    pub fn new(
        width: u32,
        height: u32,
        dependence: Dependence,
        shapes: Shapes,
        cost: CostModel,
    ) -> Self {
        let Dependence { halo, spread, align } = dependence;
        let Shapes { grid, min_side, largest } = shapes;
        let axis = |length, max_length| {
            RegionAxis::new(length, halo.saturating_add(spread), halo)
                .constrained(align, grid, min_side, max_length)
        };
        Self { x: axis(width, largest.0), y: axis(height, largest.1), cost, tiles: None }
    }

    /// Plans only with these tiles, which cover the frame and all have the same size. An engine
    /// runs up to `batch` of them at once, each time at the same cost.
    #[must_use]
    pub fn with_tiles(mut self, tiles: Vec<Region>, batch: u32, dependence: Dependence) -> Self {
        let reach = dependence.halo.saturating_add(dependence.spread);
        self.tiles = Some(Tiles { tiles, batch: batch.max(1), reach });
        self
    }

    /// What to compute if these blocks changed: the cheapest plan that a short search finds.
    #[must_use]
    pub fn plan(&self, changed: &ChangedMap) -> Plan {
        if changed.size() != (self.x.length, self.y.length) {
            return Plan::Whole;
        }
        if let Some(tiles) = &self.tiles {
            return self.plan_tiles(tiles, changed);
        }
        let mask = self.affected(changed).simplified();
        // Regions must save more than a rounding error.
        let limit = self.whole_seconds() * (1.0 - 1e-6);
        match cover(&mask, &self.x, &self.y, self.cost, limit) {
            None => Plan::Whole,
            Some(rects) if rects.is_empty() => Plan::Nothing,
            Some(rects) => {
                Plan::Regions(rects.into_iter().flat_map(|(x, y)| self.regions(x, y)).collect())
            }
        }
    }

    /// The pixels, in whole blocks, on which nothing outside of `region` depends; may be empty. A
    /// [`Reference`](super::Reference) can copy them when the region is computed anyway.
    #[must_use]
    pub fn owned(&self, region: &Region) -> Rect {
        let Rect { x, y, .. } = region.compute;
        let x = self.x.owned(Interval { start: x, end: region.compute.right() });
        let y = self.y.owned(Interval { start: y, end: region.compute.bottom() });
        rect(x, y)
    }

    /// The expected duration of a plan in seconds.
    #[must_use]
    pub fn seconds(&self, plan: &Plan) -> f64 {
        match plan {
            Plan::Nothing => 0.0,
            Plan::Whole => self.whole_seconds(),
            Plan::Regions(regions) => self.regions_seconds(regions),
        }
    }

    fn regions_seconds(&self, regions: &[Region]) -> f64 {
        let batch = self.tiles.as_ref().map_or(1, |tiles| u64::from(tiles.batch));
        let pixels = regions.iter().map(Region::pixels).sum();
        self.cost.seconds((regions.len() as u64).div_ceil(batch), pixels)
    }

    /// The tiles that depend on changed blocks, if they take less time than the whole frame.
    fn plan_tiles(&self, tiles: &Tiles, changed: &ChangedMap) -> Plan {
        let (width, height) = changed.size();
        let affected: Vec<Rect> = changed
            .rects()
            .iter()
            .map(|rect| rect.grown_within(tiles.reach, width, height))
            .collect();
        let is_affected = |tile: &&Region| {
            affected.iter().any(|rect| !rect.intersection(&tile.compute).is_empty())
        };
        let regions: Vec<Region> = tiles.tiles.iter().filter(is_affected).copied().collect();
        if regions.is_empty() {
            Plan::Nothing
        } else if self.regions_seconds(&regions) < self.whole_seconds() {
            Plan::Regions(regions)
        } else {
            Plan::Whole
        }
    }

    fn whole_seconds(&self) -> f64 {
        let size = |axis: &RegionAxis| axis.size(Interval { start: 0, end: axis.length });
        let ((columns, width), (rows, height)) = (size(&self.x), size(&self.y));
        self.cost.whole * self.cost.seconds(columns * rows, width * height)
    }

    /// The parts of the canvas that depend on changed blocks.
    fn affected(&self, changed: &ChangedMap) -> CellMask {
        let mut mask = CellMask::new(self.x.lines.clone(), self.y.lines.clone());
        let mut row_bits = mask.blank_row();
        for row in 0..changed.rows() {
            row_bits.fill(0);
            // Runs that overlap once they are extended are set together.
            let mut pending: Option<(usize, usize)> = None;
            for run in changed.runs(row) {
                let (from, to) = self.x.affected(run.start, run.end);
                pending = match pending {
                    Some((start, end)) if from <= end => Some((start, to.max(end))),
                    Some((start, end)) => {
                        bits::set(&mut row_bits, start..end);
                        Some((from, to))
                    }
                    None => Some((from, to)),
                };
            }
            if let Some((start, end)) = pending {
                bits::set(&mut row_bits, start..end);
                let (from, to) = self.y.affected(row, row + 1);
                mask.add(&row_bits, from, to);
            }
        }
        mask
    }

    /// The regions that compute a rectangle: one, or several if it is too large.
    fn regions(&self, x: Interval, y: Interval) -> impl Iterator<Item = Region> {
        self.y.split(y).flat_map(move |y| {
            self.x.split(x).map(move |x| {
                let read = rect(self.x.read(x), self.y.read(y));
                let padded = (self.x.input_length(read.width), self.y.input_length(read.height));
                Region { compute: rect(x, y), read, padded }
            })
        })
    }
}

fn rect(x: Interval, y: Interval) -> Rect {
    Rect::new(x.start, y.start, x.length(), y.length())
}

#[cfg(test)]
mod tests;

//! Regions of a frame, and how a whole frame is cut into them.

use super::{
    error::{Error, MemoryUse, OutOfMemory},
    memory::Budget,
};
use crate::{frame::Rect, model::ModelInfo, reuse::Region};

/// What a model requires of the regions of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// The frame's size in pixels.
    pub frame: (u32, u32),
    /// Input pixels around a region. `None`: only whole frames are possible.
    pub halo: Option<u32>,
    /// Regions start at multiples of this, and their sides are multiples of it.
    pub align: u32,
    /// Smallest side that the model accepts.
    pub min_side: u32,
    /// The only size that the model accepts.
    pub fixed_size: Option<(u32, u32)>,
    /// All tiles of a frame that is cut read the same size.
    pub uniform: bool,
}

/// The smallest side of a region that is tried before memory is considered too small.
pub(super) const MIN_EDGE: u32 = 32;

impl Geometry {
    /// For frames of this size and this model, with `halo` instead of the model's own.
    pub(crate) fn new(frame: (u32, u32), info: &ModelInfo, halo: Option<u32>) -> Self {
        Self {
            frame,
            halo: halo.or(info.halo),
            align: info.align.max(1),
            min_side: info.min_side.max(1),
            fixed_size: info.fixed_size,
            uniform: false,
        }
    }

    /// The frame as a rectangle.
    pub(crate) fn bounds(&self) -> Rect {
        Rect::of_size(self.frame.0, self.frame.1)
    }

    /// The region that computes `compute`, grown to the model's alignment.
    pub(crate) fn region(&self, compute: Rect) -> Region {
        let (width, height) = self.frame;
        let compute = compute.aligned_within(self.align, width, height);
        let read = match self.halo {
            Some(halo) => compute.grown_within(halo, width, height),
            None => self.bounds(),
        };
        self.region_reading(compute, read.aligned_within(self.align, width, height))
    }

    /// The whole frame as one region.
    pub(crate) fn whole(&self) -> Region {
        self.region(self.bounds())
    }

    /// The region that computes `compute` from exactly the pixels `read`, both aligned.
    pub(crate) fn region_reading(&self, compute: Rect, read: Rect) -> Region {
        let padded = (self.padded(read.width), self.padded(read.height));
        Region { compute, read, padded: self.fixed_size.unwrap_or(padded) }
    }

    fn padded(&self, side: u32) -> u32 {
        side.max(self.min_side).next_multiple_of(self.align)
    }

    /// Cuts the frame into tiles that keep to `limits`, with as few pixels read twice as possible.
    ///
    /// # Errors
    /// [`CutError`].
    pub(crate) fn cut(&self, limits: Limits) -> Result<Vec<Region>, CutError> {
        if let Some(size) = self.fixed_size {
            return self.cut_fixed(size);
        }
        let Limits { max_edge, max_pixels } = limits;
        let whole = self.whole();
        let fits = whole.pixels() <= max_pixels;
        let edge_fits = max_edge == 0 || self.frame.0.max(self.frame.1) <= max_edge;
        if fits && (self.halo.is_none() || edge_fits) {
            return Ok(vec![whole]);
        }
        if self.halo.is_none() {
            let (side, pixels) = (self.frame.0.max(self.frame.1), whole.pixels());
            return Err(CutError::Memory { side, pixels });
        }
        let (columns, rows) = self.split(limits)?;
        if self.uniform {
            return self.cut_fixed(self.reads(columns, rows));
        }
        Ok(self.grid(columns, rows))
    }

    /// Cuts `region`, which is aligned, into parts whose own sides are at most `max_edge`. A halo
    /// that is shorter than the geometry's stays as short.
    pub(crate) fn parts(&self, region: &Region, max_edge: u32) -> Vec<Region> {
        let rect = region.compute;
        let edge = (max_edge / self.align * self.align).max(self.align);
        let starts = |start: u32, end: u32| (start..end).step_by(edge as usize);
        starts(rect.y, rect.bottom())
            .flat_map(|y| starts(rect.x, rect.right()).map(move |x| Rect::new(x, y, edge, edge)))
            .map(|tile| {
                let part = self.region(tile.intersection(&rect));
                self.region_reading(part.compute, part.read.intersection(&region.read))
            })
            .collect()
    }

    /// The sides of the tiles that keep to `limits` and together read the fewest pixels.
    fn split(&self, limits: Limits) -> Result<(u32, u32), CutError> {
        let Limits { max_edge, max_pixels } = limits;
        let mut best: Option<(u64, u32, u32)> = None;
        let mut smallest = u64::MAX;
        for width in self.edges(self.frame.0, max_edge) {
            for height in self.edges(self.frame.1, max_edge) {
                let largest = self.largest(width, height);
                smallest = smallest.min(largest);
                if largest > max_pixels {
                    continue;
                }
                let tiles = u64::from(self.frame.0.div_ceil(width))
                    * u64::from(self.frame.1.div_ceil(height));
                let total = tiles * largest;
                if best.is_none_or(|(least, ..)| total < least) {
                    best = Some((total, width, height));
                }
            }
        }
        let none = CutError::Memory { side: MIN_EDGE, pixels: smallest };
        let (_, width, height) = best.ok_or(none)?;
        Ok((width, height))
    }

    /// Largest number of pixels that the model gets for a tile of this size.
    fn largest(&self, width: u32, height: u32) -> u64 {
        let (width, height) = self.reads(width, height);
        u64::from(width) * u64::from(height)
    }

    /// The largest size that the model gets for a tile of this size.
    fn reads(&self, width: u32, height: u32) -> (u32, u32) {
        let halo = self.halo.unwrap_or(0);
        let side = |edge: u32, frame: u32| {
            let grown = edge.saturating_add(halo.saturating_mul(2)).saturating_add(self.align);
            self.padded(grown.min(frame))
        };
        (side(width, self.frame.0), side(height, self.frame.1))
    }

    /// Tiles of one size, with their halos, that cover the frame. `None` if the frame is smaller
    /// than a tile, or the halo leaves nothing of it.
    pub(crate) fn tiles(&self, size: (u32, u32)) -> Option<Vec<Region>> {
        let fits = self.halo.is_some() && self.frame.0 >= size.0 && self.frame.1 >= size.1;
        self.cut_fixed(size).ok().filter(|_| fits)
    }

    /// Sides of tiles to try for a side of the frame: those of 1, 2, 3 … equal parts.
    fn edges(&self, side: u32, max_edge: u32) -> Vec<u32> {
        let limit = if max_edge == 0 { side } else { max_edge.min(side) }.max(1);
        let least = MIN_EDGE.min(limit);
        let mut edges: Vec<u32> = (side.div_ceil(limit)..=side.div_ceil(least).max(1))
            .map(|parts| {
                let edge = side.div_ceil(parts).next_multiple_of(self.align);
                // Alignment may have exceeded the limit.
                if edge > limit && limit > self.align {
                    limit / self.align * self.align
                } else {
                    edge
                }
            })
            .collect();
        edges.dedup();
        edges
    }

    fn grid(&self, width: u32, height: u32) -> Vec<Region> {
        let starts = |side: u32, edge: u32| (0..side).step_by(edge.max(1) as usize);
        starts(self.frame.1, height)
            .flat_map(|y| starts(self.frame.0, width).map(move |x| Rect::new(x, y, width, height)))
            .map(|tile| self.region(tile.intersection(&self.bounds())))
            .collect()
    }

    /// Tiles for a model with one input size. Each reads exactly that size, inside the frame if
    /// the frame is large enough.
    fn cut_fixed(&self, (width, height): (u32, u32)) -> Result<Vec<Region>, CutError> {
        let columns = self.axis_fixed(self.frame.0, width)?;
        let rows = self.axis_fixed(self.frame.1, height)?;
        let region = |row: &Segment, column: &Segment| Region {
            compute: Rect::new(column.start, row.start, column.length, row.length),
            read: Rect::new(column.read, row.read, column.read_length, row.read_length),
            padded: (width, height),
        };
        Ok(rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| region(row, column)))
            .collect())
    }

    fn axis_fixed(&self, side: u32, fixed: u32) -> Result<Vec<Segment>, CutError> {
        if side <= fixed {
            return Ok(vec![Segment { start: 0, length: side, read: 0, read_length: side }]);
        }
        // Reads start at multiples of the alignment, so halos are rounded up to it.
        let halo = self.halo.map(|halo| halo.next_multiple_of(self.align));
        let Some(halo) = halo.filter(|halo| halo.saturating_mul(2) < fixed) else {
            return Err(CutError::FixedSize { size: fixed });
        };
        let last = side.next_multiple_of(self.align) - fixed;
        let mut segments = Vec::new();
        let mut start = 0;
        while start < side {
            let read = start.saturating_sub(halo).min(last);
            let read_end = (read + fixed).min(side);
            let end = if read_end == side { side } else { read_end - halo };
            let (length, read_length) = (end - start, read_end - read);
            segments.push(Segment { start, length, read, read_length });
            start = end;
        }
        Ok(segments)
    }
}

/// A tile along one axis, in pixels.
struct Segment {
    start: u32,
    length: u32,
    read: u32,
    read_length: u32,
}

/// Limits on the size of regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Largest side of a region without its halo; 0: no limit.
    pub max_edge: u32,
    /// Most pixels that the model may get at once.
    pub max_pixels: u64,
}

/// Why a frame cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutError {
    /// Even regions of this side exceed the limit of pixels.
    Memory {
        /// The side in pixels, without its halo.
        side: u32,
        /// Pixels that the model would get.
        pixels: u64,
    },
    /// See [`Error::FixedSize`].
    FixedSize {
        /// The side that is too small.
        size: u32,
    },
}

/// A frame, cut into tiles.
#[derive(Clone, Debug)]
pub(super) struct Tiling {
    geometry: Geometry,
    limits: Limits,
    budget: Budget,
    tiles: Vec<Region>,
}

impl Tiling {
    /// Cuts frames of this geometry into tiles of sides up to `max_edge` (0: no limit) and up to
    /// `max_pixels` input pixels. `budget` is used for error messages.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if even the smallest tiles have more pixels, [`Error::FixedSize`] if
    /// the model has a fixed size that its halo does not fit into.
    pub(crate) fn new(
        geometry: Geometry,
        max_edge: u32,
        max_pixels: u64,
        budget: Budget,
    ) -> Result<Self, Error> {
        let limits = Limits { max_edge, max_pixels };
        let tiles = cut(&geometry, limits, &budget)?;
        Ok(Self { geometry, limits, budget, tiles })
    }

    /// The frame and the model's requirements.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The tiles, which cover the frame without overlapping.
    pub(crate) fn tiles(&self) -> &[Region] {
        &self.tiles
    }

    /// Pixels that the model gets for a whole frame, halos included.
    pub(crate) fn work(&self) -> f64 {
        self.tiles.iter().map(|tile| tile.pixels() as f64).sum()
    }

    /// Width and height of the largest tile, without its halo.
    pub(crate) fn largest(&self) -> (u32, u32) {
        let sides = self.tiles.iter().map(|tile| (tile.compute.width, tile.compute.height));
        sides.fold((1, 1), |most, side| (most.0.max(side.0), most.1.max(side.1)))
    }

    /// Limits the sides of tiles to `max_edge` pixels.
    ///
    /// # Errors
    /// As [`new`](Self::new); nothing changes then.
    pub(crate) fn limit_edges(&mut self, max_edge: u32) -> Result<(), Error> {
        self.limit(Limits { max_edge, ..self.limits })
    }

    /// Limits the pixels that the model gets at once to `max_pixels`.
    ///
    /// # Errors
    /// As [`new`](Self::new); nothing changes then.
    pub(crate) fn limit_pixels(&mut self, max_pixels: u64) -> Result<(), Error> {
        self.limit(Limits { max_pixels, ..self.limits })
    }

    fn limit(&mut self, limits: Limits) -> Result<(), Error> {
        self.tiles = cut(&self.geometry, limits, &self.budget)?;
        self.limits = limits;
        Ok(())
    }
}

fn cut(geometry: &Geometry, limits: Limits, budget: &Budget) -> Result<Vec<Region>, Error> {
    geometry.cut(limits).map_err(|error| match error {
        CutError::Memory { side, pixels } => Error::OutOfMemory(OutOfMemory {
            purpose: MemoryUse::Region { side },
            needed: Some(budget.bytes_for(pixels)),
            available: Some(budget.bytes_for(limits.max_pixels)),
        }),
        CutError::FixedSize { size } => Error::FixedSize { size },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNLIMITED: Limits = Limits { max_edge: 0, max_pixels: u64::MAX };

    fn geometry(width: u32, height: u32, halo: u32, align: u32) -> Geometry {
        Geometry {
            frame: (width, height),
            halo: Some(halo),
            align,
            min_side: 1,
            fixed_size: None,
            uniform: false,
        }
    }

    #[track_caller]
    fn assert_partition(regions: &[Region], width: u32, height: u32) {
        let area: u64 = regions.iter().map(|region| region.compute.area()).sum();
        assert_eq!(area, u64::from(width) * u64::from(height), "{regions:?}");
        for (index, one) in regions.iter().enumerate() {
            assert!(Rect::of_size(width, height).contains(&one.compute));
            for other in &regions[index + 1..] {
                assert!(one.compute.intersection(&other.compute).is_empty());
            }
        }
    }

    #[test]
    fn a_frame_within_the_limits_is_one_region_without_halo() {
        let regions = geometry(320, 180, 18, 1).cut(UNLIMITED).unwrap();
        assert_eq!(regions.len(), 1);
        assert_eq!(regions[0].read, Rect::of_size(320, 180));
        assert_eq!(regions[0].padded, (320, 180));
    }

    #[test]
    fn sides_that_the_model_does_not_accept_are_padded() {
        let region = geometry(35, 33, 2, 4).whole();
        assert_eq!(region.read, Rect::of_size(35, 33));
        assert_eq!(region.padded, (36, 36));
    }

    #[test]
    fn memory_for_less_than_the_smallest_tile_is_an_error_that_says_how_much_is_needed() {
        let limits = Limits { max_edge: 0, max_pixels: 1000 };
        let Err(CutError::Memory { side: MIN_EDGE, pixels }) =
            geometry(640, 360, 18, 1).cut(limits)
        else {
            panic!("the frame cannot be cut");
        };
        // A tile of 32×30 pixels, the halo on both sides, and a pixel for alignment.
        assert_eq!(pixels, (32 + 36 + 1) * (30 + 36 + 1));
    }

    #[test]
    fn a_model_with_an_unbounded_receptive_field_runs_on_whole_frames_only() {
        let unbounded = Geometry { halo: None, ..geometry(64, 64, 0, 1) };
        let limits = Limits { max_edge: 16, max_pixels: u64::MAX };
        assert_eq!(unbounded.cut(limits).unwrap().len(), 1);
        assert!(unbounded.cut(Limits { max_edge: 0, max_pixels: 64 * 63 }).is_err());
    }

    #[test]
    fn a_fixed_size_too_small_for_its_halo_is_refused() {
        let fixed = Geometry { fixed_size: Some((32, 32)), ..geometry(100, 32, 16, 1) };
        assert_eq!(fixed.cut(UNLIMITED), Err(CutError::FixedSize { size: 32 }));
    }

    #[test]
    fn parts_of_a_region_cover_it_and_read_nothing_beyond_it() {
        let geometry = geometry(200, 100, 8, 1);
        // The halo is 4 pixels instead of 8.
        let compute = Rect::new(20, 20, 100, 50);
        let region = geometry.region_reading(compute, compute.grown_within(4, 200, 100));
        let parts = geometry.parts(&region, 40);
        assert_eq!(parts.iter().map(|part| part.compute.area()).sum::<u64>(), compute.area());
        for part in parts {
            assert!(compute.contains(&part.compute) && part.compute.width <= 40);
            assert!(region.read.contains(&part.read));
            assert!(part.read.contains(&part.compute.grown_within(4, 200, 100)));
        }
    }

    proptest! {
        #[test]
        fn tiles_cover_the_frame_once_and_keep_to_the_limits(
            width in 1u32..700, height in 1u32..700, halo in 0u32..40,
            align in prop::sample::select(vec![1u32, 2, 4, 8]), edge in 16u32..200,
        ) {
            let geometry = geometry(width, height, halo, align);
            let regions = geometry.cut(Limits { max_edge: edge, max_pixels: u64::MAX }).unwrap();
            assert_partition(&regions, width, height);
            for region in &regions {
                prop_assert!(region.compute.width <= edge && region.compute.height <= edge);
                prop_assert_eq!(region.read.x % align, 0);
                prop_assert_eq!(region.padded.0 % align, 0);
                prop_assert!(region.read.contains(&region.compute.grown_within(halo, width, height)));
            }
        }

        #[test]
        fn no_tile_needs_more_memory_than_allowed(
            width in 64u32..2000, height in 64u32..1200, halo in 0u32..40, pixels in 20_000u64..400_000,
        ) {
            let geometry = geometry(width, height, halo, 2);
            let regions = geometry.cut(Limits { max_edge: 0, max_pixels: pixels }).unwrap();
            assert_partition(&regions, width, height);
            for region in &regions {
                prop_assert!(region.pixels() <= pixels);
            }
        }

        #[test]
        fn fixed_tiles_read_exactly_their_size_including_the_halo(
            width in 1u32..500, height in 1u32..500, halo in 0u32..20, align in 1u32..3,
        ) {
            let fixed = Geometry { fixed_size: Some((64, 48)), ..geometry(width, height, halo, align) };
            let regions = fixed.cut(UNLIMITED).unwrap();
            assert_partition(&regions, width, height);
            for region in &regions {
                prop_assert_eq!(region.padded, (64, 48));
                prop_assert!(region.read.width <= 64 && region.read.height <= 48);
                prop_assert!(region.read.contains(&region.compute.grown_within(halo, width, height)));
            }
        }
    }
}

//! Regions of a frame, and how a whole frame is cut into them.

use super::Error;
use crate::{frame::Rect, model::ModelInfo, reuse::Region};

/// What a model asks of the regions of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The frame's size in pixels.
    pub frame: (u32, u32),
    /// Input pixels around a region; `None`: only whole frames will do.
    pub halo: Option<u32>,
    /// Regions begin at multiples of this and are given sides that are multiples of it.
    pub align: u32,
    /// The least side that the model can take.
    pub min_side: u32,
    /// The only size that the model can take.
    pub fixed_size: Option<(u32, u32)>,
}

/// The smallest region edge that is tried before giving up for lack of memory.
pub const MIN_EDGE: u32 = 32;

impl Geometry {
    /// For frames of this size through this model, with `halo` in place of the exact one.
    pub fn new(frame: (u32, u32), info: &ModelInfo, halo: Option<u32>) -> Self {
        Self {
            frame,
            halo: halo.or(info.halo),
            align: info.align.max(1),
            min_side: info.min_side.max(1),
            fixed_size: info.fixed_size,
        }
    }

    /// The region that computes `compute`, grown to the model's alignment.
    pub fn region(&self, compute: Rect) -> Region {
        let (width, height) = self.frame;
        let compute = compute.aligned_within(self.align, width, height);
        let halo = self.halo.unwrap_or(u32::MAX / 4);
        let read =
            compute.grown_within(halo, width, height).aligned_within(self.align, width, height);
        self.region_reading(compute, read)
    }

    /// `compute` from exactly the pixels `read`, both aligned.
    pub fn region_reading(&self, compute: Rect, read: Rect) -> Region {
        Region { compute, read, padded: (self.padded(read.width), self.padded(read.height)) }
    }

    /// The whole frame as one region.
    pub fn whole(&self) -> Region {
        self.region(Rect::of_size(self.frame.0, self.frame.1))
    }

    fn padded(&self, side: u32) -> u32 {
        side.max(self.min_side).next_multiple_of(self.align)
    }

    /// Cuts the frame so that no region's own edge is above `max_edge` (0: no such limit) and
    /// none gives the model more than `max_pixels`, with as little read twice as possible.
    ///
    /// # Errors
    /// [`Error::NoMemory`] where even the smallest regions are above `max_pixels`;
    /// [`Error::Impossible`] where the model's size is fixed and its halo does not fit in.
    pub fn cut(&self, max_edge: u32, max_pixels: u64) -> Result<Vec<Region>, Error> {
        if let Some(size) = self.fixed_size {
            return self.cut_fixed(size);
        }
        let whole = self.whole();
        let fits = |region: &Region| region.pixels() <= max_pixels;
        let edge_fits = max_edge == 0 || self.frame.0.max(self.frame.1) <= max_edge;
        if self.halo.is_none() || (edge_fits && fits(&whole)) {
            return match fits(&whole) {
                true => Ok(vec![whole]),
                false => Err(Error::NoMemory { side: self.frame.0.max(self.frame.1) }),
            };
        }
        let (columns, rows) = self.split(max_edge, max_pixels)?;
        Ok(self.grid(columns, rows))
    }

    /// `rect`, which is aligned, cut so that no region's own edge is above `max_edge`.
    pub fn parts(&self, rect: Rect, max_edge: u32) -> Vec<Region> {
        let edge = (max_edge / self.align * self.align).max(self.align);
        let starts = |start: u32, end: u32| (start..end).step_by(edge as usize);
        let tiles = starts(rect.y, rect.bottom())
            .flat_map(|y| starts(rect.x, rect.right()).map(move |x| Rect::new(x, y, edge, edge)));
        tiles.map(|tile| self.region(tile.intersection(&rect))).collect()
    }

    /// The edges of the tiles that fit and together read the fewest pixels.
    fn split(&self, max_edge: u32, max_pixels: u64) -> Result<(u32, u32), Error> {
        let mut best: Option<(u64, u32, u32)> = None;
        for width in self.edges(self.frame.0, max_edge) {
            for height in self.edges(self.frame.1, max_edge) {
                let largest = self.largest(width, height);
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
        let (_, width, height) = best.ok_or(Error::NoMemory { side: MIN_EDGE })?;
        Ok((width, height))
    }

    /// Pixels that the model is given for an inner tile of this size, at most.
    fn largest(&self, width: u32, height: u32) -> u64 {
        let halo = self.halo.unwrap_or(0);
        let side = |edge: u32, frame: u32| {
            let grown = edge.saturating_add(halo.saturating_mul(2)).saturating_add(self.align);
            u64::from(self.padded(grown.min(frame)))
        };
        side(width, self.frame.0) * side(height, self.frame.1)
    }

    /// Tile edges worth trying along a side: that of 1, 2, 3 … equal parts.
    fn edges(&self, side: u32, max_edge: u32) -> Vec<u32> {
        let limit = if max_edge == 0 { side } else { max_edge.min(side) }.max(1);
        let least = MIN_EDGE.min(limit);
        let mut edges: Vec<u32> = (side.div_ceil(limit)..=side.div_ceil(least).max(1))
            .map(|parts| {
                let edge = side.div_ceil(parts).next_multiple_of(self.align);
                // Alignment may have pushed it over the limit that was asked for.
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
            .map(|tile| self.region(tile.intersection(&Rect::of_size(self.frame.0, self.frame.1))))
            .collect()
    }

    /// Tiles for a model of one size: each reads exactly that, inside of the frame where the
    /// frame is large enough.
    fn cut_fixed(&self, (width, height): (u32, u32)) -> Result<Vec<Region>, Error> {
        let columns = self.axis_fixed(self.frame.0, width)?;
        let rows = self.axis_fixed(self.frame.1, height)?;
        let region = |row: &Span, column: &Span| Region {
            compute: Rect::new(column.start, row.start, column.length, row.length),
            read: Rect::new(column.read, row.read, column.read_length, row.read_length),
            padded: (width, height),
        };
        Ok(rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| region(row, column)))
            .collect())
    }

    fn axis_fixed(&self, side: u32, fixed: u32) -> Result<Vec<Span>, Error> {
        if side <= fixed {
            return Ok(vec![Span { start: 0, length: side, read: 0, read_length: side }]);
        }
        // Reads begin at multiples of the alignment, so halos widen to them.
        let halo = self.halo.map(|halo| halo.next_multiple_of(self.align));
        let Some(halo) = halo.filter(|halo| halo.saturating_mul(2) < fixed) else {
            return Err(Error::Impossible(format!(
                "the model takes pictures of {fixed} pixels a side only and cannot be run in \
                 pieces of that: give frames of that size, or set halo to a smaller number than {}",
                fixed / 2
            )));
        };
        let last = side.next_multiple_of(self.align) - fixed;
        let mut spans = Vec::new();
        let mut start = 0;
        while start < side {
            let read = start.saturating_sub(halo).min(last);
            let read_end = (read + fixed).min(side);
            let end = if read_end == side { side } else { read_end - halo };
            spans.push(Span { start, length: end - start, read, read_length: read_end - read });
            start = end;
        }
        Ok(spans)
    }
}

/// A region along one axis.
struct Span {
    start: u32,
    length: u32,
    read: u32,
    read_length: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(width: u32, height: u32, halo: u32, align: u32) -> Geometry {
        Geometry { frame: (width, height), halo: Some(halo), align, min_side: 1, fixed_size: None }
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
        let regions = geometry(320, 180, 18, 1).cut(0, u64::MAX).unwrap();
        assert_eq!(regions.len(), 1);
        assert_eq!(regions[0].read, Rect::of_size(320, 180));
        assert_eq!(regions[0].padded, (320, 180));
    }

    #[test]
    fn sides_that_the_model_cannot_take_are_padded() {
        let region = geometry(35, 33, 2, 4).whole();
        assert_eq!(region.read, Rect::of_size(35, 33));
        assert_eq!(region.padded, (36, 36));
    }

    #[test]
    fn memory_for_less_than_the_smallest_tile_is_an_error() {
        let error = geometry(640, 360, 18, 1).cut(0, 1000).unwrap_err();
        assert!(matches!(error, Error::NoMemory { .. }));
    }

    #[test]
    fn a_model_without_bounded_field_is_run_whole_or_not_at_all() {
        let unbounded = Geometry { halo: None, ..geometry(64, 64, 0, 1) };
        assert_eq!(unbounded.cut(16, u64::MAX).unwrap().len(), 1);
        assert!(unbounded.cut(0, 64 * 63).is_err());
    }

    #[test]
    fn a_fixed_size_too_small_for_its_halo_is_refused() {
        let fixed = Geometry { fixed_size: Some((32, 32)), ..geometry(100, 32, 16, 1) };
        assert!(matches!(fixed.cut(0, u64::MAX), Err(Error::Impossible(_))));
    }

    proptest! {
        #[test]
        fn tiles_cover_the_frame_once_and_keep_to_the_limits(
            width in 1u32..700, height in 1u32..700, halo in 0u32..40,
            align in prop::sample::select(vec![1u32, 2, 4, 8]), edge in 16u32..200,
        ) {
            let regions = geometry(width, height, halo, align).cut(edge, u64::MAX).unwrap();
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
            let regions = geometry(width, height, halo, 2).cut(0, pixels).unwrap();
            assert_partition(&regions, width, height);
            for region in &regions {
                prop_assert!(region.pixels() <= pixels);
            }
        }

        #[test]
        fn fixed_tiles_read_exactly_their_size_with_the_halo_around(
            width in 1u32..500, height in 1u32..500, halo in 0u32..20, align in 1u32..3,
        ) {
            let fixed = Geometry { fixed_size: Some((64, 48)), ..geometry(width, height, halo, align) };
            let regions = fixed.cut(0, u64::MAX).unwrap();
            assert_partition(&regions, width, height);
            for region in &regions {
                prop_assert_eq!(region.padded, (64, 48));
                prop_assert!(region.read.width <= 64 && region.read.height <= 48);
                prop_assert!(region.read.contains(&region.compute.grown_within(halo, width, height)));
            }
        }
    }
}

//! Engines without memory: regions with their halos, cut smaller when memory runs out.

use std::time::Instant;

use super::{
    buffer_pool::BufferPool,
    enlarger::{Compute, Cost, Enlarger, Patch, Planning, Work},
    error::{Error, MemoryUse, OutOfMemory},
    geometry::{MIN_EDGE, Tiling},
    reflection::reflected,
};
use crate::{
    engine::{self, AnyEngine, Infer, Interrupt},
    frame::{Image, Rect},
    model::ModelInfo,
    reuse::{CostModel, Region},
};

/// Keeps a canvas up to date with an engine that knows nothing of earlier frames: each region is
/// run with its halo.
pub(super) struct Regionwise<E: Infer + ?Sized> {
    engine: Box<E>,
    tiling: Tiling,
    /// The picture of a region that is not the whole frame, before the model.
    input: Image,
    /// The same after the model.
    output: Image,
    /// Largest side of a region that is known to fit into memory.
    max_edge: u32,
    /// The last run on the most pixels: pixels and seconds.
    largest: Option<(u64, f64)>,
}

/// A picture that regions are enlarged into.
struct Target<'a> {
    picture: &'a mut Image,
    /// Its place in input pixels.
    rect: Rect,
}

impl<E: Infer + ?Sized> Regionwise<E> {
    /// For frames that are cut by `tiling`.
    pub(crate) fn new(engine: Box<E>, tiling: Tiling) -> Self {
        let (input, output) = Default::default();
        Self { engine, tiling, input, output, max_edge: u32::MAX, largest: None }
    }

    fn bounds(&self) -> Rect {
        self.tiling.geometry().bounds()
    }

    /// Enlarges `regions`, which lie in `rect`, as the picture of `rect`.
    fn patch(
        &mut self,
        source: &Image,
        regions: &[Region],
        rect: Rect,
        pool: &BufferPool,
        cost: &mut Cost,
    ) -> Result<Patch, Error> {
        let info = self.engine.info();
        let Rect { width, height, .. } = rect.scaled(info.factor);
        let mut picture = pool.take(info.channels.count(), width as usize, height as usize);
        for region in regions {
            self.enlarge(source, region, &mut Target { picture: &mut picture, rect }, cost)?;
        }
        Ok(Patch { rect, picture, parts: Vec::new() })
    }

    /// Enlarges `region` into its place in `target`: at once, or in halves if memory runs out.
    fn enlarge(
        &mut self,
        source: &Image,
        region: &Region,
        target: &mut Target<'_>,
        cost: &mut Cost,
    ) -> Result<(), Error> {
        let edge = region.compute.width.max(region.compute.height);
        // No part is smaller than the alignment.
        if edge <= self.max_edge.max(self.tiling.geometry().align) {
            match self.run(source, region, target, cost) {
                Err(error) if error.smaller_may_succeed() => self.halve(edge)?,
                done => return Ok(done?),
            }
        }
        for part in self.tiling.geometry().parts(region, self.max_edge) {
            self.enlarge(source, &part, target, cost)?;
        }
        Ok(())
    }

    /// Limits regions to half of a side that does not fit into memory.
    fn halve(&mut self, edge: u32) -> Result<(), Error> {
        let (half, geometry) = (edge / 2, self.tiling.geometry());
        if half < MIN_EDGE || geometry.halo.is_none() || geometry.fixed_size.is_some() {
            let purpose = MemoryUse::Region { side: half.max(MIN_EDGE) };
            return Err(OutOfMemory { purpose, needed: None, available: None }.into());
        }
        self.max_edge = half;
        Ok(())
    }

    fn run(
        &mut self,
        source: &Image,
        region: &Region,
        target: &mut Target<'_>,
        cost: &mut Cost,
    ) -> Result<(), engine::Error> {
        Interrupt::current().check()?;
        let start = Instant::now();
        let Region { compute, read, padded: (width, height) } = *region;
        let (geometry, factor) = (self.tiling.geometry(), self.engine.info().factor);
        let as_read = (read.width, read.height) == (width, height);
        let input = if as_read && read == geometry.bounds() {
            source
        } else {
            crop_reflected(source, read, width as usize, height as usize, &mut self.input);
            &self.input
        };
        if as_read && compute == read && compute == target.rect {
            self.engine.run(input, target.picture)?;
        } else {
            self.engine.run(input, &mut self.output)?;
            let inside = Rect { x: compute.x - read.x, y: compute.y - read.y, ..compute };
            let [x, y] = [compute.x - target.rect.x, compute.y - target.rect.y]
                .map(|offset| (offset * factor) as usize);
            target.picture.copy_from(&self.output, inside.scaled(factor), x, y);
        }
        let (time, pixels) = (start.elapsed(), region.pixels());
        cost.time += time;
        cost.regions += 1;
        cost.pixels += pixels;
        if self.largest.is_none_or(|(most, _)| most <= pixels) {
            self.largest = Some((pixels, time.as_secs_f64()));
        }
        Ok(())
    }
}

impl<E: Infer + ?Sized> Enlarger for Regionwise<E>
where
    AnyEngine: From<Box<E>>,
{
    fn info(&self) -> &ModelInfo {
        self.engine.info()
    }

    fn planning(&self) -> Planning {
        Planning::Regions { grid: self.engine.shape_grid() }
    }

    fn update(
        &mut self,
        source: &Image,
        work: &Work,
        pool: &BufferPool,
    ) -> Result<(Vec<Patch>, Cost), Error> {
        let (before, mut cost) = (self.max_edge, Cost::default());
        let patches = match &work.compute {
            Compute::Nothing => vec![],
            Compute::Regions(regions) => {
                let patch = |region: &Region| {
                    self.patch(source, &[*region], region.compute, pool, &mut cost)
                };
                regions.iter().map(patch).collect::<Result<_, _>>()?
            }
            Compute::Changed(_) | Compute::Whole => {
                let (tiles, bounds) = (self.tiling.tiles().to_vec(), self.bounds());
                vec![self.patch(source, &tiles, bounds, pool, &mut cost)?]
            }
        };
        if self.max_edge < before {
            self.tiling.limit_edges(self.max_edge)?;
            cost.max_edge = Some(self.max_edge);
        }
        Ok((patches, cost))
    }

    fn measure(
        &mut self,
        source: &Image,
        region: &Region,
        pool: &BufferPool,
    ) -> Result<Option<CostModel>, Error> {
        let Some(largest) = self.largest else { return Ok(None) };
        let (mut first, mut second) = <(Cost, Cost)>::default();
        // The first run of a shape includes its setup.
        for cost in [&mut first, &mut second] {
            pool.put(self.patch(source, &[*region], region.compute, pool, cost)?.picture);
        }
        let cost = CostModel::fit(&[largest, (second.pixels, second.time.as_secs_f64())]);
        Ok(cost.map(|cost| CostModel { whole: self.engine.whole_share(), ..cost }))
    }

    fn into_engine(self: Box<Self>) -> AnyEngine {
        self.engine.into()
    }
}

/// Copies the part `read` of `source` to `out`, extended to `width` × `height` pixels by reflection
/// about its last column and row.
fn crop_reflected(source: &Image, read: Rect, width: usize, height: usize, out: &mut Image) {
    out.resize(source.channels(), width, height);
    let (x, inside) = (read.x as usize, read.width as usize);
    for channel in 0..source.channels() {
        for y in 0..height {
            let row = source.row(channel, read.y as usize + reflected(y, read.height as usize));
            let from = row.get(x..x + inside).unwrap_or_default();
            let (to, beyond) = out.row_mut(channel, y).split_at_mut(inside.min(width));
            to.copy_from_slice(from.get(..to.len()).unwrap_or_default());
            for (x, sample) in (inside..).zip(beyond) {
                *sample = from.get(reflected(x, inside)).copied().unwrap_or(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_extended_by_reflection_on_the_right_and_at_the_bottom() {
        let mut source = Image::new(1, 3, 3);
        source.data_mut().copy_from_slice(&[9.0, 9.0, 9.0, 9.0, 1.0, 2.0, 9.0, 3.0, 4.0]);
        let mut out = Image::default();
        crop_reflected(&source, Rect::new(1, 1, 2, 2), 3, 3, &mut out);
        assert_eq!(out.data(), &[1.0, 2.0, 1.0, 3.0, 4.0, 3.0, 1.0, 2.0, 1.0]);
        crop_reflected(&source, Rect::new(1, 1, 2, 1), 2, 1, &mut out);
        assert_eq!(out.data(), &[1.0, 2.0]);
    }
}

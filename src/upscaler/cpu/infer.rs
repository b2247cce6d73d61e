//! Stage 4: regions of the input through the model. Knows nothing of frames before.

use std::time::Instant;

use super::{
    super::{Error, FrameReport, Geometry, Region, region::MIN_EDGE},
    buffer_pool::BufferPool,
    job::{Job, Part, Update},
};
use crate::{
    engine::Infer,
    frame::{Image, Rect},
    reuse::CostModel,
};

/// The model with the pictures that go in and come out of it.
pub(super) struct Inference {
    engine: Box<dyn Infer>,
    geometry: Geometry,
    pool: BufferPool,
    /// Of a region that the model wants larger than the frame is.
    padded: Image,
    /// Of a region with its halo.
    output: Image,
    /// The largest edge of a region that memory suffices for, as far as is known.
    most_edge: u32,
    /// How long the last run of the largest size took, as pixels and seconds.
    largest: Option<(u64, f64)>,
}

impl Inference {
    pub(super) fn new(engine: Box<dyn Infer>, geometry: Geometry, pool: BufferPool) -> Self {
        let (padded, output) = Default::default();
        let (most_edge, largest) = (u32::MAX, None);
        Self { engine, geometry, pool, padded, output, most_edge, largest }
    }

    pub(super) fn into_engine(self) -> Box<dyn Infer> {
        self.engine
    }

    /// Makes the update of the inputs of `job`.
    pub(super) fn run(&mut self, job: &mut Job) -> Result<(), Error> {
        let most_edge = self.most_edge;
        let inputs = std::mem::take(&mut job.inputs);
        job.update = match job.whole {
            true => {
                let (width, height) = self.geometry.frame;
                let all = Rect::of_size(width, height);
                let mut picture = self.picture(all);
                for Part { region, picture: input } in inputs {
                    self.enlarge(&region, &input, all, &mut picture, &mut job.report)?;
                    self.pool.put(input);
                }
                Update::Whole(picture)
            }
            false => {
                let mut parts = Vec::with_capacity(inputs.len());
                for Part { region, picture: input } in inputs {
                    let mut picture = self.picture(region.compute);
                    self.enlarge(&region, &input, region.compute, &mut picture, &mut job.report)?;
                    self.pool.put(input);
                    parts.push(Part { region, picture });
                }
                Update::Parts(parts)
            }
        };
        job.cut_to = (self.most_edge < most_edge).then_some(self.most_edge);
        job.report.less_at_once = job.cut_to.is_some();
        Ok(())
    }

    /// Room for the enlarged picture of `rect`.
    fn picture(&self, rect: Rect) -> Image {
        let info = self.engine.info();
        let large = rect.scaled(info.factor);
        self.pool.take(info.channels.count(), large.width as usize, large.height as usize)
    }

    /// Enlarges `region`, given as `input`, into its place in `out`, which is the picture of
    /// `around`: as a whole, or in halves where memory does not suffice for that.
    fn enlarge(
        &mut self,
        region: &Region,
        input: &Image,
        around: Rect,
        out: &mut Image,
        report: &mut FrameReport,
    ) -> Result<(), Error> {
        let edge = region.compute.width.max(region.compute.height);
        // No part is smaller than the alignment.
        if edge <= self.most_edge.max(self.geometry.align) {
            match self.run_whole(region, input, around, out, report) {
                Err(Error::Inference(error)) if error.smaller_may_succeed() => {
                    self.most_edge = self.half(edge)?;
                }
                done => return done,
            }
        }
        for part in self.geometry.parts(region.compute, self.most_edge) {
            // A shorter halo stays one.
            let read = part.read.intersection(&region.read);
            let part = self.geometry.region_reading(part.compute, read);
            let Rect { x, y, width, height } = read;
            let inside = Rect::new(x - region.read.x, y - region.read.y, width, height);
            let mut cropped = self.pool.take(input.channels(), width as usize, height as usize);
            cropped.copy_from(input, inside, 0, 0);
            self.enlarge(&part, &cropped, around, out, report)?;
            self.pool.put(cropped);
        }
        Ok(())
    }

    /// Half of an edge that memory does not suffice for.
    fn half(&self, edge: u32) -> Result<u32, Error> {
        let half = edge / 2;
        if half < MIN_EDGE || self.geometry.halo.is_none() || self.geometry.fixed_size.is_some() {
            return Err(Error::NoMemory { side: half.max(MIN_EDGE) });
        }
        Ok(half)
    }

    fn run_whole(
        &mut self,
        region: &Region,
        input: &Image,
        around: Rect,
        out: &mut Image,
        report: &mut FrameReport,
    ) -> Result<(), Error> {
        let start = Instant::now();
        let factor = self.engine.info().factor;
        let Region { compute, read, padded: (width, height) } = *region;
        let as_read = (read.width, read.height) == (width, height);
        if as_read && compute == read && compute == around {
            self.engine.run(input, out)?;
        } else {
            let input = match as_read {
                true => input,
                false => {
                    continue_by_reflection(
                        input,
                        width as usize,
                        height as usize,
                        &mut self.padded,
                    );
                    &self.padded
                }
            };
            self.engine.run(input, &mut self.output)?;
            let inside = Rect { x: compute.x - read.x, y: compute.y - read.y, ..compute };
            let (x, y) = ((compute.x - around.x) * factor, (compute.y - around.y) * factor);
            out.copy_from(&self.output, inside.scaled(factor), x as usize, y as usize);
        }
        let time = start.elapsed();
        report.infer += time;
        report.regions += 1;
        report.pixels += region.pixels();
        if self.largest.is_none_or(|(pixels, _)| pixels <= region.pixels()) {
            self.largest = Some((region.pixels(), time.as_secs_f64()));
        }
        Ok(())
    }

    /// What runs cost, by the largest yet and one of `region`, given as `input`; `None` where
    /// there was none yet.
    pub(super) fn costs(
        &mut self,
        region: &Region,
        input: &Image,
    ) -> Result<Option<CostModel>, Error> {
        let Some(largest) = self.largest else { return Ok(None) };
        let mut out = self.picture(region.compute);
        let (mut first, mut second) = <(FrameReport, FrameReport)>::default();
        // The first run of a shape sets it up.
        for report in [&mut first, &mut second] {
            self.enlarge(region, input, region.compute, &mut out, report)?;
        }
        self.pool.put(out);
        let cost = CostModel::fit(&[largest, (second.pixels, second.infer.as_secs_f64())]);
        Ok(cost.map(|cost| CostModel { whole: self.engine.whole_share(), ..cost }))
    }
}

/// `source` with more columns to the right and rows below, mirrored about its last ones.
fn continue_by_reflection(source: &Image, width: usize, height: usize, out: &mut Image) {
    out.resize(source.channels(), width, height);
    for channel in 0..source.channels() {
        for y in 0..height {
            let from = source.row(channel, reflected(y, source.height()));
            let to = out.row_mut(channel, y);
            for (x, sample) in to.iter_mut().enumerate() {
                *sample = from.get(reflected(x, from.len())).copied().unwrap_or(0.0);
            }
        }
    }
}

/// Where position `at` of an endlessly mirrored row of `length` samples lies in it; the outer
/// samples are not repeated.
fn reflected(at: usize, length: usize) -> usize {
    let last = length.saturating_sub(1);
    if last == 0 {
        return 0;
    }
    let at = at % (2 * last);
    if at > last { 2 * last - at } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_does_not_repeat_the_border_and_goes_on_for_ever() {
        let positions: Vec<_> = (0..9).map(|at| reflected(at, 3)).collect();
        assert_eq!(positions, [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(reflected(5, 1), 0);
    }

    #[test]
    fn a_picture_is_continued_right_and_below() {
        let mut source = Image::new(1, 2, 2);
        source.data_mut().copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
        let mut out = Image::default();
        continue_by_reflection(&source, 3, 3, &mut out);
        assert_eq!(out.data(), &[1.0, 2.0, 1.0, 3.0, 4.0, 3.0, 1.0, 2.0, 1.0]);
    }
}

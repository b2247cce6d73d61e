//! Stage 4: regions of the input through the model, into the canvas.

use std::time::Instant;

use super::super::{Error, FrameReport, Region};
use crate::{
    frame::{FrameRef, Image, Rect, Unpacker},
    inference::Infer,
};

/// The model with the pictures that go in and come out of it.
pub(super) struct Inference {
    engine: Box<dyn Infer>,
    unpacker: Unpacker,
    input: Image,
    /// Of a region that the model wants larger than the frame is.
    unpadded: Image,
    output: Image,
}

impl Inference {
    pub(super) fn new(engine: Box<dyn Infer>, unpacker: Unpacker) -> Self {
        let empty = Image::default;
        Self { engine, unpacker, input: empty(), unpadded: empty(), output: empty() }
    }

    pub(super) fn shape_grid(&self) -> u32 {
        self.engine.shape_grid()
    }

    /// Pixels around a changed one that differ in what the model is given.
    pub(super) fn spread(&self) -> u32 {
        self.unpacker.reads_beyond()
    }

    /// Seconds that the model alone takes for `region`; its picture is left aside.
    pub(super) fn time(&mut self, frame: &FrameRef<'_>, region: &Region) -> Result<f64, Error> {
        self.unpack(frame, region)?;
        let start = Instant::now();
        self.engine.run(&self.input, &mut self.output)?;
        Ok(start.elapsed().as_secs_f64())
    }

    pub(super) fn into_engine(self) -> Box<dyn Infer> {
        self.engine
    }

    /// Enlarges `region` of `frame` into its place in `canvas`.
    pub(super) fn run(
        &mut self,
        frame: &FrameRef<'_>,
        region: &Region,
        canvas: &mut Image,
        report: &mut FrameReport,
    ) -> Result<(), Error> {
        let start = Instant::now();
        self.unpack(frame, region)?;
        report.unpack += start.elapsed();
        let start = Instant::now();
        self.infer(region, canvas)?;
        report.infer += start.elapsed();
        report.regions += 1;
        report.pixels += region.pixels();
        Ok(())
    }

    /// Fills `input` with what the model is given.
    fn unpack(&mut self, frame: &FrameRef<'_>, region: &Region) -> Result<(), Error> {
        let (width, height) = (region.padded.0 as usize, region.padded.1 as usize);
        if (region.read.width as usize, region.read.height as usize) == (width, height) {
            return Ok(self.unpacker.unpack(frame, region.read, &mut self.input)?);
        }
        self.unpacker.unpack(frame, region.read, &mut self.unpadded)?;
        continue_by_reflection(&self.unpadded, width, height, &mut self.input);
        Ok(())
    }

    /// From `input` to the region's place in `canvas`.
    fn infer(&mut self, region: &Region, canvas: &mut Image) -> Result<(), Error> {
        let factor = self.engine.info().factor;
        let fills_canvas = region.compute == region.read
            && (self.input.width() * factor as usize, self.input.height() * factor as usize)
                == (canvas.width(), canvas.height());
        if fills_canvas {
            return Ok(self.engine.run(&self.input, canvas)?);
        }
        self.engine.run(&self.input, &mut self.output)?;
        let Rect { x, y, width, height } = region.compute;
        let inside = Rect::new(x - region.read.x, y - region.read.y, width, height).scaled(factor);
        let at = region.compute.scaled(factor);
        canvas.copy_from(&self.output, inside, at.x as usize, at.y as usize);
        Ok(())
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

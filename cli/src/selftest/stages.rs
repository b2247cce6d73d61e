//! The stages around inference, on every format, with a model that is plain arithmetic.

use gstupscale::{
    engine::{self, Infer},
    frame::{Channels, Image, PixelFormat},
    model::ModelInfo,
    upscaler::{CpuPipeline, Error, FrameParams, Pipeline as _, Reuse, StreamSettings},
};

use super::{Outcome, Report};
use crate::{
    pictures::{self, Frame},
    print,
};

/// Odd, and large enough for several regions.
pub const SIZE: (u32, u32) = (101, 67);

/// The model's picture and nothing else.
pub const PARAMS: FrameParams =
    FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Off };

pub fn settings(tile_size: u32) -> StreamSettings {
    StreamSettings {
        threads: 1,
        tile_size,
        halo: None,
        memory_limit: None,
        regions_exact: true,
        tolerant_halo: None,
    }
}

/// Adds the rows of the stages on the processor.
///
/// # Errors
/// See [`print::Error`].
pub fn check(report: &mut Report) -> Result<(), print::Error> {
    report.add("stages keep every sample", "cpu", over_formats(keeps_samples))?;
    report.add("stages by regions equal the whole", "cpu", over_formats(regions_equal_whole))
}

/// `holds` on all formats with both kinds of models.
fn over_formats(holds: impl Fn(PixelFormat, Channels) -> Result<Option<bool>, Error>) -> Outcome {
    let (mut checked, mut wrong) = (0, Vec::new());
    for &format in PixelFormat::ALL {
        for channels in [Channels::Luma, Channels::Rgb] {
            match holds(format, channels) {
                Ok(Some(true)) => checked += 1,
                Ok(Some(false)) => wrong.push(format!("{format} {channels:?}")),
                Ok(None) => {}
                Err(error) => wrong.push(format!("{format} {channels:?}: {error}")),
            }
        }
    }
    match wrong.is_empty() {
        true => Outcome::Passed(format!("{checked} cases of {} formats", PixelFormat::ALL.len())),
        false => Outcome::Failed(wrong.join(", ")),
    }
}

/// A model that changes nothing gives the frame back. Not asked where chroma is shared and goes
/// through R′G′B′: it is filtered there.
fn keeps_samples(format: PixelFormat, channels: Channels) -> Result<Option<bool>, Error> {
    if format.layout().subsampling != [0, 0] && channels == Channels::Rgb {
        return Ok(None);
    }
    let frame = noise(format)?;
    Ok(Some(enlarge(Plain::new(channels, 1, false), &frame, 0)? == frame))
}

fn regions_equal_whole(format: PixelFormat, channels: Channels) -> Result<Option<bool>, Error> {
    let frame = noise(format)?;
    let run = |tile_size| enlarge(Plain::new(channels, 2, true), &frame, tile_size);
    Ok(Some(run(32)? == run(0)?))
}

pub fn noise(format: PixelFormat) -> Result<Frame, Error> {
    let picture = pictures::noise(3, SIZE.0 as usize, SIZE.1 as usize, 1);
    Ok(Frame::of(pictures::info(format, SIZE.0, SIZE.1), &picture)?)
}

/// One frame through all stages, cut at `tile_size`.
fn enlarge(model: Plain, frame: &Frame, tile_size: u32) -> Result<Frame, Error> {
    let input = frame.read()?;
    let factor = model.info.factor;
    let large = pictures::info(input.info.format, SIZE.0 * factor, SIZE.1 * factor);
    let mut output = Frame::new(large);
    let mut upscaler = CpuPipeline::new(Box::new(model), input.info, large, settings(tile_size))?;
    upscaler.process(&input, None, &mut output.write()?, &PARAMS)?;
    Ok(output)
}

/// Nearest neighbour; soft, each pixel is mixed with the four around it.
pub struct Plain {
    info: ModelInfo,
    soft: bool,
}

impl Plain {
    pub fn new(channels: Channels, factor: u32, soft: bool) -> Self {
        let info = ModelInfo {
            channels,
            factor,
            halo: Some(soft.into()),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: false,
            parameters: 0,
            macs_per_pixel: 5.0,
            peak_floats_per_pixel: 30.0,
        };
        Self { info, soft }
    }
}

impl Infer for Plain {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        let factor = self.info.factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        for channel in 0..input.channels() {
            for y in 0..output.height() {
                let at = |x: Option<usize>, y: Option<usize>| {
                    let inside = x.zip(y).filter(|(_, y)| *y < input.height());
                    inside.and_then(|(x, y)| input.row(channel, y).get(x)).copied().unwrap_or(0.0)
                };
                for (x, to) in output.row_mut(channel, y).iter_mut().enumerate() {
                    let (x, y) = (x / factor, y / factor);
                    let (left, up) = (x.checked_sub(1), y.checked_sub(1));
                    let around = at(left, Some(y))
                        + at(Some(x + 1), Some(y))
                        + at(Some(x), up)
                        + at(Some(x), Some(y + 1));
                    let here = at(Some(x), Some(y));
                    *to = if self.soft { 0.5 * here + 0.125 * around } else { here };
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_pass() {
        assert!(matches!(over_formats(keeps_samples), Outcome::Passed(_)));
        assert!(matches!(over_formats(regions_equal_whole), Outcome::Passed(_)));
    }

    #[test]
    fn a_model_that_reaches_further_than_it_says_is_found_out() {
        let outcome = over_formats(|format, channels| {
            let frame = noise(format)?;
            let run = |tile_size| {
                let mut model = Plain::new(channels, 2, true);
                model.info.halo = Some(0);
                enlarge(model, &frame, tile_size)
            };
            Ok(Some(run(32)? == run(0)?))
        });
        assert!(matches!(outcome, Outcome::Failed(_)));
    }
}

//! The CPU's stages around inference, in every pixel format.

use gstupscale::{
    frame::{Channels, OwnedFrame, PixelFormat},
    upscaler::{
        CpuPipeline, EngineTraits, Error, FrameParams, Pipeline as _, Reuse, StreamSettings,
    },
};

use super::{
    Outcome, Report,
    test_model::{Filter, TestModel},
};
use crate::{frame, print, test_pictures};

/// Odd, and large enough for several regions.
pub const SIZE: (u32, u32) = (101, 67);

/// The model's picture without blending, grain or reuse.
pub const PARAMS: FrameParams =
    FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Off };

/// A model whose regions equal the whole frame.
pub const EXACT_REGIONS: EngineTraits = EngineTraits { exact_regions: true, tolerant_halo: None };

/// Settings for one thread and this tile size; 0: whole frames.
pub fn settings(tile_size: u32) -> StreamSettings {
    StreamSettings { threads: 1, tile_size, halo: None, memory_limit: None, fidelity: 0.0 }
}

/// Adds the CPU's rows.
///
/// # Errors
/// See [`print::Error`].
pub fn check(report: &mut Report) -> Result<(), print::Error> {
    report.add("stages: samples are preserved", "cpu", over_formats(keeps_samples))?;
    report.add("stages: tiles equal the whole frame", "cpu", over_formats(tiles_equal_whole_frame))
}

/// The result of a check for one format and one kind of model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Equal,
    Different,
    NotApplicable,
}

impl Case {
    fn compare(a: &OwnedFrame, b: &OwnedFrame) -> Self {
        if a == b { Self::Equal } else { Self::Different }
    }
}

/// Runs `check` for every format and both kinds of models.
fn over_formats(check: impl Fn(PixelFormat, Channels) -> Result<Case, Error>) -> Outcome {
    let (mut checked, mut failed) = (0, Vec::new());
    for &format in PixelFormat::ALL {
        for channels in [Channels::Luma, Channels::Rgb] {
            match check(format, channels) {
                Ok(Case::Equal) => checked += 1,
                Ok(Case::Different) => failed.push(format!("{format} {channels:?}")),
                Ok(Case::NotApplicable) => {}
                Err(error) => failed.push(format!("{format} {channels:?}: {error}")),
            }
        }
    }
    if failed.is_empty() {
        Outcome::Passed(format!("{checked} cases in {} formats", PixelFormat::ALL.len()))
    } else {
        Outcome::Failed(failed.join(", "))
    }
}

/// A model that returns its input must return the frame. Not applicable to subsampled chroma that
/// goes through R′G′B′, which filters it.
fn keeps_samples(format: PixelFormat, channels: Channels) -> Result<Case, Error> {
    if format.layout().subsampling != [0, 0] && channels == Channels::Rgb {
        return Ok(Case::NotApplicable);
    }
    let frame = noise(format)?;
    let model = TestModel::new(channels, 1, Filter::Nearest);
    Ok(Case::compare(&enlarge(model, &frame, 0)?, &frame))
}

fn tiles_equal_whole_frame(format: PixelFormat, channels: Channels) -> Result<Case, Error> {
    compare_tiles(format, || TestModel::new(channels, 2, Filter::Soft))
}

fn compare_tiles(format: PixelFormat, model: impl Fn() -> TestModel) -> Result<Case, Error> {
    let frame = noise(format)?;
    Ok(Case::compare(&enlarge(model(), &frame, 32)?, &enlarge(model(), &frame, 0)?))
}

/// A frame of noise of [`SIZE`].
///
/// # Errors
/// See [`Error`].
pub fn noise(format: PixelFormat) -> Result<OwnedFrame, Error> {
    let picture = test_pictures::noise(3, SIZE.0 as usize, SIZE.1 as usize, 1);
    Ok(frame::from_picture(frame::info(format, SIZE.0, SIZE.1), &picture)?)
}

/// Runs one frame through all stages.
fn enlarge(model: TestModel, frame: &OwnedFrame, tile_size: u32) -> Result<OwnedFrame, Error> {
    let input = frame.read();
    let factor = model.info.factor;
    let large = frame::info(input.info.format, SIZE.0 * factor, SIZE.1 * factor);
    let mut output = OwnedFrame::new(large, 0)?;
    let mut upscaler =
        CpuPipeline::new(Box::new(model), EXACT_REGIONS, input.info, large, settings(tile_size))?;
    upscaler.process(&input, None, &mut output.write(), &PARAMS)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_pass() {
        for outcome in [over_formats(keeps_samples), over_formats(tiles_equal_whole_frame)] {
            assert!(matches!(outcome, Outcome::Passed(_)), "{outcome}");
        }
    }

    #[test]
    fn a_halo_that_is_too_small_fails() {
        let outcome = over_formats(|format, channels| {
            compare_tiles(format, || {
                let mut model = TestModel::new(channels, 2, Filter::Soft);
                model.info.halo = Some(0);
                model
            })
        });
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome}");
    }
}

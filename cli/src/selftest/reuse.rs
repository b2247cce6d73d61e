//! The element's output with `reuse=exact`, compared with `reuse=off`.

use gstupscale::{engine::Backend, frame::PixelFormat, model::Model};

use super::{EngineSpec, Error, Outcome};
use crate::{
    frame,
    harness::{self, Harness},
    test_pictures,
};

/// Video of 8 and 10 bits, and R′G′B′.
pub const FORMATS: [PixelFormat; 3] = [PixelFormat::Nv12, PixelFormat::P010_10le, PixelFormat::Rgb];

/// The largest number of multiply-adds for one check.
const MAX_MACS: f64 = 1e12;
/// Frames per check.
const FRAMES: u32 = 12;

/// Compares every byte of a clip in which little changes.
pub fn check(
    spec: &EngineSpec,
    model: &Model,
    format: PixelFormat,
    regions_exact: bool,
) -> Outcome {
    Outcome::from_result(compare(spec, model, format, regions_exact))
}

fn compare(
    spec: &EngineSpec,
    model: &Model,
    format: PixelFormat,
    regions_exact: bool,
) -> Result<Outcome, Error> {
    let Some((width, height)) = size(model) else {
        return Ok(Outcome::NotAvailable("the model is too slow for this check".into()));
    };
    let clip = clip(format, width, height)?;
    let off = play(spec, &clip, "off")?;
    let reused = play(spec, &clip, "exact")?;
    if let Some(frame) = first_difference(&off.frames, &reused.frames) {
        return Ok(Outcome::Failed(format!("frame {frame} of {FRAMES} differs")));
    }
    let share = reused.stats.get::<f64>("pixels-share").unwrap_or(1.0) * 100.0;
    let method = if spec.options.backend == Backend::Native {
        "layer by layer"
    } else if regions_exact {
        "in changed regions"
    } else {
        "in whole frames only, because this engine's regions are not exact"
    };
    Ok(Outcome::Passed(format!("computed {share:.0} % of {width}x{height} pixels {method}")))
}

/// The largest size within [`MAX_MACS`], up to 320×180 pixels; `None` if the model is too slow.
fn size(model: &Model) -> Option<(u32, u32)> {
    if let Some(size) = model.info.fixed_size {
        return Some(size);
    }
    let cost = |width: u32| {
        let pixels = f64::from(width) * f64::from(width * 9 / 16);
        model.info.macs_per_pixel * pixels * f64::from(FRAMES) * 2.0
    };
    let min = model.info.min_side.max(16);
    let width = [320, 256, 192, 128, 96].into_iter().find(|&width| cost(width) <= MAX_MACS)?;
    Some((width.max(min), (width * 9 / 16).max(min)))
}

struct Clip {
    caps: gst::Caps,
    frames: Vec<gst::Buffer>,
}

fn clip(format: PixelFormat, width: u32, height: u32) -> Result<Clip, Error> {
    let info = frame::info(format, width, height);
    let video = harness::video(&info)?;
    let frames = (0..FRAMES).map(|number| -> Result<_, Error> {
        // Each picture twice, as in animation on twos.
        let picture = test_pictures::scene(3, width as usize, height as usize, number / 2);
        Ok(harness::buffer(&video, &frame::from_picture(info, &picture)?, number)?)
    });
    Ok(Clip { frames: frames.collect::<Result<_, _>>()?, caps: video.to_caps()? })
}

/// The number of the first frame that differs or is missing in one of the two.
fn first_difference(a: &[Vec<u8>], b: &[Vec<u8>]) -> Option<usize> {
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    differs.or_else(|| (a.len() != b.len()).then_some(a.len().min(b.len())))
}

/// The bytes of every output frame, and the element's statistics.
struct Playback {
    frames: Vec<Vec<u8>>,
    stats: gst::Structure,
}

fn play(spec: &EngineSpec, clip: &Clip, reuse: &str) -> Result<Playback, Error> {
    let mut properties = spec.properties();
    properties.push(("reuse", reuse.into()));
    let harness = Harness::new(&properties, &clip.caps)?;
    let mut frames = Vec::new();
    for frame in &clip.frames {
        harness.push(frame.clone())?;
        for buffer in harness.take() {
            frames.push(buffer.map_readable()?.to_vec());
        }
    }
    harness.finish();
    for buffer in harness.take() {
        frames.push(buffer.map_readable()?.to_vec());
    }
    Ok(Playback { frames, stats: harness.stats() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_differs_or_is_missing_is_found() {
        let [a, b] = [1, 2].map(|byte| vec![byte; 4]);
        assert_eq!(first_difference(&[a.clone(), b.clone()], &[a.clone(), b.clone()]), None);
        assert_eq!(first_difference(&[a.clone(), b.clone()], &[a.clone(), a.clone()]), Some(1));
        assert_eq!(first_difference(&[a.clone(), b], &[a]), Some(1));
    }
}

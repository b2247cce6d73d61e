//! `reuse=exact` gives what `reuse=off` gives, to the bit, through the element.

use std::error::Error;

use gstupscale::{frame::PixelFormat, model::Model};

use super::{Outcome, Subject};
use crate::{
    harness::{self, Harness},
    pictures::{self, Frame},
};

/// 8 and 10 bits of video, and R′G′B′.
pub const FORMATS: [PixelFormat; 3] = [PixelFormat::Nv12, PixelFormat::P010_10le, PixelFormat::Rgb];

/// Multiply-adds that one check may take, and the frames that it is made over.
const BUDGET: f64 = 1e12;
const FRAMES: u32 = 12;

/// Compares every byte of a clip in which little moves.
pub fn check(
    subject: &Subject,
    model: &Model,
    format: PixelFormat,
    regions_exact: bool,
) -> Outcome {
    Outcome::from_result(compare(subject, model, format, regions_exact))
}

fn compare(
    subject: &Subject,
    model: &Model,
    format: PixelFormat,
    regions_exact: bool,
) -> Result<Outcome, Box<dyn Error>> {
    let by = match regions_exact {
        true => "regions proven exact",
        false => "this engine's regions differ from the whole frame: it computes frames whole",
    };
    let Some((width, height)) = size(model) else {
        return Ok(Outcome::NotAvailable("the model is too slow for this check".into()));
    };
    let clip = clip(format, width, height)?;
    let off = play(subject, &clip, "off")?;
    let reused = play(subject, &clip, "exact")?;
    if let Some(frame) = first_difference(&off.frames, &reused.frames) {
        return Ok(Outcome::Failed(format!("frame {frame} of {FRAMES} differs")));
    }
    let share = reused.stats.get::<f64>("pixels-share").unwrap_or(1.0) * 100.0;
    Ok(Outcome::Passed(format!("{by}; computed {share:.0} % of the pixels of {width}x{height}")))
}

/// As large as the budget allows, 320×180 at most.
fn size(model: &Model) -> Option<(u32, u32)> {
    if let Some(size) = model.info.fixed_size {
        return Some(size);
    }
    let cost = |width: u32| {
        let pixels = f64::from(width) * f64::from(width * 9 / 16);
        model.info.macs_per_pixel * pixels * f64::from(FRAMES) * 2.0
    };
    let least = model.info.min_side.max(16);
    let width = [320, 256, 192, 128, 96].into_iter().find(|&width| cost(width) <= BUDGET)?;
    Some((width.max(least), (width * 9 / 16).max(least)))
}

struct Clip {
    caps: gst::Caps,
    frames: Vec<gst::Buffer>,
}

fn clip(format: PixelFormat, width: u32, height: u32) -> Result<Clip, Box<dyn Error>> {
    let info = pictures::info(format, width, height);
    let video = harness::video(&info)?;
    let frames = (0..FRAMES).map(|number| -> Result<_, Box<dyn Error>> {
        // On twos, as animation has it.
        let picture = pictures::scene(3, width as usize, height as usize, number / 2);
        Ok(harness::buffer(&video, &Frame::of(info, &picture)?, number)?)
    });
    Ok(Clip { frames: frames.collect::<Result<_, _>>()?, caps: video.to_caps()? })
}

/// The number of the first frame that differs, or is in one of them alone.
fn first_difference(a: &[Vec<u8>], b: &[Vec<u8>]) -> Option<usize> {
    let differs = a.iter().zip(b).position(|(a, b)| a != b);
    differs.or_else(|| (a.len() != b.len()).then_some(a.len().min(b.len())))
}

/// The bytes of every frame that came out, and the element's statistics.
struct Played {
    frames: Vec<Vec<u8>>,
    stats: gst::Structure,
}

fn play(subject: &Subject, clip: &Clip, reuse: &str) -> Result<Played, Box<dyn Error>> {
    let mut properties = subject.properties();
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
    Ok(Played { frames, stats: harness.stats() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_differs_or_lacks_is_found() {
        let [a, b] = [1, 2].map(|byte| vec![byte; 4]);
        assert_eq!(first_difference(&[a.clone(), b.clone()], &[a.clone(), b.clone()]), None);
        assert_eq!(first_difference(&[a.clone(), b.clone()], &[a.clone(), a.clone()]), Some(1));
        assert_eq!(first_difference(&[a.clone(), b], &[a]), Some(1));
    }
}

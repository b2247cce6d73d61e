//! What a model makes of the scenes, and what it costs.

use std::time::{Duration, Instant};

use image::{GrayImage, RgbImage, imageops};

use super::{Error, footage::Footage, frame, measure};
use crate::{
    harness::Harness,
    machine,
    media::{
        codec::Codec,
        encoder::{self, EncoderSettings},
        signals::Signals,
    },
    remaster::{Encoder, Encoding, mean_size},
};

/// Time for consecutive frames of all scenes, after which scenes get their first frame only.
const PATIENCE: Duration = Duration::from_secs(60);

/// Frames of a flicker strip.
const STRIP: usize = 3;

/// Width and height of a flicker strip's frames in output pixels, at most.
const STRIP_SIZE: (u32, u32) = (320, 180);

/// How frames are enlarged.
#[derive(Clone, Debug)]
pub enum Method {
    Lanczos,
    /// The model of this name or path.
    Model(String),
}

impl Method {
    /// What pages call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Lanczos => "Lanczos",
            Self::Model(name) => name,
        }
    }

    fn properties(&self, scale: f64, is_film: bool) -> Vec<(&str, String)> {
        let reuse = if is_film { "exact" } else { "off" };
        let mut all = vec![("scale", scale.to_string()), ("reuse", reuse.into())];
        match self {
            Self::Lanczos => all.push(("bypass", "true".into())),
            Self::Model(name) => all.push(("model", name.clone())),
        }
        all
    }
}

/// What a method made of the scenes of an input.
pub struct Rendered {
    /// Backend and precision; empty for Lanczos.
    pub engine: String,
    /// For each scene the first frame as an address, and a few more of its most detailed part.
    pub scenes: Vec<(String, Vec<String>)>,
    /// Time per frame for enlarging: of each scene that was measured.
    pub enlarging: Vec<Duration>,
    /// Time per frame for encoding, with the usual codec.
    pub encoding: Duration,
    /// Encoded bytes per frame: of each scene that was measured.
    pub bytes: Vec<f64>,
    /// See [`measure::sharpness`]: the mean over the scenes.
    pub sharpness: f64,
    /// See [`measure::flicker`]: the mean over the scenes.
    pub flicker: Option<f64>,
}

/// Enlarges the scenes of an input.
///
/// # Errors
/// [`Error::Model`] if the model cannot be used, or [`Error::Stopped`].
pub fn render(
    method: &Method,
    footage: &Footage,
    scale: f64,
    signals: &Signals,
) -> Result<Rendered, Error> {
    let mut rendered = Rendered {
        engine: String::new(),
        scenes: Vec::new(),
        enlarging: Vec::new(),
        encoding: Duration::ZERO,
        bytes: Vec::new(),
        sharpness: 0.0,
        flicker: None,
    };
    let is_film = footage.film.is_some();
    let mut element: Option<(Harness, gst::Caps)> = None;
    let (mut spent, mut encoded) = (Duration::ZERO, 0);
    let (mut sharpness, mut flickers) = (Vec::new(), Vec::new());
    for scene in &footage.scenes {
        let failed = |source| Error::Model { model: method.name().to_owned(), source };
        let Some(caps) = scene.frames.first().and_then(|frame| frame.caps_owned()) else {
            continue;
        };
        // An element of its own for scenes of another size or format.
        let harness = match element.take().filter(|(_, of)| *of == caps) {
            Some((harness, _)) => harness,
            None => Harness::new(&method.properties(scale, is_film), &caps).map_err(failed)?,
        };
        let measured = if spent < PATIENCE { scene.frames.len() } else { 1 };
        let mut outputs = Vec::new();
        let mut start = Instant::now();
        for (index, frame) in scene.frames.iter().take(measured).enumerate() {
            if signals.take().is_some() {
                return Err(Error::Stopped);
            }
            if let Some(buffer) = frame.buffer_owned() {
                harness.push(buffer).map_err(failed)?;
            }
            if index == 0 {
                // The first frame is a scene cut, which is rare in a film.
                harness.drain();
                spent += start.elapsed();
                start = Instant::now();
            }
        }
        harness.drain();
        let time = start.elapsed();
        spent += time;
        if let Some(later) = u32::try_from(measured.saturating_sub(1)).ok().filter(|&it| it > 0) {
            rendered.enlarging.push(time / later);
        }
        let Some(caps_out) = harness.caps() else { continue };
        for buffer in harness.take() {
            outputs.push(gst::Sample::builder().caps(&caps_out).buffer(&buffer).build());
        }
        let stats = harness.stats();
        if let (Ok(backend), Ok(precision)) =
            (stats.get::<String>("backend"), stats.get::<String>("precision"))
            && matches!(method, Method::Model(_))
        {
            rendered.engine = format!("{backend} {precision}");
        }
        element = Some((harness, caps));
        if is_film && outputs.len() > 1 {
            let (bytes, time) = encode(&outputs, signals)?;
            rendered.bytes.push(bytes);
            rendered.encoding += time;
            encoded += outputs.len();
        }
        let luma = |frames: &[gst::Sample]| {
            frames.iter().take(2).map(frame::luma).collect::<Result<Vec<_>, _>>()
        };
        let (before, after) = (luma(&scene.frames)?, luma(&outputs)?);
        sharpness.extend(after.first().map(measure::sharpness));
        if let ([first, second], [enlarged, next]) = (before.as_slice(), after.as_slice()) {
            flickers.extend(measure::flicker([first, second], [enlarged, next]));
        }
        let shown = before.first().filter(|_| is_film).map(busiest);
        rendered.scenes.push(pictures(&outputs, shown)?);
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
    rendered.sharpness = mean(&sharpness);
    rendered.flicker = (!flickers.is_empty()).then(|| mean(&flickers));
    rendered.encoding /= u32::try_from(encoded.max(1)).unwrap_or(1);
    Ok(rendered)
}

/// A part of a picture as shares of its sides.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    x: f64,
    y: f64,
}

/// The first frame, and a strip of those parts of the next ones that begin at `shown`.
fn pictures(outputs: &[gst::Sample], shown: Option<Part>) -> Result<(String, Vec<String>), Error> {
    let frames = outputs.iter().take(STRIP).map(frame::rgb).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = frames.first() else { return Ok(Default::default()) };
    let strip = match shown.filter(|_| frames.len() > 1) {
        Some(part) => {
            let (width, height) = first.dimensions();
            let start = |share: f64, side: u32, part: u32| {
                ((share * f64::from(side)) as u32).min(side.saturating_sub(part))
            };
            let (x, y) = (start(part.x, width, STRIP_SIZE.0), start(part.y, height, STRIP_SIZE.1));
            let cut = |frame: &RgbImage| {
                let (width, height) = STRIP_SIZE;
                frame::data_url(&imageops::crop_imm(frame, x, y, width, height).to_image())
            };
            frames.iter().map(cut).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    Ok((frame::data_url(first)?, strip))
}

/// Where the most detail of an input is.
fn busiest(picture: &GrayImage) -> Part {
    let [width, height] = [STRIP_SIZE.0 / 2, STRIP_SIZE.1 / 2];
    let (width, height) = (width.min(picture.width()), height.min(picture.height()));
    let places = |side: u32, part: u32| (0..=side - part).step_by((part / 2).max(1) as usize);
    let parts = places(picture.height(), height)
        .flat_map(|y| places(picture.width(), width).map(move |x| (x, y)));
    let best = parts.max_by(|&(x, y), &(left, top)| {
        let of =
            |x, y| measure::detail(&imageops::crop_imm(picture, x, y, width, height).to_image());
        of(x, y).total_cmp(&of(left, top))
    });
    let (x, y) = best.unwrap_or_default();
    let share = |at: u32, side: u32| f64::from(at) / f64::from(side.max(1));
    Part { x: share(x, picture.width()), y: share(y, picture.height()) }
}

/// Encoded bytes per frame in a longer film, and the time that encoding took.
fn encode(frames: &[gst::Sample], signals: &Signals) -> Result<(f64, Duration), Error> {
    let settings =
        EncoderSettings { threads: Some(machine::threads(0)), ..EncoderSettings::default() };
    let codec = Codec::H264;
    let even = format!("[{0},32766,{0}]", codec.alignment());
    let encoding = Encoding {
        caps: format!("video/x-raw,width={even},height={even}"),
        rate: String::new(),
        encoder: encoder::description(codec, &settings).map_err(crate::media::Error::from)?,
    };
    let encoder = Encoder::new(&encoding)?;
    for frame in frames {
        encoder.push(frame, signals)?;
    }
    let encoded = encoder.finish(signals)?;
    Ok((mean_size(&encoded.packets), encoded.time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strip_shows_the_part_with_the_most_detail() {
        let busy = |x: u32, y: u32| x >= 320 && y < 90 && (x + y).is_multiple_of(2);
        let picture =
            GrayImage::from_fn(640, 360, |x, y| image::Luma([if busy(x, y) { 255 } else { 0 }]));
        let part = busiest(&picture);
        assert!(part.x >= 0.5 && part.y == 0.0, "{part:?}");
        assert_eq!(busiest(&GrayImage::new(1, 1)), Part { x: 0.0, y: 0.0 });
    }
}

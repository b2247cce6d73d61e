//! The frames that a page shows: a few from each of several scenes of a film, or a picture.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use gst::prelude::*;
use gst_app::AppSink;
use gst_video::{VideoFrameRef, VideoInfo, VideoInterlaceMode};

use super::{
    Error,
    scenes::{self, Look},
};
use crate::{
    cadence::{
        FieldOrder, Options, Schedule,
        detect::{self, Observation},
        element::{Cadence, FACTORY as CADENCE},
    },
    media::{
        decoder::decoder,
        elements::{by_name, link, make, parse, sink_pad, source_pad},
        picture,
        signals::Signals,
    },
    remaster::{self, Observer, Pulled, Thumbnail, Watched},
};

/// Consecutive frames of a scene.
pub const FRAMES: usize = 6;

/// Decoded frames from which the cadence of a scene is found: about ten cycles of 2:3 pulldown.
const OBSERVED: usize = 48;

/// Places of a film that scenes are chosen from.
const PLACES: u32 = 12;

/// How long a decoder may take for a frame.
const PATIENCE: Duration = Duration::from_secs(60);

/// No frame lasts longer, as a rule.
const LAST: Duration = Duration::from_millis(500);

/// What is shown of one input.
pub struct Footage {
    pub scenes: Vec<Scene>,
    /// The duration and the number of frames of a film; `None` for a picture.
    pub film: Option<(Duration, u64)>,
    /// Time for decoding a frame.
    pub decoding: Duration,
}

/// Consecutive frames.
pub struct Scene {
    /// Of the first one, from the start of the film.
    pub time: Duration,
    pub frames: Vec<gst::Sample>,
}

impl Scene {
    /// Width divided by height of a pixel. Enlarged pixels have the same shape.
    pub fn pixel_aspect(&self) -> f64 {
        let par = self.frames.first().and_then(info_of).map(|info| info.par());
        par.map_or(1.0, |par| f64::from(par.numer()) / f64::from(par.denom().max(1)))
    }
}

impl Footage {
    /// Decodes frames at the times `at` or, if there are none, of `count` scenes that differ from each
    /// other.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Decode`], [`Error::Media`] or [`Error::Stopped`].
    pub fn read(
        path: &Path,
        at: &[Duration],
        count: usize,
        signals: &Signals,
    ) -> Result<Self, Error> {
        if is_picture(path) {
            return Self::of_picture(path);
        }
        Self::of_film(path, at, count, signals).map_err(|error| match error {
            Error::Remaster(remaster::Error::Element { message, .. }) => {
                Error::Decode { path: path.into(), why: message }
            }
            error => error,
        })
    }

    fn of_film(
        path: &Path,
        at: &[Duration],
        count: usize,
        signals: &Signals,
    ) -> Result<Self, Error> {
        let mut film = Film::open(path, signals)?;
        let duration = film.duration;
        let mut scenes = Vec::new();
        let mut start = Instant::now();
        if at.is_empty() {
            // Key frames are quick to find, but a film may have few.
            let mut flags = gst::SeekFlags::KEY_UNIT;
            let mut times = film.choose(count, flags)?;
            if times.len() < count {
                flags = gst::SeekFlags::ACCURATE;
                times = film.choose(count, flags)?;
            }
            start = Instant::now();
            for time in times {
                scenes.push(film.scene(time, flags)?);
            }
        } else {
            for &time in at {
                scenes.push(film.scene(time.min(duration), gst::SeekFlags::ACCURATE)?);
            }
        }
        scenes.retain(|scene| !scene.frames.is_empty());
        if scenes.is_empty() {
            return Err(film.failed("no frame was decoded"));
        }
        let shown: usize = scenes.iter().map(|scene| scene.frames.len()).sum();
        let total = (duration.as_secs_f64() * film.observed.rate()).round() as u64;
        let decoded = u32::try_from(film.observed.decoded.max(1)).unwrap_or(u32::MAX);
        let decoding = start.elapsed() / decoded;
        Ok(Self { film: Some((duration, total.max(shown as u64))), scenes, decoding })
    }

    fn of_picture(path: &Path) -> Result<Self, Error> {
        let failed = |why: String| Error::Decode { path: path.into(), why };
        let file = fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let start = Instant::now();
        let mut first = None;
        picture::decode(&file, |frame| {
            first = Some(frame);
            false
        })
        .map_err(|error| failed(error.to_string()))?;
        let decoding = start.elapsed();
        let decoded = first.and_then(|frame| frame.into_buffer(gst::Fraction::new(25, 1)));
        let (caps, mut buffer) = decoded.ok_or_else(|| failed("it is too large".into()))?;
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::ZERO);
        }
        let mut again = buffer.copy();
        if let Some(again) = again.get_mut() {
            again.set_pts(gst::ClockTime::from_mseconds(40));
        }
        let sample = |buffer| gst::Sample::builder().caps(&caps).buffer(buffer).build();
        // Twice: the time of the first one includes loading the model.
        let scene = Scene { time: Duration::ZERO, frames: vec![sample(&buffer), sample(&again)] };
        Ok(Self { scenes: vec![scene], film: None, decoding })
    }
}

/// A frame and its time: that at `at` or, without it, at this share of the film. The end of a film counts
/// as its last frame.
///
/// # Errors
/// [`Error::Read`], [`Error::Decode`], [`Error::Media`] or [`Error::Stopped`].
pub fn still(
    path: &Path,
    at: Option<Duration>,
    share: f64,
    signals: &Signals,
) -> Result<(Duration, gst::Sample), Error> {
    let failed = || Error::Decode { path: path.into(), why: "no frame was decoded".into() };
    let first = |scene: Scene| Some((scene.time, scene.frames.into_iter().next()?));
    if is_picture(path) {
        let scenes = Footage::of_picture(path)?.scenes;
        return scenes.into_iter().next().and_then(first).ok_or_else(failed);
    }
    let mut film = Film::open(path, signals)?;
    let time = at.unwrap_or_else(|| film.duration.mul_f64(share.clamp(0.0, 1.0)));
    // The duration of a film includes that of its last frame.
    for time in [time, film.duration.saturating_sub(LAST), Duration::ZERO] {
        let scene = film.scene(time, gst::SeekFlags::ACCURATE)?;
        if let Some(found) = first(scene) {
            return Ok(found);
        }
    }
    Err(failed())
}

/// Whether it is a picture file, by its content.
fn is_picture(path: &Path) -> bool {
    let reader = image::ImageReader::open(path).and_then(|reader| reader.with_guessed_format());
    reader.is_ok_and(|reader| reader.format().is_some_and(|format| format.reading_enabled()))
}

/// What was found while the scenes were decoded.
#[derive(Debug, Default)]
struct Observed {
    /// Frames that were decoded.
    decoded: usize,
    /// Pictures that are shown in `seconds`.
    pictures: usize,
    seconds: f64,
}

impl Observed {
    /// Pictures per second.
    fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.pictures as f64 / self.seconds } else { 0.0 }
    }
}

/// A film that is being decoded.
struct Film<'a> {
    path: &'a Path,
    signals: &'a Signals,
    watched: Watched,
    cadence: Cadence,
    sink: AppSink,
    duration: Duration,
    observed: Observed,
}

impl<'a> Film<'a> {
    fn open(path: &'a Path, signals: &'a Signals) -> Result<Self, Error> {
        let frames = parse(&format!(
            "queue max-size-buffers=2 ! videoconvert ! {CADENCE} name={CADENCE} ! videoconvert \
             ! videoflip video-direction=auto ! videoconvert \
             ! appsink name=frames sync=false max-buffers=2",
        ))?;
        let sink: AppSink = typed(by_name(&frames, "frames")?)?;
        let cadence: Cadence = typed(by_name(&frames, CADENCE)?)?;
        cadence.set_up(None, FieldOrder::Progressive);
        let templates = gst::ElementFactory::find("upscale")
            .map(|factory| factory.static_pad_templates().into_iter().collect::<Vec<_>>())
            .unwrap_or_default();
        let input = templates.iter().find(|it| it.direction() == gst::PadDirection::Sink);
        sink.set_caps(input.map(|template| template.caps()).as_ref());
        let pipeline = gst::Pipeline::new();
        let source = make("filesrc")?;
        source.set_property("location", path);
        let decoder = decoder(&sink_pad(frames.upcast_ref())?)?;
        let added = pipeline.add_many([&source, &decoder, frames.upcast_ref()]);
        added.map_err(crate::media::Error::from)?;
        link(&source_pad(&source)?, &sink_pad(&decoder)?)?;
        let watched = Watched::new(pipeline)?;
        watched.set_state(gst::State::Playing)?;
        let observed = Observed::default();
        let mut film =
            Self { path, signals, watched, cadence, sink, duration: Duration::ZERO, observed };
        film.next()?.ok_or_else(|| film.failed("it has no video"))?;
        let duration = film.watched.pipeline.query_duration::<gst::ClockTime>();
        film.duration = duration.map(Duration::from).unwrap_or_default();
        Ok(film)
    }

    fn failed(&self, why: &str) -> Error {
        Error::Decode { path: self.path.into(), why: why.into() }
    }

    /// The next frame; `None` at the end.
    fn next(&self) -> Result<Option<gst::Sample>, Error> {
        let start = Instant::now();
        loop {
            if self.signals.take().is_some() {
                return Err(Error::Stopped);
            }
            match self.watched.pull(&self.sink)? {
                Pulled::Sample(sample) => return Ok(Some(sample)),
                Pulled::End => return Ok(None),
                Pulled::Nothing if start.elapsed() > PATIENCE => {
                    return Err(self.failed("the decoder gives no frames"));
                }
                Pulled::Nothing => {}
            }
        }
    }

    fn seek(&self, time: Duration, flags: gst::SeekFlags) -> Result<(), Error> {
        let to = gst::ClockTime::try_from(time).unwrap_or_default();
        let sought = self.watched.pipeline.seek_simple(gst::SeekFlags::FLUSH | flags, to);
        sought.map_err(|_| self.failed("its times cannot be sought"))
    }

    /// The times of scenes that differ from each other.
    fn choose(&self, count: usize, flags: gst::SeekFlags) -> Result<Vec<Duration>, Error> {
        let (mut times, mut looks) = (Vec::new(), Vec::new());
        for place in 0..PLACES {
            self.seek(self.duration * (2 * place + 1) / (2 * PLACES), flags)?;
            let Some(sample) = self.next()? else { continue };
            let (Some(time), Some(look)) = (time_of(&sample), look_at(&sample)) else { continue };
            // Several places may have the same key frame.
            if times.last() != Some(&time) {
                times.push(time);
                looks.push(look);
            }
        }
        let chosen = scenes::choose(&looks, count);
        Ok(chosen.into_iter().filter_map(|index| times.get(index).copied()).collect())
    }

    fn scene(&mut self, time: Duration, flags: gst::SeekFlags) -> Result<Scene, Error> {
        let schedule = self.schedule(time, flags)?;
        let frames = schedule.pictures().get(FRAMES - 1).or(schedule.pictures().last());
        self.observed.decoded += frames.map_or(0, |picture| picture.frame + 1);
        self.cadence.set_up(Some(Arc::new(schedule)), FieldOrder::Auto);
        self.seek(time, flags)?;
        let mut frames = Vec::with_capacity(FRAMES);
        while frames.len() < FRAMES {
            let Some(frame) = self.next()? else { break };
            frames.push(frame);
        }
        let time = frames.first().and_then(time_of).unwrap_or(time);
        Ok(Scene { time, frames })
    }

    /// The pictures of a scene.
    fn schedule(&mut self, time: Duration, flags: gst::SeekFlags) -> Result<Schedule, Error> {
        // All decoded frames.
        self.cadence.set_up(None, FieldOrder::Progressive);
        self.seek(time, flags)?;
        let mut observer = Observer::default();
        let (mut times, mut observations) = (Vec::<(u64, u64)>::new(), Vec::<Observation>::new());
        while times.len() < OBSERVED {
            let Some(frame) = self.next()? else { break };
            let (Some(buffer), Some(info)) = (frame.buffer(), info_of(&frame)) else { continue };
            let Ok(picture) = VideoFrameRef::from_buffer_ref_readable(buffer, &info) else {
                continue;
            };
            let (_, observation) = observer.observe(&picture, self.is_flagged());
            let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
            times.push((buffer.pts().map_or(0, gst::ClockTime::nseconds), duration));
            observations.push(Observation { duration, ..observation });
        }
        let schedule =
            Schedule::new(&times, &detect::scenes(&observations, &Options::default()), None);
        let end = times.last().map_or(0, |(pts, duration)| pts + duration);
        let length = end.saturating_sub(times.first().map_or(0, |(pts, _)| *pts));
        self.observed.decoded += times.len();
        self.observed.pictures += schedule.pictures().len();
        self.observed.seconds += length as f64 / 1e9;
        Ok(schedule)
    }

    /// Whether the decoder says that frames may be interlaced.
    fn is_flagged(&self) -> bool {
        let caps = self.cadence.static_pad("sink").and_then(|pad| pad.current_caps());
        let info = caps.and_then(|caps| VideoInfo::from_caps(&caps).ok());
        info.is_some_and(|info| info.interlace_mode() != VideoInterlaceMode::Progressive)
    }
}

/// The element as what it is.
fn typed<T: IsA<gst::Element>>(element: gst::Element) -> Result<T, Error> {
    let typed = element.downcast().map_err(|_| gst::glib::bool_error!("wrong type of element"));
    Ok(typed.map_err(crate::media::Error::from)?)
}

fn info_of(sample: &gst::Sample) -> Option<VideoInfo> {
    VideoInfo::from_caps(sample.caps()?).ok()
}

fn time_of(sample: &gst::Sample) -> Option<Duration> {
    sample.buffer()?.pts().map(Duration::from)
}

fn look_at(sample: &gst::Sample) -> Option<Thumbnail> {
    let info = info_of(sample)?;
    let frame = VideoFrameRef::from_buffer_ref_readable(sample.buffer()?, &info).ok()?;
    Some(Thumbnail::of(&frame))
}

impl Look for Thumbnail {
    fn difference(&self, other: &Self) -> f64 {
        f64::from(self.change(other)) / 16.0
    }

    fn detail(&self) -> f64 {
        self.contrast()
    }
}

//! The frames that a page shows: a few from each of several scenes of a film, or a picture.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use gst::prelude::*;
use gst_app::AppSink;
use gst_video::VideoFrameRef;

use super::{
    Error,
    scenes::{self, Look},
};
use crate::{
    media::{
        decoder::decoder,
        elements::{by_name, link, make, parse, sink_pad, source_pad},
        picture,
        signals::Signals,
    },
    remaster::{self, Pulled, Thumbnail, Watched},
};

/// Consecutive frames of a scene.
pub const FRAMES: usize = 6;

/// Places of a film that scenes are chosen from.
const PLACES: u32 = 12;

/// How long a decoder may take for a frame.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let film = Film::open(path, signals)?;
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
        let frames: usize = scenes.iter().map(|scene| scene.frames.len()).sum();
        let first = scenes.first().and_then(|scene| scene.frames.first());
        let Some(caps) = first.and_then(|frame| frame.caps()) else {
            return Err(film.failed("no frame was decoded"));
        };
        let rate = gst_video::VideoInfo::from_caps(caps).map(|info| info.fps());
        let rate = rate.map_or(0.0, |rate| f64::from(rate.numer()) / f64::from(rate.denom()));
        let total = (duration.as_secs_f64() * rate).round() as u64;
        let decoding = start.elapsed() / u32::try_from(frames.max(1)).unwrap_or(1);
        Ok(Self { film: Some((duration, total.max(frames as u64))), scenes, decoding })
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

/// Whether it is a picture file, by its content.
fn is_picture(path: &Path) -> bool {
    let reader = image::ImageReader::open(path).and_then(|reader| reader.with_guessed_format());
    reader.is_ok_and(|reader| reader.format().is_some_and(|format| format.reading_enabled()))
}

/// A film that is being decoded.
struct Film<'a> {
    path: &'a Path,
    signals: &'a Signals,
    watched: Watched,
    sink: AppSink,
    duration: Duration,
}

impl<'a> Film<'a> {
    fn open(path: &'a Path, signals: &'a Signals) -> Result<Self, Error> {
        let frames = parse(
            "queue max-size-buffers=2 ! deinterlace ! videoconvert ! videoflip video-direction=auto \
             ! videoconvert ! appsink name=frames sync=false max-buffers=2",
        )?;
        let sink = by_name(&frames, "frames")?.downcast::<AppSink>();
        let sink = sink.map_err(|_| gst::glib::bool_error!("the sink has the wrong type"));
        let sink = sink.map_err(crate::media::Error::from)?;
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
        let mut film = Self { path, signals, watched, sink, duration: Duration::ZERO };
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

    fn scene(&self, time: Duration, flags: gst::SeekFlags) -> Result<Scene, Error> {
        self.seek(time, flags)?;
        let mut frames = Vec::with_capacity(FRAMES);
        while frames.len() < FRAMES {
            let Some(frame) = self.next()? else { break };
            frames.push(frame);
        }
        let time = frames.first().and_then(time_of).unwrap_or(time);
        Ok(Scene { time, frames })
    }
}

fn time_of(sample: &gst::Sample) -> Option<Duration> {
    sample.buffer()?.pts().map(Duration::from)
}

fn look_at(sample: &gst::Sample) -> Option<Thumbnail> {
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
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

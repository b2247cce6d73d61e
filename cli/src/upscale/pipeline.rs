//! The pipeline, from file to file, and its run.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Arguments, Error,
    container::{Codec, Container},
    progress::{Frames, Progress},
    signals::{Press, Signals},
    streams::{Streams, Watch, decoded, make, needs_no_parsing, source},
};
use gst::{MessageView, prelude::*};

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    Complete(Frames),
    /// The input ended long before its own word for that.
    Short {
        frames: Frames,
        end: Duration,
        duration: Duration,
    },
    /// By Ctrl-C; the file is sound as far as it goes.
    Stopped(Frames),
    /// By Ctrl-C before there was anything to keep, or pressed again.
    Aborted,
}

/// ```text
/// filesrc ! parsebin ! multiqueue ! decodebin ! deinterlace ! videoflip ! upscale ! encoder ! muxer ! fdsink
///                                 ! (sound and subtitles)                                   !
/// ```
pub struct Pipeline {
    pipeline: gst::Pipeline,
    sink: gst::Element,
    watch: Arc<Watch>,
    signals: Signals,
}

/// By how much the input's word for its duration may be wrong.
const MOST_MISSING: Duration = Duration::from_secs(1);

/// Compressed data held back for one stream while another has none, in bytes.
const QUEUE_BYTES: u32 = 1 << 28;

impl Pipeline {
    /// From now on Ctrl-C waits for [`Pipeline::run`].
    ///
    /// # Errors
    /// See [`Error`]: what is not installed, or a property's value.
    pub fn new(
        input: &Path,
        container: &'static Container,
        codec: Codec,
        arguments: &Arguments,
    ) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let watch = Arc::new(Watch::default());
        let file = make("filesrc")?;
        file.set_property("location", input);
        let parser = make("parsebin")?;
        let queue = make("multiqueue")?;
        queue.set_property("max-size-bytes", QUEUE_BYTES);
        queue.set_property("max-size-time", 0u64);
        let video = video(codec, arguments, &watch)?;
        let muxer = make(container.muxer)?;
        let sink = make("fdsink")?;
        pipeline.add_many([&file, &parser, &queue, &video, &muxer, &sink])?;
        file.link(&parser)?;
        video.link(&muxer)?;
        muxer.link(&sink)?;

        let streams = Streams {
            pipeline: pipeline.downgrade(),
            queue,
            video,
            muxer,
            audio_encoders: container.audio_encoders,
            watch: watch.clone(),
        };
        // The rest is parsed until there is a decoder.
        parser.connect("autoplug-continue", false, |values| {
            let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
            Some((!caps.is_some_and(|caps| needs_no_parsing(&caps))).to_value())
        });
        parser.connect_pad_added(move |parser, pad| {
            if let Err(error) = streams.join(pad) {
                gst::element_error!(parser, gst::StreamError::Failed, ("{error}"));
            }
        });
        Ok(Self { pipeline, sink, watch, signals: Signals::catch().map_err(Error::Signal)? })
    }

    /// Runs to the end, or until Ctrl-C, and writes into `output`.
    ///
    /// # Errors
    /// [`Error::Stream`] with what an element has to say.
    pub fn run(self, output: &File) -> Result<Outcome, Error> {
        // Not by its name: that could have become another file's.
        self.sink.set_property("fd", output.as_raw_fd());
        let bus = self.pipeline.bus().ok_or_else(|| Error::Stream("it has no bus".into()))?;
        // Failure is on the bus, with its reason.
        let started = self.pipeline.set_state(gst::State::Playing);
        let mut progress = Progress::new();
        let mut missing = None;
        loop {
            let frames = self.watch.frames.load(Ordering::Relaxed);
            if let Some(press) = self.signals.take() {
                let again = self.watch.stop.swap(true, Ordering::Relaxed);
                // The second time, or with nothing to finish, at once.
                if frames == 0 || (again && press == Press::Key) {
                    progress.finish();
                    return Ok(Outcome::Aborted);
                }
            }
            progress.update(frames, self.position(), self.duration());
            let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(100)) else {
                if let Err(error) = &started {
                    return Err(Error::Stream(error.to_string()));
                }
                continue;
            };
            match message.view() {
                MessageView::Eos(_) => {
                    // Those since the last look.
                    let frames = self.watch.frames.load(Ordering::Relaxed);
                    progress.update(frames, self.position(), self.duration());
                    let frames = progress.finish();
                    let stopped = self.watch.stop.load(Ordering::Relaxed);
                    let end = Duration::from_nanos(self.watch.end.load(Ordering::Relaxed));
                    return Ok(match self.duration() {
                        _ if stopped => Outcome::Stopped(frames),
                        Some(duration) if end + MOST_MISSING < duration => {
                            Outcome::Short { frames, end, duration }
                        }
                        _ => Outcome::Complete(frames),
                    });
                }
                MessageView::Error(error) => {
                    progress.finish();
                    return Err(Error::Stream(told(message.src(), &error.error(), missing)));
                }
                MessageView::Warning(warning) => {
                    progress.warn(&told(message.src(), &warning.error(), None));
                }
                MessageView::StreamCollection(found)
                    if !may_have_video(&found.stream_collection()) =>
                {
                    progress.finish();
                    return Err(Error::Stream("it has no video".into()));
                }
                MessageView::Progress(step) => progress.say(step.get().2),
                MessageView::Element(element) => {
                    let told = element.structure().filter(|told| told.name() == "missing-plugin");
                    missing = told.and_then(|told| told.get("name").ok()).or(missing);
                }
                _ => {}
            }
        }
    }

    fn position(&self) -> Duration {
        Duration::from_nanos(self.watch.position.load(Ordering::Relaxed))
    }

    fn duration(&self) -> Option<Duration> {
        let duration = self.watch.source.get()?.query_duration::<gst::ClockTime>()?;
        Some(duration.into())
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// From encoded to encoded video.
fn video(codec: Codec, arguments: &Arguments, watch: &Arc<Watch>) -> Result<gst::Element, Error> {
    let size = |pixels: Option<i32>| match pixels {
        Some(pixels) => pixels.to_string(),
        None => format!("[{0},32766,{0}]", codec.step()),
    };
    let size = format!("width={},height={}", size(arguments.width), size(arguments.height));
    // Decoding, enlarging and encoding each on a thread of their own.
    let queue = "queue max-size-buffers=2 max-size-bytes=0 max-size-time=0";
    let description = format!(
        "deinterlace ! videoconvert ! videoflip video-direction=auto ! videoconvert ! {queue} \
         ! upscale name=upscale ! video/x-raw,{size} \
         ! {queue} ! videoscale method=lanczos add-borders=true ! videoconvert \
         ! capsfilter name=held ! {}",
        codec.description(arguments.quality)
    );
    let bin = decoded(&description)?;
    let upscale =
        bin.by_name("upscale").ok_or_else(|| Error::Missing { what: "upscale".into() })?;
    arguments.properties.apply(&upscale)?;
    watch.frames_of(&source(&upscale)?);
    let held = bin.by_name("held").ok_or_else(|| Error::Missing { what: "capsfilter".into() })?;
    hold_size(&held)?;
    Ok(bin.upcast())
}

/// Has `filter` let through the first frame's size and pixel aspect alone: broadcasts change
/// theirs, which Matroska has no place for.
fn hold_size(filter: &gst::Element) -> Result<(), Error> {
    let weak = filter.downgrade();
    // Before it, the caps may change: a file's turn is a tag.
    source(filter)?.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let mut held = gst::Caps::new_empty_simple("video/x-raw");
        if let (Some(first), Some(filter)) = (pad.current_caps(), weak.upgrade())
            && let (Some(first), Some(media)) =
                (first.structure(0), held.make_mut().structure_mut(0))
        {
            for field in ["width", "height", "pixel-aspect-ratio"] {
                if let Ok(value) = first.value(field) {
                    media.set_value(field, value.clone());
                }
            }
            filter.set_property("caps", held);
        }
        gst::PadProbeReturn::Remove
    });
    Ok(())
}

/// Whether any stream is, or may be, video.
fn may_have_video(streams: &gst::StreamCollection) -> bool {
    let others = gst::StreamType::AUDIO | gst::StreamType::TEXT;
    streams.is_empty() || streams.iter().any(|stream| !others.intersects(stream.stream_type()))
}

/// An element's message in one line.
fn told(from: Option<&gst::Object>, error: &gst::glib::Error, missing: Option<String>) -> String {
    let from = from.map(|from| from.name().to_string()).unwrap_or_default();
    match missing {
        Some(missing) => format!("{error} ({missing})"),
        None => format!("{error} ({from})"),
    }
}

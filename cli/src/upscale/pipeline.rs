//! The pipeline from the input file to the output file.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use gst::{MessageView, glib, prelude::*};

use super::{
    Error,
    container::{Codec, Container},
    elements::{by_name, decode_bin, make, source_pad},
    muxer::needs_no_parser,
    options::Options,
    progress::{Frames, Progress},
    run_state::RunState,
    signals::{Signals, StopRequest},
    streams::Streams,
};

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    Complete(Frames),
    /// The input ended more than [`MAX_DURATION_ERROR`] before the duration in its header.
    Truncated {
        frames: Frames,
        end: Duration,
        duration: Duration,
    },
    /// By Ctrl-C. The output is playable up to here.
    Stopped(Frames),
    /// By a second Ctrl-C, or before there was a frame to keep.
    Aborted,
}

/// ```text
/// filesrc ! parsebin ! multiqueue ! decodebin ! deinterlace ! videoflip ! upscale ! encoder ! muxer ! fdsink
///                                 ! (sound and subtitles)                                   !
/// ```
pub struct Pipeline {
    pipeline: gst::Pipeline,
    sink: gst::Element,
    state: Arc<RunState>,
    signals: Signals,
    input: PathBuf,
}

/// The largest error of the duration in a file's header that is ignored.
const MAX_DURATION_ERROR: Duration = Duration::from_secs(1);

/// The name of the element that enlarges.
const UPSCALE: &str = "upscale";

/// Compressed data queued for one stream while another has none, in bytes.
const QUEUE_BYTES: u32 = 1 << 28;

impl Pipeline {
    /// Builds the pipeline and catches Ctrl-C, which [`Pipeline::run`] then handles.
    ///
    /// # Errors
    /// An element is not installed, a property's value is invalid, or the elements cannot be
    /// linked.
    pub fn new(
        input: &Path,
        container: &'static Container,
        codec: Codec,
        options: &Options,
    ) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let state = Arc::new(RunState::default());
        let file = make("filesrc")?;
        file.set_property("location", input);
        let parser = make("parsebin")?;
        let queue = make("multiqueue")?;
        queue.set_property("max-size-bytes", QUEUE_BYTES);
        queue.set_property("max-size-time", 0u64);
        let video = video_bin(codec, options, &state)?;
        let muxer = make(container.muxer)?;
        let sink = make("fdsink")?;
        pipeline.add_many([&file, &parser, &queue, &video, &muxer, &sink])?;
        file.link(&parser)?;
        video.link(&muxer)?;
        muxer.link(&sink)?;

        let streams = Streams {
            pipeline: pipeline.downgrade(),
            queue,
            video: Some(video),
            muxer,
            audio_encoders: container.audio_encoders,
            state: state.clone(),
        };
        // Other streams are parsed.
        parser.connect("autoplug-continue", false, |values| {
            let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
            Some((!caps.is_some_and(|caps| needs_no_parser(&caps))).to_value())
        });
        parser.connect_pad_added(move |parser, pad| {
            if let Err(error) = streams.connect(pad) {
                gst::element_error!(parser, gst::StreamError::Failed, ("{error}"));
            }
        });
        let signals = Signals::catch().map_err(Error::Signal)?;
        Ok(Self { pipeline, sink, state, signals, input: input.into() })
    }

    /// Runs to the end, or until Ctrl-C, and writes to `output`.
    ///
    /// # Errors
    /// [`Error::Upscale`] or [`Error::Element`] with an element's message, [`Error::NoVideo`] or
    /// [`Error::Start`].
    pub fn run(self, output: &File) -> Result<Outcome, Error> {
        // Not by its name, which another process could have given to another file.
        self.sink.set_property("fd", output.as_raw_fd());
        let no_bus = || glib::bool_error!("the pipeline has no bus");
        let bus = self.pipeline.bus().ok_or_else(no_bus)?;
        // An error usually arrives on the bus too, with its reason.
        let started = self.pipeline.set_state(gst::State::Playing);
        let mut progress = Progress::new();
        let mut missing_plugin = None;
        loop {
            let frames = self.state.frames();
            if let Some(request) = self.signals.take() {
                let repeated = self.state.stop();
                if frames == 0 || (repeated && request == StopRequest::Interrupt) {
                    progress.finish();
                    return Ok(Outcome::Aborted);
                }
            }
            progress.update(frames, self.state.position(), self.state.duration());
            let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(100)) else {
                if let Err(error) = started {
                    progress.finish();
                    return Err(Error::Start(error));
                }
                continue;
            };
            match message.view() {
                MessageView::Eos(_) => return Ok(self.finish(&mut progress)),
                MessageView::Error(error) => {
                    progress.finish();
                    let text = sentence(&error.error());
                    let origin = missing_plugin.unwrap_or_else(|| name(message.src()));
                    return Err(match origin == UPSCALE {
                        true => Error::Upscale(text),
                        false => {
                            Error::Element { input: self.input.clone(), message: text, origin }
                        }
                    });
                }
                MessageView::Warning(warning) => {
                    let text = sentence(&warning.error());
                    progress.warn(&format!("{text} ({})", name(message.src())));
                }
                MessageView::StreamCollection(found)
                    if !may_have_video(&found.stream_collection()) =>
                {
                    progress.finish();
                    return Err(Error::NoVideo(self.input.clone()));
                }
                MessageView::Progress(step) => progress.show_step(step.get().2),
                MessageView::Element(element) => {
                    // Posted before the error that it causes.
                    let missing = element.structure().filter(|it| it.name() == "missing-plugin");
                    let plugin = missing.and_then(|missing| missing.get("name").ok());
                    missing_plugin = plugin.or(missing_plugin);
                }
                _ => {}
            }
        }
    }

    /// The outcome at the end of the stream.
    fn finish(&self, progress: &mut Progress) -> Outcome {
        progress.update(self.state.frames(), self.state.position(), self.state.duration());
        let (frames, end) = (progress.finish(), self.state.end());
        match self.state.duration() {
            _ if self.state.is_stopped() => Outcome::Stopped(frames),
            Some(duration) if end + MAX_DURATION_ERROR < duration => {
                Outcome::Truncated { frames, end, duration }
            }
            _ => Outcome::Complete(frames),
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// A bin that decodes, enlarges and encodes video.
fn video_bin(
    codec: Codec,
    options: &Options,
    state: &Arc<RunState>,
) -> Result<gst::Element, Error> {
    let side = |pixels: Option<i32>| match pixels {
        Some(pixels) => pixels.to_string(),
        None => format!("[{0},32766,{0}]", codec.alignment()),
    };
    let size = format!("width={},height={}", side(options.width), side(options.height));
    // Decoder, upscale and encoder each have a thread of their own.
    let queue = "queue max-size-buffers=2 max-size-bytes=0 max-size-time=0";
    let description = format!(
        "deinterlace ! videoconvert ! videoflip video-direction=auto ! videoconvert ! {queue} \
         ! upscale name={UPSCALE} ! video/x-raw,{size} \
         ! {queue} name=enlarged ! videoscale method=lanczos add-borders=true ! videoconvert \
         ! capsfilter name=first-size ! {}",
        codec.description(options.quality)
    );
    let bin = decode_bin(&description)?;
    let upscale = by_name(&bin, UPSCALE)?;
    options.properties.apply(&upscale)?;
    state.count_frames(&source_pad(&by_name(&bin, "enlarged")?)?);
    keep_size(&by_name(&bin, "first-size")?)?;
    Ok(bin.upcast())
}

/// Restricts `filter` to the size and pixel aspect ratio of the first frame. Broadcasts change
/// theirs, which Matroska cannot store.
fn keep_size(filter: &gst::Element) -> Result<(), Error> {
    let weak = filter.downgrade();
    // The caps may change until the first frame: a file's orientation arrives as a tag.
    source_pad(filter)?.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let mut kept = gst::Caps::new_empty_simple("video/x-raw");
        if let (Some(first), Some(filter)) = (pad.current_caps(), weak.upgrade())
            && let (Some(first), Some(media)) =
                (first.structure(0), kept.make_mut().structure_mut(0))
        {
            for field in ["width", "height", "pixel-aspect-ratio"] {
                if let Ok(value) = first.value(field) {
                    media.set_value(field, value.clone());
                }
            }
            filter.set_property("caps", kept);
        }
        gst::PadProbeReturn::Remove
    });
    Ok(())
}

/// Whether a stream is, or may be, video.
fn may_have_video(streams: &gst::StreamCollection) -> bool {
    let others = gst::StreamType::AUDIO | gst::StreamType::TEXT;
    streams.is_empty() || streams.iter().any(|stream| !others.intersects(stream.stream_type()))
}

/// The message without the full stop that GStreamer puts at its end.
fn sentence(error: &glib::Error) -> String {
    error.message().trim_end_matches('.').to_owned()
}

fn name(object: Option<&gst::Object>) -> String {
    object.map(|object| object.name().to_string()).unwrap_or_default()
}

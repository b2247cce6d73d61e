//! The pipeline from the input to the output file.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
    thread,
    time::{Duration, Instant},
};

use gst::{MessageView, glib, prelude::*};

use super::{
    Error,
    container::Container,
    damage,
    demux::{READER, Reader},
    durations,
    elements::{link, make, source_pad},
    enlarging::{Enlarging, UPSCALE},
    frame_files::Target,
    input::Input,
    lane::Decoded,
    ledger::{Kind, Row},
    losses,
    muxer::pad_template,
    output::Output,
    plan::Plan,
    progress::{Frames, Progress},
    run_state::RunState,
    shutdown::shut_down,
    signals::{Signals, StopRequest},
    streams::{SOUND, Streams},
    survey::Survey,
};
use crate::header::Written;

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// With the whole input, except for what the sentences say.
    Finished { frames: Frames, problems: Vec<String>, ledger: Vec<Row>, streams: Vec<Written> },
    /// By Ctrl-C. The output is playable up to here.
    Stopped(Frames),
    /// By a second Ctrl-C, or before there was a frame to keep.
    Aborted,
}

/// Where the video of the output comes from.
#[derive(Debug)]
pub enum Video {
    /// From the input, enlarged and encoded by this bin.
    Enlarged(Enlarging),
    /// From this bin, which puts out encoded video of these caps. The video of the input is dropped.
    Ready(gst::Bin, gst::Caps),
}

impl Video {
    fn bin(&self) -> &gst::Bin {
        match self {
            Self::Enlarged(enlarging) => &enlarging.bin,
            Self::Ready(bin, _) => bin,
        }
    }

    fn link(&self, muxer: &gst::Element) -> Result<(), Error> {
        match self {
            Self::Enlarged(enlarging) => Ok(enlarging.bin.link(muxer)?),
            // Without a decoder or parser the caps of the bin's pad do not select a kind of stream.
            Self::Ready(bin, caps) => {
                let refused = || glib::bool_error!("{} refused the video", muxer.name());
                let template = pad_template(muxer, caps).ok_or_else(refused)?;
                let pad = muxer.request_pad(&template, None, None).ok_or_else(refused)?;
                link(&source_pad(bin.upcast_ref())?, &pad)
            }
        }
    }
}

/// ```text
/// source ! demuxer ! multiqueue ! decodebin ! (lane) ! cadence ! upscale ! encoder ! muxer ! fdsink
///                               ! (sound and subtitles) ! (lane) ! (encoder)           !
/// ```
/// Pictures and Y4M are written by an `appsink` instead of encoder, muxer and `fdsink`.
pub struct Pipeline {
    pipeline: gst::Pipeline,
    reader: Reader,
    output: Output,
    streams: Arc<Streams>,
    state: Arc<RunState>,
    video: Video,
    input: PathBuf,
    has_time_code: bool,
}

/// The largest error of the duration in a file's header that is ignored.
const MAX_DURATION_ERROR: Duration = Duration::from_secs(1);

/// How long the next frame may take after a stop request. Then the streams end without it.
const GRACE: Duration = Duration::from_millis(500);

/// Compressed data queued for one stream while another has none, in bytes.
const QUEUE_BYTES: u32 = 1 << 28;

impl Pipeline {
    /// Builds the pipeline. `survey` is what the input contains, if that is known. `state` counts the
    /// frames of `video`.
    ///
    /// # Errors
    /// An element is not installed, or the elements cannot be linked.
    pub fn new(
        input: &Input,
        survey: Option<Survey>,
        container: &'static Container,
        video: Video,
        state: Arc<RunState>,
    ) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let queue = make("multiqueue")?;
        queue.set_property("name", format!("{READER}queue"));
        queue.set_property("max-size-bytes", QUEUE_BYTES);
        queue.set_property("max-size-time", 0u64);
        pipeline.add_many([&queue, video.bin().upcast_ref()])?;
        let output = Output::new(&pipeline, container)?;
        video.link(&output.muxer)?;
        if ["mp4mux", "qtmux"].contains(&container.muxer) {
            durations::reach_the_end(&source_pad(video.bin().upcast_ref())?);
        }

        let streams = Arc::new(Streams {
            pipeline: pipeline.downgrade(),
            queue,
            video: video.bin().clone().upcast(),
            is_ready: matches!(video, Video::Ready(..)),
            muxer: output.muxer.clone(),
            container,
            state: state.clone(),
            survey: survey.map(|survey| {
                let plan = Plan::new(&survey);
                (survey, plan)
            }),
            outputs: Default::default(),
            found: AtomicUsize::new(0),
            guards: Default::default(),
        });
        streams.prepare()?;
        let connected = streams.clone();
        let reader = Reader::new(&pipeline, input, move |pad, caps| connected.connect(pad, caps))?;
        let has_time_code = input.mp4().is_some_and(|header| header.has_time_code());
        let input = input.name();
        Ok(Self { pipeline, reader, output, streams, state, video, input, has_time_code })
    }

    /// Runs to the end, or until Ctrl-C, and writes to `target`.
    ///
    /// # Errors
    /// [`Error::Upscale`] or [`Error::Element`] with an element's message, [`Error::NoVideo`],
    /// [`Error::NoFrames`] or [`Error::Start`].
    pub fn run(
        self,
        target: &Target,
        signals: &Signals,
        progress: &mut Progress,
    ) -> Result<Outcome, Error> {
        let quality = match &self.video {
            Video::Enlarged(enlarging) => enlarging.quality,
            Video::Ready(..) => None,
        };
        self.output.write_to(target, quality, &self.streams)?;
        let no_bus = || glib::bool_error!("the pipeline has no bus");
        let bus = self.pipeline.bus().ok_or_else(no_bus)?;
        // An error usually arrives on the bus too, with its reason.
        let started = self.pipeline.set_state(gst::State::Playing);
        self.streams.begin_late();
        if started.is_ok() {
            self.reader.start()?;
        }
        if self.has_time_code {
            progress.warn("the track of time codes is not in the output");
        }
        let mut missing_plugin = None;
        // When a stop was requested, until the streams are ended.
        let mut requested: Option<Instant> = None;
        loop {
            let frames = self.state.frames();
            if requested.is_some_and(|since| since.elapsed() > GRACE) {
                requested = None;
                self.end_at_once();
            }
            if let Some(request) = signals.take() {
                let repeated = self.state.stop();
                requested = Some(Instant::now());
                if frames == 0 || (repeated && request == StopRequest::Interrupt) {
                    progress.finish();
                    return Ok(Outcome::Aborted);
                }
            }
            self.show(progress);
            let Some(message) = bus.timed_pop(gst::ClockTime::from_mseconds(100)) else {
                if let Err(error) = started {
                    progress.finish();
                    return Err(Error::Start(error));
                }
                continue;
            };
            match message.view() {
                MessageView::Eos(_) => return self.finish(progress),
                MessageView::Error(error) => {
                    let text = sentence(&error.error());
                    let owners = owners(message.src());
                    if let Some(sound) = owners.iter().find(|name| name.starts_with(SOUND)) {
                        self.streams.fail_sound(sound, &text);
                        continue;
                    }
                    let is_input = owners.iter().any(|name| name.starts_with(READER));
                    if is_input && frames > 0 {
                        // What could be read becomes a complete file.
                        self.state.add_problem(format!(
                            "{} could not be read to its end: {text}",
                            self.input.display()
                        ));
                        self.streams.stop();
                        continue;
                    }
                    progress.finish();
                    if is_input && error.error().matches(gst::StreamError::Decode) {
                        return Err(Error::NoFrames { input: self.input.clone(), why: text });
                    }
                    let decoded = self.streams.video_lane().map(|lane| lane.decoded());
                    if missing_plugin.is_none()
                        && is_input
                        && let Some(Decoded { caps: None, .. }) = decoded
                    {
                        return Err(Error::Undecodable(self.input.clone()));
                    }
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
                MessageView::Progress(step) => progress.show_step(step.get().2),
                MessageView::Application(message) => {
                    if let Some(text) = damage::text(message) {
                        let input = self.input.display();
                        self.state
                            .add_problem(format!("{input} could not be read to its end: {text}"));
                    }
                }
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

    /// Ends all streams although no frame arrives: the input has stalled, or a frame takes long.
    fn end_at_once(&self) {
        // The elements wait for each other, so each stream ends from a thread of its own.
        if let Video::Enlarged(enlarging) = &self.video {
            let enlarged = enlarging.enlarged.clone();
            thread::spawn(move || enlarged.push_event(gst::event::Eos::new()));
        }
        for lane in self.streams.lanes() {
            thread::spawn(move || lane.stop());
        }
    }

    fn show(&self, progress: &mut Progress) {
        for note in self.streams.take_notes() {
            progress.warn(&note);
        }
        match self.video {
            Video::Enlarged(_) => {
                progress.update(self.state.frames(), self.state.position(), self.duration());
            }
            Video::Ready(..) => progress.tick(),
        }
    }

    /// The duration of the input, as far as it is known.
    fn duration(&self) -> Option<Duration> {
        match &self.streams.survey {
            Some((survey, _)) => survey.duration,
            None => self.state.duration(),
        }
    }

    /// The outcome at the end of the stream.
    fn finish(&self, progress: &mut Progress) -> Result<Outcome, Error> {
        self.show(progress);
        let frames = match self.video {
            Video::Enlarged(_) => progress.finish(),
            Video::Ready(..) => Frames { count: self.state.frames(), time: Duration::ZERO },
        };
        let end = self.state.end();
        if self.state.is_stopped() {
            return Ok(Outcome::Stopped(frames));
        }
        let mut problems = self.state.take_problems();
        problems.extend(self.streams.failures());
        if frames.count == 0 {
            let why = problems.pop().unwrap_or_else(|| "the file may be damaged".into());
            return Err(Error::NoFrames { input: self.input.clone(), why });
        }
        if let Some(duration) = self.duration().filter(|it| end + MAX_DURATION_ERROR < *it) {
            problems.push(format!(
                "{} ends at {:.1} s, but its header says {:.1} s; it may be truncated or damaged",
                self.input.display(),
                end.as_secs_f64(),
                duration.as_secs_f64(),
            ));
        }
        let survey = self.streams.survey.as_ref().map(|(survey, _)| survey);
        if let Some(why) = survey.and_then(|survey| survey.error.as_ref())
            && problems.is_empty()
        {
            problems.push(format!("{} could not be read to its end: {why}", self.input.display()));
        }
        let video = self.streams.video_lane();
        let lost = video.as_ref().map_or(0, |lane| lane.lost_frames());
        if lost > 0 {
            let frames = if lost == 1 { "frame" } else { "frames" };
            problems.push(format!("{lost} {frames} could not be decoded; the file may be damaged"));
        }
        let ledger = self.streams.ledger();
        if problems.is_empty() {
            let short = ledger.iter().filter(|row| row.is_short() && row.kind != Kind::Subtitles);
            problems.extend(short.map(|row| {
                format!(
                    "{}: {:.2} s of {:.2} s are in the output",
                    row.name(),
                    row.seconds_out,
                    row.seconds_in
                )
            }));
        }
        if let (Some(lane), Video::Enlarged(enlarging)) = (video, &self.video) {
            let encoded = enlarging.encoded_caps();
            for loss in losses::all(&lane.decoded(), encoded.as_ref(), enlarging.codec) {
                progress.warn(&loss);
            }
        }
        let streams = self.streams.written();
        Ok(Outcome::Finished { frames, problems, ledger, streams })
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.streams.release();
        shut_down(&self.pipeline);
    }
}

/// The message without the full stop that GStreamer puts at its end.
fn sentence(error: &glib::Error) -> String {
    error.message().trim_end_matches('.').to_owned()
}

fn name(object: Option<&gst::Object>) -> String {
    object.map(|object| object.name().to_string()).unwrap_or_default()
}

/// The names of an element and of the bins around it.
fn owners(object: Option<&gst::Object>) -> Vec<String> {
    let mut next = object.cloned();
    let mut names = Vec::new();
    while let Some(object) = next {
        names.push(object.name().to_string());
        next = object.parent();
    }
    names
}

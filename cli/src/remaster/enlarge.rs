//! Enlarging segments of a film in one pipeline, so that the model is loaded once.

use std::{
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use gst::prelude::*;
use gst_app::AppSink;
use gst_video::VideoFrameRef;
use gstupscale::element::explicit_colorimetry;

use super::{
    Error,
    frame_table::Frame,
    gate::{Gate, Verdict},
    picture,
    source::Video,
    watched::{PATIENCE, Pulled, Watched},
};
use crate::{
    cadence::{
        FieldOrder, Schedule,
        element::{Cadence, FACTORY as CADENCE},
    },
    edit::Edits,
    media::{
        demux::Reader,
        elements::{by_name, parse, sink_pad, source_pad},
        kept_engine, latest_frame,
        properties::Properties,
        segments::running_range,
        signals::Signals,
    },
};

/// The name of the element that enlarges.
const UPSCALE: &str = "upscale";

/// The name of the element that passes on the decoded pictures. It is a queue, which accepts sticky
/// events after the end of the stream: other elements refuse them, and the next buffer then fails with
/// an error instead of the end of the stream.
const DECODED: &str = "decoded";

/// How far before a segment decoding starts, in nanoseconds, in the order in which it is tried.
/// `None`: at the start of the film, without a seek.
const LEADS: [Option<u64>; 3] = [Some(2_000_000_000), Some(15_000_000_000), None];

/// What to enlarge and how.
#[derive(Debug)]
pub struct Job {
    pub video: Arc<Video>,
    pub frames: Arc<[Frame]>,
    /// The pictures that are made of the frames.
    pub schedule: Arc<Schedule>,
    pub edits: Edits,
    /// Where pictures of the latest frame are written.
    pub latest_frame: Option<PathBuf>,
    /// The element's properties.
    pub properties: Properties,
    /// Caps of the enlarged frames.
    pub caps: String,
}

/// Enlarges segments of a film.
pub struct Enlarger {
    job: Job,
    /// Kept between segments.
    current: Option<Enlarging>,
}

impl Enlarger {
    pub fn new(job: Job) -> Self {
        Self { job, current: None }
    }

    /// Enlarges the frames of `segment` and gives each to `take`, with times from the frame table,
    /// and with the share of pixels so far that did not have to be computed.
    ///
    /// # Errors
    /// [`Error::Element`], [`Error::Stopped`], [`Error::OtherPictures`] if the decoder does not
    /// give the pictures of the frame table, or what `take` returns.
    pub fn enlarge(
        &mut self,
        segment: &Range<usize>,
        signals: &Signals,
        mut take: impl FnMut(gst::Sample, Option<f64>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for lead in LEADS {
            let Some(enlarging) = self.start(segment, lead, signals)? else { continue };
            // Wrong pictures are noticed before the first frame in all known cases. Later, the
            // frames that were taken cannot be taken back.
            let mut taken = false;
            loop {
                if signals.take().is_some() {
                    return Err(Error::Stopped);
                }
                match enlarging.watched.pull(&enlarging.sink)? {
                    Pulled::Sample(sample) => {
                        taken = true;
                        take(sample, reused(&enlarging.upscale))?;
                    }
                    Pulled::Nothing => {}
                    Pulled::End if enlarging.shared().is_complete() => return Ok(()),
                    Pulled::End => break,
                }
            }
            if taken {
                break;
            }
        }
        self.current = None;
        Err(Error::OtherPictures(segment.start))
    }

    /// The names of the backend and the precision that run the model. `None` before the first
    /// frame.
    pub fn engine(&self) -> Option<(String, String)> {
        let stats = self.stats()?;
        Some((stats.get("backend").ok()?, stats.get("precision").ok()?))
    }

    /// The time that the frames have taken so far, without loading the model.
    pub fn time(&self) -> Duration {
        let stages = ["compare-time", "unpack-time", "infer-time", "finish-time"];
        let time = |stats: gst::Structure| -> u64 {
            stages.iter().filter_map(|stage| stats.get::<u64>(*stage).ok()).sum()
        };
        Duration::from_nanos(self.stats().map_or(0, time))
    }

    fn stats(&self) -> Option<gst::Structure> {
        Some(self.current.as_ref()?.upscale.property("stats"))
    }

    /// Starts decoding `lead` before `segment`. `None` if the input cannot be read from there.
    fn start(
        &mut self,
        segment: &Range<usize>,
        lead: Option<u64>,
        signals: &Signals,
    ) -> Result<Option<&Enlarging>, Error> {
        let frames = &self.job.frames;
        let time = |number: usize| frames.get(number).map_or(u64::MAX, |frame| frame.pts);
        let pictures =
            self.job.schedule.before(segment.start)..self.job.schedule.before(segment.end);
        let shown = |number: usize| {
            let picture = self.job.schedule.pictures().get(number);
            picture.map_or(u64::MAX, |picture| picture.pts)
        };
        let passage = Passage {
            gate: Gate::new(frames.clone(), segment),
            times: shown(pictures.start)..shown(pictures.end),
        };
        // Without a seek a new pipeline starts at the first frame, which the first segment wants.
        let is_later = segment.start > 0 || self.job.video.lead < 0 || self.current.is_some();
        let Some(lead) = lead.filter(|_| is_later) else {
            let enlarging = Enlarging::new(&self.job)?;
            enlarging.shared().state = State::Open(passage);
            enlarging.play(pictures.start)?;
            return Ok(Some(self.current.insert(enlarging)));
        };
        let enlarging = match self.current.take() {
            Some(enlarging) => enlarging,
            None => {
                let enlarging = Enlarging::new(&self.job)?;
                enlarging.play(pictures.start)?;
                enlarging
            }
        };
        let enlarging = self.current.insert(enlarging);
        // The film's times are later than the input's by this.
        let offset = self.job.video.lead;
        let from = time(segment.start).saturating_add_signed(-offset).saturating_sub(lead);
        let from = gst::ClockTime::from_nseconds(from);
        let sought = enlarging.seek(from, pictures.start, passage, signals)?;
        Ok(sought.then_some(enlarging))
    }
}

/// The share of the frames' pixels that did not have to be computed.
fn reused(upscale: &gst::Element) -> Option<f64> {
    let computed = upscale.property::<gst::Structure>("stats").get::<f64>("pixels-share").ok()?;
    Some((1.0 - computed).max(0.0))
}

/// A pipeline that decodes and enlarges.
struct Enlarging {
    watched: Watched,
    reader: Reader,
    sink: AppSink,
    upscale: gst::Element,
    shared: Arc<Mutex<Shared>>,
}

/// What the streaming threads and the main thread share.
#[derive(Debug, Default)]
struct Shared {
    state: State,
    /// What the timestamp of the film's first frame differs from its running time, in nanoseconds.
    /// Known once a frame has been decoded, after which the pipeline can seek.
    origin: Option<i64>,
    frames: Arc<[Frame]>,
}

/// The frames of one segment.
#[derive(Debug)]
struct Passage {
    gate: Gate,
    /// Times of the pictures, without those of the context.
    times: Range<u64>,
}

#[derive(Debug, Default)]
enum State {
    /// No frame passes.
    #[default]
    Closed,
    /// No frame passes until the flush of a seek, so that none from before the seek does.
    Seeking(Passage),
    Open(Passage),
}

impl Shared {
    fn is_complete(&self) -> bool {
        matches!(&self.state, State::Open(passage) if passage.gate.is_complete())
    }

    /// Judges a decoded frame.
    fn judge(&mut self, pad: &gst::Pad, buffer: &gst::BufferRef, lead: i64) -> Verdict {
        let pts = i64::try_from(buffer.pts().map_or(0, gst::ClockTime::nseconds)).unwrap_or(0);
        // The running time starts over after a seek, timestamps do not.
        let origin = *self.origin.get_or_insert_with(|| {
            let segment = pad.sticky_event::<gst::event::Segment>(0);
            let range = segment.and_then(|segment| running_range(segment.segment(), buffer));
            pts - range.map_or(0, |(start, _)| start + lead)
        });
        let time = u64::try_from(pts - origin).unwrap_or_default();
        let State::Open(passage) = &mut self.state else { return Verdict::Lost };
        if passage.gate.is_complete() {
            return Verdict::End;
        }
        let hash = || {
            let info = gst_video::VideoInfo::from_caps(pad.current_caps()?.as_ref()).ok()?;
            let picture = VideoFrameRef::from_buffer_ref_readable(buffer, &info).ok()?;
            Some(picture::hash(&picture))
        };
        hash().map_or(Verdict::Lost, |hash| passage.gate.judge(hash, time))
    }
}

impl Enlarging {
    fn new(job: &Job) -> Result<Self, Error> {
        let pipeline = gst::Pipeline::new();
        let queue = "queue max-size-buffers=2 max-size-bytes=0 max-size-time=0";
        let description = format!(
            "{queue} name={DECODED} ! videoconvert ! {CADENCE} name={CADENCE} ! videoconvert \
             ! {} {queue} ! upscale name={UPSCALE} ! capsfilter caps=\"{}\" {}",
            job.edits.before("videoflip video-direction=auto ! videoconvert !"),
            job.caps,
            job.edits.after()
        );
        let bin = parse(&description)?;
        job.edits.set_up(&bin);
        let sink = AppSink::builder().sync(false).max_buffers(2).build();
        pipeline.add_many([bin.upcast_ref(), sink.upcast_ref::<gst::Element>()])?;
        bin.link(&sink)?;
        if let Some(file) = &job.latest_frame {
            latest_frame::write_on_request(&source_pad(bin.upcast_ref())?, file);
        }
        let upscale = by_name(&bin, UPSCALE)?;
        kept_engine::keep(&upscale);
        job.properties.apply(&upscale)?;
        let shared =
            Arc::new(Mutex::new(Shared { frames: job.frames.clone(), ..Shared::default() }));
        admit_frames(&source_pad(&by_name(&bin, DECODED)?)?, &shared, job.video.lead);
        let cadence = by_name(&bin, CADENCE)?;
        if let Some(cadence) = cadence.downcast_ref::<Cadence>() {
            cadence.set_up(Some(job.schedule.clone()), FieldOrder::Auto);
        }
        drop_context(&source_pad(&cadence)?, &shared);
        let reader = job.video.decode(&pipeline, &sink_pad(bin.upcast_ref())?, |_, _| {})?;
        Ok(Self { watched: Watched::new(pipeline)?, reader, sink, upscale, shared })
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Starts at the beginning of the film. The first picture that passes has the number `first`.
    fn play(&self, first: usize) -> Result<(), Error> {
        self.upscale.set_property("first-frame", first as u64);
        self.watched.set_state(gst::State::Playing)?;
        Ok(self.reader.start()?)
    }

    /// Continues at `from`. The first picture that passes has the number `first`. Returns whether
    /// the input can be read from there.
    fn seek(
        &self,
        from: gst::ClockTime,
        first: usize,
        passage: Passage,
        signals: &Signals,
    ) -> Result<bool, Error> {
        while self.shared().origin.is_none() {
            if signals.take().is_some() {
                return Err(Error::Stopped);
            }
            self.watched.check()?;
            thread::sleep(PATIENCE / 10);
        }
        self.upscale.set_property("first-frame", first as u64);
        self.shared().state = State::Seeking(passage);
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
        Ok(self.watched.pipeline.seek_simple(flags, from).is_ok())
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the frames of the segment pass `decoded`, with the times of the frame table.
fn admit_frames(decoded: &gst::Pad, shared: &Arc<Mutex<Shared>>, lead: i64) {
    let state = shared.clone();
    decoded.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Ok };
        let mut shared = lock(&state);
        match shared.judge(pad, buffer, lead) {
            Verdict::Drop => gst::PadProbeReturn::Drop,
            Verdict::Pass(number) => {
                let frame = shared.frames.get(number).copied();
                let buffer = buffer.make_mut();
                buffer.set_pts(frame.map(|frame| gst::ClockTime::from_nseconds(frame.pts)));
                buffer.set_duration(frame.map(|it| gst::ClockTime::from_nseconds(it.duration)));
                gst::PadProbeReturn::Ok
            }
            Verdict::End | Verdict::Lost => {
                drop(shared);
                pad.push_event(gst::event::Eos::new());
                info.flow_res = Err(gst::FlowError::Eos);
                gst::PadProbeReturn::Handled
            }
        }
    });
    let state = shared.clone();
    let events = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
    decoded.add_probe(events, move |_, info| {
        let kind = info.event().map(|event| event.type_());
        if kind == Some(gst::EventType::FlushStop) {
            let mut shared = lock(&state);
            shared.state = match std::mem::take(&mut shared.state) {
                State::Seeking(passage) => State::Open(passage),
                other => other,
            };
        }
        // As the frames of a film that is enlarged in one piece.
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
        {
            let caps = explicit_colorimetry(caps.caps());
            *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
        }
        // The times of the frame table are running times.
        if kind == Some(gst::EventType::Segment) {
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            let event = gst::event::Segment::new(&segment);
            info.data = Some(gst::PadProbeData::Event(event));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Drops the pictures of the context, which only those next to it need.
fn drop_context(pictures: &gst::Pad, shared: &Arc<Mutex<Shared>>) {
    let state = shared.clone();
    pictures.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().and_then(|buffer| buffer.pts());
        match (&lock(&state).state, pts) {
            (State::Open(passage), Some(pts)) if passage.times.contains(&pts.nseconds()) => {
                gst::PadProbeReturn::Ok
            }
            _ => gst::PadProbeReturn::Drop,
        }
    });
}

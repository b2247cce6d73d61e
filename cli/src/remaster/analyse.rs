//! The pass that decodes the input once and fills the frame table.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use gst::prelude::*;
use gst_app::AppSink;
use gst_video::{VideoFrameRef, VideoInterlaceMode};

use super::{
    Error,
    frame_table::Frame,
    observer::Observer,
    picture,
    source::Video,
    watched::{Pulled, Watched},
};
use crate::{
    borders::BorderFinder,
    cadence::{detect::Observation, evidence::Luma},
    clean::measure::{self, Meter},
    media::{
        demux::comes_from,
        elements::{link, sink_pad},
        jump::Jump,
        lane::{Content, Decoded, Lane},
        segments::running_range,
        signals::Signals,
    },
    treatment::Findings,
};

/// What the pass found.
#[derive(Debug)]
pub struct Analysis {
    pub frames: Vec<Frame>,
    /// What the same frames say about their fields.
    pub observations: Vec<Observation>,
    pub findings: Findings,
    /// What the decoder gave first.
    pub decoded: Decoded,
    /// Frames that could not be decoded.
    pub lost: usize,
}

/// Decodes the video, which has this number of packets. `report` is called with the number of frames so
/// far.
///
/// # Errors
/// [`Error::Element`] if the input cannot be decoded, [`Error::NoFrames`], or [`Error::Stopped`].
pub fn analyse(
    video: &Arc<Video>,
    packets: u64,
    signals: &Signals,
    mut report: impl FnMut(usize),
) -> Result<Analysis, Error> {
    if let Some(jump) = video.jump() {
        let analysis = analyse_after(Some(&jump), (video, packets), signals, &mut report);
        if !jump.is_lost() {
            return analysis;
        }
    }
    analyse_after(None, (video, packets), signals, &mut report)
}

fn analyse_after(
    jump: Option<&Arc<Jump>>,
    (video, packets): (&Arc<Video>, u64),
    signals: &Signals,
    report: &mut impl FnMut(usize),
) -> Result<Analysis, Error> {
    let pipeline = gst::Pipeline::new();
    let sink = AppSink::builder().sync(false).max_buffers(4).build();
    pipeline.add(&sink)?;
    let lane = Lane::new(Content::Video, 1, (video.lead, video.end))?;
    link(lane.source(), &sink_pad(sink.upcast_ref())?)?;
    let keys = Arc::new(Mutex::new(HashSet::new()));
    let step = measure::step(packets);
    let (packets, seen, source) = (lane.clone(), keys.clone(), video.clone());
    let jump = jump.cloned();
    let reader = video.decode(&pipeline, &lane.part(0)?, move |demuxed, parsed| {
        if let Some(jump) = &jump {
            jump.install(demuxed);
        }
        count_packets(demuxed, &packets);
        note_keys(parsed, &seen, &source);
    })?;
    let watched = Watched::new(pipeline)?;
    watched.set_state(gst::State::Playing)?;
    reader.start()?;
    let ended = read(&watched, &sink, (&keys, step), signals, report);
    // A thread can wait in the lane.
    lane.release();
    let (frames, observations, findings) = ended?;
    if frames.is_empty() {
        return Err(Error::NoFrames(video.input.name()));
    }
    let (decoded, lost) = (lane.decoded(), lane.lost_frames());
    Ok(Analysis { frames, observations, findings, decoded, lost })
}

fn read(
    watched: &Watched,
    sink: &AppSink,
    (keys, step): (&Mutex<HashSet<u64>>, usize),
    signals: &Signals,
    report: &mut impl FnMut(usize),
) -> Result<(Vec<Frame>, Vec<Observation>, Findings), Error> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut observations: Vec<Observation> = Vec::new();
    let (mut observer, mut finder) = (Observer::default(), BorderFinder::default());
    let mut meter = Meter::default();
    loop {
        if signals.take().is_some() {
            return Err(Error::Stopped);
        }
        let sample = match watched.pull(sink)? {
            Pulled::Sample(sample) => sample,
            Pulled::Nothing => continue,
            Pulled::End => {
                let findings = Findings { borders: finder.borders(), quality: meter.quality() };
                return Ok((frames, observations, findings));
            }
        };
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { continue };
        let info = gst_video::VideoInfo::from_caps(caps)?;
        let picture = VideoFrameRef::from_buffer_ref_readable(buffer, &info)?;
        // The lane gives every frame a time, and times increase.
        let pts = buffer.pts().map_or(0, gst::ClockTime::nseconds);
        if let Some(last) = frames.last_mut() {
            last.duration = pts.saturating_sub(last.pts);
        }
        if let (Some(last), Some(frame)) = (observations.last_mut(), frames.last()) {
            last.duration = frame.duration;
        }
        let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
        let hash = picture::hash(&picture);
        finder.observe(&picture, picture::luma(&picture));
        if frames.len().is_multiple_of(step) {
            meter.observe(&Luma::of(&picture));
        }
        let key = keys.lock().unwrap_or_else(PoisonError::into_inner).contains(&pts);
        let is_flagged = info.interlace_mode() != VideoInterlaceMode::Progressive;
        let (change, observation) = observer.observe(&picture, is_flagged);
        frames.push(Frame { pts, duration, hash, change, key });
        observations.push(Observation { duration, ..observation });
        report(frames.len());
    }
}

/// Counts the packets that leave the demuxer, to find out which ones give no frame.
fn count_packets(demuxed: &gst::Pad, lane: &Arc<Lane>) {
    let in_decode_order = comes_from(demuxed, &["avidemux"]);
    let lane = lane.clone();
    demuxed.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        // After a jump, the demuxer's own segment does not fit the packets.
        let segment = pad.peer().and_then(|sink| sink.sticky_event::<gst::event::Segment>(0));
        if let (Some(segment), Some(buffer)) = (segment, info.buffer())
            && let Some((time, _)) = running_range(segment.segment(), buffer)
        {
            lane.add_packet(time, in_decode_order);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Collects the times of the key frames that pass `parsed`.
fn note_keys(parsed: &gst::Pad, keys: &Arc<Mutex<HashSet<u64>>>, video: &Arc<Video>) {
    let (keys, video) = (keys.clone(), video.clone());
    parsed.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer()
            && !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
            && let Some(time) = video.time_at(pad, buffer)
        {
            keys.lock().unwrap_or_else(PoisonError::into_inner).insert(time);
        }
        gst::PadProbeReturn::Ok
    });
}

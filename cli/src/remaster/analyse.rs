//! The pass that decodes the input once and fills the frame table.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use gst::prelude::*;
use gst_app::AppSink;
use gst_video::VideoFrameRef;

use super::{
    Error,
    frame_table::Frame,
    picture::{self, Thumbnail},
    source::{self, running_time, running_time_at},
    watched::{Pulled, Watched},
};
use crate::upscale::signals::Signals;

/// Decodes the whole input.
///
/// # Errors
/// [`Error::Element`] if the input cannot be decoded, [`Error::NoFrames`], or [`Error::Stopped`].
pub fn analyse(input: &Path, signals: &Signals) -> Result<Vec<Frame>, Error> {
    let pipeline = gst::Pipeline::new();
    let sink = AppSink::builder().sync(false).max_buffers(4).build();
    let source = source::add(&pipeline, input, "capsfilter caps=video/x-raw", &sink)?;
    let keys = key_times(&source.encoded);
    let watched = Watched::new(pipeline)?;
    watched.set_state(gst::State::Playing)?;

    let mut frames: Vec<Frame> = Vec::new();
    let mut before = Thumbnail::default();
    loop {
        if signals.take().is_some() {
            return Err(Error::Stopped);
        }
        let sample = match watched.pull(&sink)? {
            Pulled::Sample(sample) => sample,
            Pulled::Nothing => continue,
            Pulled::End => break,
        };
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { continue };
        let info = gst_video::VideoInfo::from_caps(caps)?;
        let picture = VideoFrameRef::from_buffer_ref_readable(buffer, &info)?;
        let now = Thumbnail::of(&picture);
        let time = sample.segment().and_then(|segment| running_time(segment, buffer));
        // Some decoders repeat timestamps or leave them out.
        let next = frames.last().map_or(0, |last| last.pts + last.duration.max(1));
        let after_last = frames.last().is_none_or(|last| time.is_some_and(|time| time > last.pts));
        let pts = time.filter(|_| after_last).unwrap_or(next);
        if let Some(last) = frames.last_mut() {
            last.duration = pts - last.pts;
        }
        let duration = buffer.duration().map_or(0, gst::ClockTime::nseconds);
        let hash = picture::hash(&picture);
        let is_key = |times: &HashSet<u64>| time.is_some_and(|at| times.contains(&at));
        let key = is_key(&keys.lock().unwrap_or_else(PoisonError::into_inner));
        frames.push(Frame { pts, duration, hash, change: now.change(&before), key });
        before = now;
    }
    if frames.is_empty() {
        return Err(Error::NoFrames(input.into()));
    }
    Ok(frames)
}

/// The running times of the key frames that pass `encoded`, as they come.
fn key_times(encoded: &gst::Pad) -> Arc<Mutex<HashSet<u64>>> {
    let times = Arc::new(Mutex::new(HashSet::new()));
    let seen = times.clone();
    encoded.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer()
            && !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT)
            && let Some(time) = running_time_at(pad, buffer)
        {
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(time);
        }
        gst::PadProbeReturn::Ok
    });
    times
}

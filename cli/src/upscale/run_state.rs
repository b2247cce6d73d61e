//! What the pipeline's threads and the main loop share while a file is enlarged.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use gst::prelude::*;

/// Counters of a run, and the request to stop it.
#[derive(Debug, Default)]
pub struct RunState {
    stop: AtomicBool,
    frames: AtomicU64,
    /// Timestamp of the last enlarged frame, in nanoseconds.
    position: AtomicU64,
    /// Latest end of a buffer of any stream, in nanoseconds.
    end: AtomicU64,
    /// The pad of the input's video, which knows its duration.
    video: OnceLock<gst::Pad>,
}

impl RunState {
    /// Ends every stream at the next frame. Returns whether that was requested before.
    pub fn stop(&self) -> bool {
        self.stop.swap(true, Ordering::Relaxed)
    }

    /// Whether [`RunState::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The number of enlarged frames.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Timestamp of the last enlarged frame.
    pub fn position(&self) -> Duration {
        Duration::from_nanos(self.position.load(Ordering::Relaxed))
    }

    /// Where the longest stream ends so far, from the start of the input.
    pub fn end(&self) -> Duration {
        Duration::from_nanos(self.end.load(Ordering::Relaxed))
    }

    /// The duration of the input's video according to its header.
    pub fn duration(&self) -> Option<Duration> {
        let duration = self.video.get()?.query_duration::<gst::ClockTime>()?;
        Some(duration.into())
    }

    /// Remembers the pad of the input's video. Returns whether it is the first.
    pub fn set_video(&self, pad: &gst::Pad) -> bool {
        self.video.set(pad.clone()).is_ok()
    }

    /// Counts the frames that leave `pad`. After [`RunState::stop`], the stream ends at the next
    /// one.
    pub fn count_frames(self: &Arc<Self>, pad: &gst::Pad) {
        let state = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if state.is_stopped() {
                return replace_by_eos(pad, info);
            }
            if let Some(time) = timestamp(info) {
                state.position.store(time, Ordering::Relaxed);
            }
            state.note_end(pad, info);
            state.frames.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }

    /// After [`RunState::stop`], ends the sound or subtitles of `pad` where the video ends.
    pub fn end_with_video(self: &Arc<Self>, pad: &gst::Pad) {
        let state = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let position = state.position.load(Ordering::Relaxed);
            if state.is_stopped() && timestamp(info).is_none_or(|time| time > position) {
                return replace_by_eos(pad, info);
            }
            state.note_end(pad, info);
            gst::PadProbeReturn::Ok
        });
    }

    fn note_end(&self, pad: &gst::Pad, info: &gst::PadProbeInfo<'_>) {
        if let Some(time) = end_time(pad, info) {
            self.end.fetch_max(time, Ordering::Relaxed);
        }
    }
}

/// The end of the buffer as running time, in nanoseconds.
fn end_time(pad: &gst::Pad, info: &gst::PadProbeInfo<'_>) -> Option<u64> {
    let buffer = info.buffer()?;
    let end = buffer.pts()? + buffer.duration().unwrap_or_default();
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    // A buffer may extend beyond the segment.
    let end = segment.stop().map_or(end, |stop| end.min(stop));
    segment.to_running_time(end).map(gst::ClockTime::nseconds)
}

/// The timestamp of the buffer, in nanoseconds.
fn timestamp(info: &gst::PadProbeInfo<'_>) -> Option<u64> {
    info.buffer().and_then(|buffer| buffer.pts()).map(gst::ClockTime::nseconds)
}

/// Drops the buffer and sends end-of-stream.
fn replace_by_eos(pad: &gst::Pad, info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    pad.push_event(gst::event::Eos::new());
    info.flow_res = Err(gst::FlowError::Eos);
    gst::PadProbeReturn::Handled
}

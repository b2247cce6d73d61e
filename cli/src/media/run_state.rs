//! What the pipeline's threads and the main loop share while a file is enlarged.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
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
    /// Running time of the last enlarged frame, in nanoseconds.
    position: AtomicU64,
    /// Latest end of a buffer of any stream, in nanoseconds.
    end: AtomicU64,
    /// The pad of the input's video, which knows its duration.
    video: OnceLock<gst::Pad>,
    /// What is missing in the output, in sentences.
    problems: Mutex<Vec<String>>,
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

    /// Running time of the last enlarged frame.
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

    /// Adds a sentence about what is missing in the output.
    pub fn add_problem(&self, problem: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// What is missing in the output, in sentences.
    pub fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut *self.problems.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers the first pad of the input's video.
    pub fn set_video(&self, pad: &gst::Pad) {
        let _ = self.video.set(pad.clone());
    }

    /// Counts the frames that leave `pad`. After [`RunState::stop`], the stream ends at the next
    /// one.
    ///
    /// `pad` is the source pad of a queue, which accepts sticky events after the end of the stream.
    /// Other elements refuse them, and the next buffer then fails with an error instead of the end
    /// of the stream.
    pub fn count_frames(self: &Arc<Self>, pad: &gst::Pad) {
        let state = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if state.is_stopped() {
                return replace_by_eos(pad, info);
            }
            if let Some(time) = start_time(pad, info) {
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
            if state.is_stopped() && start_time(pad, info).is_none_or(|time| time > position) {
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

/// The start of the buffer as running time, in nanoseconds.
fn start_time(pad: &gst::Pad, info: &gst::PadProbeInfo<'_>) -> Option<u64> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    let segment = segment.segment().downcast_ref::<gst::ClockTime>()?;
    segment.to_running_time(info.buffer()?.pts()?).map(gst::ClockTime::nseconds)
}

/// Drops the buffer and sends end-of-stream.
fn replace_by_eos(pad: &gst::Pad, info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    pad.push_event(gst::event::Eos::new());
    info.flow_res = Err(gst::FlowError::Eos);
    gst::PadProbeReturn::Handled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_ends_the_stream_without_an_error_if_a_tag_follows() {
        gst::init().unwrap();
        let bin = "queue name=first ! identity name=upscale ! queue name=enlarged max-size-buffers=1 \
                   ! fakesink sync=false async=false";
        let bin = gst::parse::launch(bin).unwrap().downcast::<gst::Pipeline>().unwrap();
        let pad = |name: &str, pad: &str| bin.by_name(name).unwrap().static_pad(pad).unwrap();
        let state = Arc::new(RunState::default());
        state.count_frames(&pad("enlarged", "src"));
        // Like upscale, output a frame in flight before an event is forwarded.
        let output = pad("upscale", "src");
        pad("upscale", "sink").add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if info.event().is_some_and(|event| event.type_() == gst::EventType::Tag) {
                let _ = output.push(gst::Buffer::with_size(1).unwrap());
            }
            gst::PadProbeReturn::Ok
        });
        let source = gst::Pad::new(gst::PadDirection::Src);
        source.link(&pad("first", "sink")).unwrap();
        source.set_active(true).unwrap();
        bin.set_state(gst::State::Playing).unwrap();
        source.push_event(gst::event::StreamStart::new("test"));
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        source.push_event(gst::event::Segment::new(&segment));
        source.push(gst::Buffer::with_size(1).unwrap()).unwrap();
        while state.frames() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        state.stop();
        let mut tags = gst::TagList::new();
        tags.make_mut().add::<gst::tags::Bitrate>(&1, gst::TagMergeMode::Replace);
        let flow = (0..100_000).find_map(|_| {
            source.push_event(gst::event::Tag::new(tags.clone()));
            source.push(gst::Buffer::with_size(1).unwrap()).err()
        });
        bin.set_state(gst::State::Null).unwrap();
        assert_eq!(flow, Some(gst::FlowError::Eos));
    }
}

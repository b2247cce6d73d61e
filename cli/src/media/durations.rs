//! The durations of frames across the encoder. Where the frame rate is unknown, `h264parse` of
//! GStreamer 1.22 replaces them by 1 ns, and players then drop the last frame.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use gst::prelude::*;

use super::segments::running_start;

/// More frames than an encoder keeps.
const MOST: usize = 1000;

/// Gives the packets that leave `to` the durations that their frames have at `from`.
pub fn keep(from: &gst::Pad, to: &gst::Pad) {
    let waiting = Arc::<Mutex<BTreeMap<i64, gst::ClockTime>>>::default();
    let found = waiting.clone();
    from.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer()
            && let (Some(start), Some(duration)) = (running_start(pad, buffer), buffer.duration())
        {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(start, duration);
            if found.len() > MOST {
                found.pop_first();
            }
        }
        gst::PadProbeReturn::Ok
    });
    to.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Some(start) = running_start(pad, buffer)
            && let Some(duration) =
                waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&start)
            && buffer.duration() != Some(duration)
        {
            buffer.make_mut().set_duration(duration);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Gives each packet that leaves `pad` a duration from its decoding time to the end of the film so far.
/// `mp4mux` of GStreamer 1.22 takes the time of a track from decoding times, and the duration of only the
/// last packet: where the frame rate varies, the last reordered frames would not be shown.
pub fn reach_the_end(pad: &gst::Pad) {
    // The first decoding time, the first time, and the end.
    let film = Mutex::<Option<[gst::ClockTime; 3]>>::default();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let (Some(pts), Some(duration)) = (buffer.pts(), buffer.duration())
        {
            let dts = buffer.dts().unwrap_or(pts);
            let mut film = film.lock().unwrap_or_else(PoisonError::into_inner);
            let [first_dts, first, end] = film.get_or_insert([dts, pts, pts]);
            *first = pts.min(*first);
            *end = (pts + duration).max(*end);
            let rest = end.saturating_sub(*first).saturating_sub(dts.saturating_sub(*first_dts));
            if rest > duration {
                buffer.make_mut().set_duration(rest);
            }
        }
        gst::PadProbeReturn::Ok
    });
}

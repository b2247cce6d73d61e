//! Running times in segments of GStreamer; they may be negative.

use gst::{Signed, prelude::*};

/// Start and end of a buffer as running time in nanoseconds. The end is not after the end of the
/// segment; the start can be before the start of the segment, and negative.
pub fn running_range(segment: &gst::Segment, buffer: &gst::BufferRef) -> Option<(i64, i64)> {
    let segment = segment.downcast_ref::<gst::ClockTime>()?;
    let start = buffer.pts().or(buffer.dts())?;
    let end = start + buffer.duration().unwrap_or_default();
    let end = segment.stop().map_or(end, |stop| end.min(stop)).max(start);
    Some((running(segment, start)?, running(segment, end)?))
}

/// The running time at which a buffer that passes `pad` begins, in nanoseconds.
pub fn running_start(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<i64> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    Some(running_range(segment.segment(), buffer)?.0)
}

/// The running time of a position, in nanoseconds.
pub fn running(segment: &gst::FormattedSegment<gst::ClockTime>, at: gst::ClockTime) -> Option<i64> {
    match segment.to_running_time_full(at)? {
        Signed::Positive(time) => i64::try_from(time.nseconds()).ok(),
        Signed::Negative(time) => i64::try_from(time.nseconds()).ok().map(|time| -time),
    }
}

/// Lets a segment precede gaps that leave `pad` of `aacparse`, which keeps its own back until the first
/// packet. Before it knows how to describe the packets, muxers take neither.
pub fn precede_gaps(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |pad, info| {
        let is_gap = info.event().is_some_and(|event| event.type_() == gst::EventType::Gap);
        if is_gap && pad.sticky_event::<gst::event::Segment>(0).is_none() {
            let segment = gst::FormattedSegment::<gst::ClockTime>::new();
            pad.push_event(gst::event::Segment::new(&segment));
        }
        gst::PadProbeReturn::Ok
    });
}

/// Drops what is entirely before its segment, where an edit begins: it is only for the decoder.
pub fn drop_preroll(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| {
        let segment = pad.sticky_event::<gst::event::Segment>(0);
        match (segment, info.buffer()) {
            (Some(segment), Some(buffer)) if is_preroll(segment.segment(), buffer) => {
                gst::PadProbeReturn::Drop
            }
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

fn is_preroll(segment: &gst::Segment, buffer: &gst::BufferRef) -> bool {
    let Some(segment) = segment.downcast_ref::<gst::ClockTime>() else { return false };
    let range = buffer.pts().zip(buffer.duration()).map(|(start, length)| (start, start + length));
    // A packet without a duration at the start of the segment belongs to it.
    segment.start().zip(range).is_some_and(|(at, (start, end))| start < at && end <= at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_before_the_segment_is_preroll() {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_mseconds(100));
        let is_preroll = |start: u64, duration: u64| {
            let mut buffer = gst::Buffer::new();
            let writable = buffer.get_mut().unwrap();
            writable.set_pts(gst::ClockTime::from_mseconds(start));
            writable.set_duration(gst::ClockTime::from_mseconds(duration));
            super::is_preroll(segment.upcast_ref(), &buffer)
        };
        assert!(is_preroll(60, 40));
        assert!(!is_preroll(61, 40) && !is_preroll(100, 0));
    }

    #[test]
    fn a_packet_before_the_segment_has_a_negative_time() {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_mseconds(100));
        segment.set_stop(gst::ClockTime::from_mseconds(200));
        let range = |start: u64, duration: u64| {
            let mut buffer = gst::Buffer::new();
            let writable = buffer.get_mut().unwrap();
            writable.set_pts(gst::ClockTime::from_mseconds(start));
            writable.set_duration(gst::ClockTime::from_mseconds(duration));
            running_range(segment.upcast_ref(), &buffer)
        };
        assert_eq!(range(80, 40), Some((-20_000_000, 20_000_000)));
        assert_eq!(range(180, 40), Some((80_000_000, 100_000_000)));
    }
}

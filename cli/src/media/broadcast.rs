//! The start of transport and program streams. The demuxers of GStreamer 1.22 begin the segment of
//! all streams with the first picture, and parsers drop the sound that ends before it.

use gst::prelude::*;

/// Lets the segments that leave `pad` begin at 0 without a change to running times, which are negative
/// before the first picture.
pub fn keep_early_packets(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Segment(segment) = event.view()
            && let Some(early) = early(segment.segment())
        {
            *event = gst::event::Segment::builder(&early).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
}

fn early(segment: &gst::Segment) -> Option<gst::Segment> {
    let mut segment = segment.downcast_ref::<gst::ClockTime>()?.clone();
    let start = segment.start()?;
    segment.set_offset(segment.offset().unwrap_or_default() + start);
    segment.set_start(gst::ClockTime::ZERO);
    Some(segment.upcast())
}

#[cfg(test)]
mod tests {
    use super::{super::segments::running, *};

    #[test]
    fn running_times_stay_and_earlier_times_are_in_the_segment() {
        gst::init().unwrap();
        let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
        segment.set_start(gst::ClockTime::from_mseconds(780));
        let early = early(segment.upcast_ref()).unwrap();
        let early = early.downcast_ref::<gst::ClockTime>().unwrap();
        for milliseconds in [574, 780, 900] {
            let at = gst::ClockTime::from_mseconds(milliseconds);
            assert_eq!(running(early, at), running(&segment, at));
        }
        assert_eq!(early.start(), Some(gst::ClockTime::ZERO));
    }
}

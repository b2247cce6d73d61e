//! The start of Matroska files. `matroskademux` of GStreamer 1.22 begins its segment with the first
//! packet in the file and corrects it when a packet with an earlier time follows. Running times before
//! and after the correction do not fit together.

use gst::prelude::*;

/// The first packet of a file is at most this much later than the earliest one.
const LATEST: gst::ClockTime = gst::ClockTime::SECOND;

/// Lets the segments that leave `pad` begin at 0 if they begin soon after it, until there is a seek.
pub fn begin_at_zero(pad: &gst::Pad) {
    let types = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::EVENT_FLUSH;
    pad.add_probe(types, |_, info| {
        let Some(gst::PadProbeData::Event(event)) = &mut info.data else {
            return gst::PadProbeReturn::Ok;
        };
        match event.view() {
            gst::EventView::FlushStop(_) => return gst::PadProbeReturn::Remove,
            gst::EventView::Segment(segment) => {
                if let Some(whole) = from_zero(segment.segment()) {
                    *event = gst::event::Segment::builder(&whole).seqnum(event.seqnum()).build();
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

fn from_zero(segment: &gst::Segment) -> Option<gst::Segment> {
    let mut segment = segment.downcast_ref::<gst::ClockTime>()?.clone();
    if segment.start()? > LATEST || segment.base() != Some(gst::ClockTime::ZERO) {
        return None;
    }
    segment.set_start(gst::ClockTime::ZERO);
    segment.set_time(gst::ClockTime::ZERO);
    segment.set_position(gst::ClockTime::ZERO);
    Some(segment.upcast())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_that_begin_soon_after_zero_begin_at_zero() {
        gst::init().unwrap();
        let start = |milliseconds: u64, base: u64| {
            let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
            segment.set_start(gst::ClockTime::from_mseconds(milliseconds));
            segment.set_base(gst::ClockTime::from_mseconds(base));
            let whole = from_zero(segment.upcast_ref())?;
            whole.downcast_ref::<gst::ClockTime>()?.start().map(gst::ClockTime::mseconds)
        };
        assert_eq!(start(3, 0), Some(0));
        // A recording that begins in the middle of a broadcast, and a later part.
        assert_eq!(start(3_600_000, 0), None);
        assert_eq!(start(3, 500), None);
    }
}

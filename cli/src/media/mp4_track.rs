//! What leaves `qtdemux` of GStreamer 1.22 with wrong caps or times, and its correction:
//!
//! - It takes little-endian samples of 32 and 64 bits for big-endian ones.
//! - It ends a track without an edit list after the duration of the film, although frames that are
//!   reordered begin later than 0: the last ones would be lost.
//! - It gives all packets of raw samples the same time if the sample rate needs more than 16 bits.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use gst::prelude::*;

use super::mp4::Mp4Header;

/// Corrects what leaves `pad`, from which the track of this number comes.
pub fn correct(pad: &gst::Pad, header: &Mp4Header, number: u32) {
    let is_little_endian = header.is_little_endian(number);
    let film = header.duration().filter(|_| header.is_unedited(number));
    let is_raw = pad
        .current_caps()
        .is_some_and(|caps| caps.structure(0).is_some_and(|media| media.name() == "audio/x-raw"));
    // Where the last packet ends.
    let end = Mutex::<Option<(gst::ClockTime, gst::ClockTime)>>::default();
    let types = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
    pad.add_probe(types, move |_, info| {
        let mut last = end.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Caps(caps) if is_little_endian => {
                    if let Some(caps) = little_endian(caps.caps()) {
                        *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
                    }
                }
                gst::EventView::Segment(segment) => {
                    *last = None;
                    let whole = film.and_then(|film| without_stop(segment.segment(), film));
                    if let Some(whole) = whole {
                        let seqnum = event.seqnum();
                        *event = gst::event::Segment::builder(&whole).seqnum(seqnum).build();
                    }
                }
                _ => {}
            },
            Some(gst::PadProbeData::Buffer(buffer)) if is_raw => {
                if let (Some(start), Some(length)) = (buffer.pts(), buffer.duration()) {
                    let start = match *last {
                        Some((before, end)) if before == start => end,
                        _ => start,
                    };
                    *last = Some((buffer.pts().unwrap_or(start), start + length));
                    if buffer.pts() != Some(start) {
                        buffer.make_mut().set_pts(start);
                    }
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

/// The duration of a track may be so much shorter than that of the film.
const MAX_ERROR: gst::ClockTime = gst::ClockTime::from_mseconds(500);

/// The segment without its end, if that is the end of the film.
fn without_stop(segment: &gst::Segment, film: Duration) -> Option<gst::Segment> {
    let mut segment = segment.downcast_ref::<gst::ClockTime>()?.clone();
    let film = gst::ClockTime::try_from(film).ok()?;
    if segment.stop()? + MAX_ERROR < film {
        return None;
    }
    segment.set_stop(gst::ClockTime::NONE);
    Some(segment.upcast())
}

/// The caps of little-endian samples that were taken for big-endian ones.
fn little_endian(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let format = caps.structure(0)?.get::<&str>("format").ok()?;
    let format = ["F32", "F64", "S32"].iter().find(|bits| format == format!("{bits}BE"))?;
    let mut caps = caps.to_owned();
    caps.make_mut().structure_mut(0)?.set("format", format!("{format}LE"));
    Some(caps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_wide_big_endian_samples_are_renamed() {
        gst::init().unwrap();
        let renamed = |format: &str| {
            let caps = gst::Caps::builder("audio/x-raw").field("format", format).build();
            Some(little_endian(&caps)?.structure(0)?.get::<String>("format").unwrap())
        };
        assert_eq!(renamed("F32BE").as_deref(), Some("F32LE"));
        assert_eq!(renamed("S24LE"), None);
        assert_eq!(renamed("S16BE"), None);
    }

    #[test]
    fn only_the_end_of_the_film_is_removed_from_a_segment() {
        gst::init().unwrap();
        let stop = |milliseconds| {
            let mut segment = gst::FormattedSegment::<gst::ClockTime>::new();
            segment.set_stop(gst::ClockTime::from_mseconds(milliseconds));
            let whole = without_stop(segment.upcast_ref(), Duration::from_secs(3))?;
            Some(whole.downcast_ref::<gst::ClockTime>()?.stop())
        };
        assert_eq!(stop(3000), Some(None));
        // A seek that ends earlier.
        assert_eq!(stop(2000), None);
    }
}

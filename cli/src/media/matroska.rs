//! What `matroskademux` of GStreamer 1.22 does not get right.
//!
//! It begins its segment with the first packet in the file and corrects it when a packet with an earlier
//! time follows. Running times before and after the correction do not fit together. Sound in TTA gets no
//! header, without which no decoder starts.

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

/// Whether these are the caps of sound in TTA.
pub fn is_tta(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|media| media.name() == "audio/x-tta")
}

/// Gives the caps of TTA that leave `pad` the header of the format. Without a `duration` in nanoseconds,
/// that of the file is taken; decoders drop the last packet if it is not exact.
pub fn describe_tta(pad: &gst::Pad, duration: Option<u64>) {
    let duration = duration.map(gst::ClockTime::from_nseconds);
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(header) = caps.caps().structure(0).and_then(|media| {
                tta_header(media, duration.or_else(|| pad.query_duration()).unwrap_or_default())
            })
        {
            let mut caps = caps.caps_owned();
            caps.make_mut().set("codec_data", gst::Buffer::from_slice(header));
            *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
}

/// The header of a TTA1 file with this sound, as `libavcodec/tta.c` of FFmpeg reads it. `None` if the sound
/// is not TTA or has a header. The checksum stays 0, since FFmpeg does not compare it.
fn tta_header(media: &gst::StructureRef, duration: gst::ClockTime) -> Option<Vec<u8>> {
    if media.name() != "audio/x-tta" || media.has_field("codec_data") {
        return None;
    }
    let field = |name: &str| u32::try_from(media.get::<i32>(name).ok()?).ok();
    let [rate, channels, bits] = [field("rate")?, field("channels")?, field("width").unwrap_or(16)];
    let samples = duration.nseconds().checked_mul(rate.into())?.checked_add(500_000_000)?;
    let samples = u32::try_from(samples / gst::ClockTime::SECOND.nseconds()).ok()?;
    let [channels, bits] = [channels, bits].map(u16::try_from);
    let mut header = b"TTA1".to_vec();
    for number in [1, channels.ok()?, bits.ok()?] {
        header.extend(number.to_le_bytes());
    }
    for number in [rate, samples, 0] {
        header.extend(number.to_le_bytes());
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_tta_has_the_number_of_samples() {
        gst::init().unwrap();
        let header = |text: &str| {
            let caps: gst::Caps = text.parse().unwrap();
            tta_header(caps.structure(0)?, gst::ClockTime::from_mseconds(2500))
        };
        let found = header("audio/x-tta,rate=48000,channels=2,width=24").unwrap();
        assert_eq!(found.len(), 22);
        assert_eq!(found[..10], *b"TTA1\x01\0\x02\0\x18\0");
        assert_eq!(found[10..18], [48_000_u32, 120_000].map(u32::to_le_bytes).concat());
        assert_eq!(header("audio/x-flac,rate=48000,channels=2"), None);
        assert_eq!(header("audio/x-tta"), None);
    }

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

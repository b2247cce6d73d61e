//! Closed captions in H.265. `x265enc` does not write those of its frames, so they are inserted after
//! it as messages of supplemental enhancement information (ITU-T H.265, D.2.6; ATSC A/53 Part 4, 6.2).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use gst::{glib, prelude::*};
use gst_video::{VideoCaptionMeta, VideoCaptionType};

use super::segments::running_start;

/// Captions of frames that the encoder has not put out, by running time: encoders add hours to other
/// times.
type Waiting = Mutex<BTreeMap<i64, Vec<u8>>>;

/// More frames than an encoder keeps.
const MOST: usize = 1000;

/// Keeps the captions of the frames that `encoder` encodes.
///
/// # Errors
/// The encoder has no pads.
pub fn keep(encoder: &gst::Element) -> Result<(), glib::BoolError> {
    let pad = |name: &str| {
        let missing = || glib::bool_error!("{} has no pad {name}", encoder.name());
        encoder.static_pad(name).ok_or_else(missing)
    };
    let waiting = Arc::<Waiting>::default();
    let found = waiting.clone();
    pad("sink")?.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer()
            && let Some(time) = running_start(pad, buffer)
            && let Some(captions) = captions(buffer)
        {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(time, captions);
            if found.len() > MOST {
                found.pop_first();
            }
        }
        gst::PadProbeReturn::Ok
    });
    pad("src")?.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && let Some(time) = running_start(pad, buffer)
            && let Some(captions) =
                waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&time)
            && let Some(with) = with_captions(buffer, &captions)
        {
            *buffer = with;
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// The captions of a frame: triplets of CEA-708 (`cc_data`).
fn captions(buffer: &gst::BufferRef) -> Option<Vec<u8>> {
    let mut metas = buffer.iter_meta::<VideoCaptionMeta>();
    let raw = metas.find(|meta| meta.caption_type() == VideoCaptionType::Cea708Raw)?;
    Some(raw.data().to_vec())
}

/// The access unit with the captions before its first slice.
fn with_captions(buffer: &gst::BufferRef, captions: &[u8]) -> Option<gst::Buffer> {
    let map = buffer.map_readable().ok()?;
    let at = first_slice(&map)?;
    let (before, after) = map.split_at_checked(at)?;
    let unit = [before, &message(captions), after].concat();
    let mut with = gst::Buffer::from_mut_slice(unit);
    let kept =
        gst::BufferCopyFlags::FLAGS | gst::BufferCopyFlags::TIMESTAMPS | gst::BufferCopyFlags::META;
    buffer.copy_into(with.get_mut()?, kept, ..).ok()?;
    Some(with)
}

/// Where the first slice of an access unit in the byte-stream format begins, with its start code.
fn first_slice(unit: &[u8]) -> Option<usize> {
    let is_slice = |it: &[u8]| matches!(it, [0, 0, 1, header] if header >> 1 & 0x3f < 32);
    let at = unit.windows(4).position(is_slice)?;
    // A start code can have a leading zero.
    let is_long = at > 0 && unit.get(at - 1) == Some(&0);
    Some(at - usize::from(is_long))
}

/// A NAL unit (prefix SEI) with captions, with its start code.
fn message(captions: &[u8]) -> Vec<u8> {
    // The field for the number of triplets has 5 bits.
    let count = (captions.len() / 3).min(31);
    let mut payload = b"\xb5\x00\x31GA94\x03".to_vec();
    payload.extend([0x40 | count as u8, 0xff]);
    payload.extend(captions.iter().take(count * 3));
    payload.push(0xff);
    let mut content = vec![4, payload.len() as u8];
    content.extend(payload);
    content.push(0x80);
    let mut unit = vec![0, 0, 0, 1, 39 << 1, 1];
    let mut zeros = 0;
    for byte in content {
        // Emulation prevention (7.4.2).
        if zeros >= 2 && byte <= 3 {
            unit.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        unit.push(byte);
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_start_code_in_it() {
        let unit = message(&[0; 9]);
        assert_eq!(unit[..6], [0, 0, 0, 1, 78, 1]);
        assert!(!unit[4..].windows(3).any(|it| it[..2] == [0, 0] && it[2] < 3));
        assert_eq!(unit.last(), Some(&0x80));
    }

    #[test]
    fn captions_come_before_the_first_slice() {
        gst::init().unwrap();
        // An access unit delimiter, then a slice.
        let unit = [0, 0, 0, 1, 35 << 1, 1, 0x50, 0, 0, 0, 1, 1 << 1, 1, 0xaa];
        let buffer = gst::Buffer::from_slice(unit);
        let with = with_captions(&buffer, &[0xfc, 0x94, 0x2c]).unwrap();
        let map = with.map_readable().unwrap();
        assert_eq!(map[..7], unit[..7]);
        assert_eq!(map[map.len() - 7..], unit[7..]);
        assert!(map.windows(4).any(|it| it == b"GA94"));
    }
}

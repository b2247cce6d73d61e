//! The colour of ProRes: `avenc_prores_ks` of GStreamer 1.22 does not write it into the frames (SMPTE
//! RDD 36, 5.1.1).

use gst::glib;

use super::colour::Colour;

/// The kind of a frame, after its size.
const FRAME: &[u8] = b"icpf";

/// Where a frame has its primaries, transfer function and matrix, in bytes.
const COLOUR: std::ops::Range<usize> = 22..25;

/// Writes the colour of the frames that `encoder` gets into those that it puts out.
///
/// # Errors
/// The encoder has no pads.
pub fn keep_colour(encoder: &gst::Element) -> Result<(), glib::BoolError> {
    Colour::follow(encoder, |buffer, colour| {
        let mut map = buffer.make_mut().map_writable().ok()?;
        if map.get(4..8) != Some(FRAME) {
            return None;
        }
        map.get_mut(COLOUR)?.copy_from_slice(&colour.codes);
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use crate::media::{codec::Codec, encoder};

    #[test]
    fn frames_have_the_colour_of_their_caps() {
        gst::init().unwrap();
        let packet = encoder::first_packet(Codec::ProRes, "colorimetry=bt2100-pq");
        assert_eq!(packet[super::COLOUR], [9, 16, 9]);
    }
}

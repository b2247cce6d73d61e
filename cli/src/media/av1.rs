//! The colour of AV1: `av1enc` of GStreamer 1.22 does not write it into the stream (AV1 Bitstream &
//! Decoding Process Specification, 5.3 and 5.5).

use std::iter;

use gst::glib;

use super::colour::Colour;

/// The type of a sequence header among the units of a stream (`OBU_SEQUENCE_HEADER`).
const SEQUENCE_HEADER: u8 = 1;

/// Writes the colour of the frames that `encoder` gets into the sequence headers that it puts out.
///
/// # Errors
/// The encoder has no pads.
pub fn keep_colour(encoder: &gst::Element) -> Result<(), glib::BoolError> {
    Colour::follow(encoder, |buffer, colour| {
        if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            return None;
        }
        let data = with_colour(&buffer.map_readable().ok()?, colour)?;
        let mut new = gst::Buffer::from_slice(data);
        let kept = gst::BufferCopyFlags::FLAGS
            | gst::BufferCopyFlags::TIMESTAMPS
            | gst::BufferCopyFlags::META;
        buffer.copy_into(new.get_mut()?, kept, ..).ok()?;
        *buffer = new;
        Some(())
    })
}

/// A temporal unit whose sequence headers have this colour. `None` if it has none without a colour.
fn with_colour(mut unit: &[u8], colour: Colour) -> Option<Vec<u8>> {
    let mut new = Vec::with_capacity(unit.len() + 8);
    let mut is_changed = false;
    while let Some((&header, _)) = unit.split_first() {
        let (has_extension, has_size) = (header & 4 != 0, header & 2 != 0);
        if !has_size {
            return None;
        }
        let before = 1 + usize::from(has_extension);
        let (size, length) = leb128(unit.get(before..)?)?;
        let payload = unit.get(before + length..)?.get(..size)?;
        let changed =
            (header >> 3 & 15 == SEQUENCE_HEADER).then(|| sequence_header(payload, colour));
        match changed.flatten() {
            Some(payload) => {
                new.extend(unit.get(..before)?);
                new.extend(to_leb128(payload.len()));
                new.extend(payload);
                is_changed = true;
            }
            None => new.extend(unit.get(..before + length + size)?),
        }
        unit = unit.get(before + length + size..)?;
    }
    is_changed.then_some(new)
}

/// A number and its length in bytes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(4) {
        number |= usize::from(byte & 127) << (7 * at);
        if byte & 128 == 0 {
            return Some((number, at + 1));
        }
    }
    None
}

fn to_leb128(number: usize) -> Vec<u8> {
    let groups = iter::successors(Some(number), |rest| Some(rest >> 7).filter(|it| *it > 0));
    let groups: Vec<_> = groups.map(|group| (group & 127) as u8).collect();
    let last = groups.len().saturating_sub(1);
    groups.iter().enumerate().map(|(at, it)| it | if at < last { 128 } else { 0 }).collect()
}

/// The bits of a unit, the most significant of each byte first.
struct Bits {
    bits: Vec<bool>,
    at: usize,
}

impl Bits {
    fn new(bytes: &[u8]) -> Self {
        let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        Self { bits: bits.collect(), at: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        self.at += 1;
        self.bits.get(self.at - 1).copied()
    }

    fn number(&mut self, bits: usize) -> Option<usize> {
        (0..bits).try_fold(0, |number, _| Some(number << 1 | usize::from(self.flag()?)))
    }

    fn skip(&mut self, bits: usize) {
        self.at += bits;
    }
}

/// A sequence header with this colour. `None` if it has one.
fn sequence_header(payload: &[u8], colour: Colour) -> Option<Vec<u8>> {
    let mut bits = Bits::new(payload);
    let profile = go_to_colour(&mut bits)?;
    let is_high = bits.flag()?;
    if profile == 2 && is_high {
        bits.skip(1);
    }
    let is_grey = profile != 1 && bits.flag()?;
    let flag = bits.at;
    if bits.flag()? {
        return None;
    }
    let mut new = bits.bits.get(..flag)?.to_vec();
    new.push(true);
    for code in colour.codes {
        new.extend((0..8).rev().map(|bit| code >> bit & 1 == 1));
    }
    // color_range
    bits.skip(1);
    new.push(colour.is_full_range);
    // 4:2:0 has chroma_sample_position.
    if profile == 0 && !is_grey {
        bits.skip(2);
        new.extend(match colour.cosited {
            Some((true, false)) => [false, true],
            Some((true, true)) => [true, false],
            _ => [false, false],
        });
    }
    // With the last bit that is set, which ends the header.
    let end = bits.bits.iter().rposition(|bit| *bit)? + 1;
    new.extend(bits.bits.get(bits.at..end)?);
    Some(new.chunks(8).map(byte).collect())
}

fn byte(bits: &[bool]) -> u8 {
    bits.iter().enumerate().fold(0, |byte, (at, bit)| byte | u8::from(*bit) << (7 - at))
}

/// Reads a sequence header to the start of `color_config`. Returns the profile.
fn go_to_colour(bits: &mut Bits) -> Option<usize> {
    let profile = bits.number(3)?;
    bits.skip(1);
    let is_reduced = bits.flag()?;
    if is_reduced {
        bits.skip(5);
    } else {
        operating_points(bits)?;
    }
    let (width, height) = (bits.number(4)? + 1, bits.number(4)? + 1);
    bits.skip(width + height);
    // frame_id_numbers_present_flag
    if !is_reduced && bits.flag()? {
        bits.skip(7);
    }
    // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    bits.skip(3);
    if !is_reduced {
        // enable_interintra_compound, enable_masked_compound, enable_warped_motion, enable_dual_filter
        bits.skip(4);
        let has_order_hint = bits.flag()?;
        if has_order_hint {
            bits.skip(2);
        }
        let may_have_screen_content = bits.flag()? || bits.flag()?;
        // seq_choose_integer_mv
        if may_have_screen_content && !bits.flag()? {
            bits.skip(1);
        }
        if has_order_hint {
            bits.skip(3);
        }
    }
    // enable_superres, enable_cdef, enable_restoration
    bits.skip(3);
    Some(profile)
}

/// Reads the timing and the operating points.
fn operating_points(bits: &mut Bits) -> Option<()> {
    let mut delay_bits = None;
    // timing_info_present_flag
    if bits.flag()? {
        bits.skip(64);
        // equal_picture_interval, before a number in uvlc
        if bits.flag()? {
            let mut zeros = 0;
            while !bits.flag()? {
                zeros += 1;
            }
            bits.skip(zeros);
        }
        // decoder_model_info_present_flag
        if bits.flag()? {
            delay_bits = Some(bits.number(5)? + 1);
            bits.skip(32 + 5 + 5);
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.number(5)? {
        bits.skip(12);
        if bits.number(5)? > 7 {
            bits.skip(1);
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1);
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;
    use crate::media::{codec::Codec, encoder};

    #[test]
    fn a_stream_has_the_colour_of_its_caps() {
        gst::init().unwrap();
        let colour = "colorimetry=bt709,chroma-site=mpeg2";
        let packet = encoder::first_packet(Codec::Av1, colour);
        // The parser of GStreamer reads it back.
        let (source, sink) = (gst_app::AppSrc::builder(), gst_app::AppSink::builder());
        let caps = "video/x-av1,alignment=tu,stream-format=obu-stream".parse::<gst::Caps>();
        let (source, sink) = (source.caps(&caps.unwrap()).build(), sink.sync(false).build());
        let parser = gst::ElementFactory::make("av1parse").build().unwrap();
        let pipeline = gst::Pipeline::new();
        pipeline.add_many([source.upcast_ref(), &parser, sink.upcast_ref()]).unwrap();
        gst::Element::link_many([source.upcast_ref(), &parser, sink.upcast_ref()]).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        source.push_buffer(gst::Buffer::from_slice(packet.clone())).unwrap();
        source.end_of_stream().unwrap();
        let sample = sink.pull_sample().unwrap();
        let colorimetry = sample.caps().unwrap().structure(0).unwrap().get::<String>("colorimetry");
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(colorimetry.as_deref(), Ok("bt709"));
        // It is not written twice.
        let colour = Colour { codes: [1, 1, 1], is_full_range: false, cosited: None };
        assert_eq!(with_colour(&packet, colour), None);
    }

    #[test]
    fn cut_units_are_left_as_they_are() {
        let packet = encoder::first_packet(Codec::Av1, "colorimetry=bt709");
        let colour = Colour { codes: [1, 1, 1], is_full_range: false, cosited: None };
        for length in 0..packet.len().min(64) {
            assert_eq!(with_colour(&packet[..length], colour), None);
        }
        assert_eq!(with_colour(&[0b0000_1010, 1, 0], colour), None);
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for number in [0, 1, 127, 128, 300, 70_000] {
            let bytes = to_leb128(number);
            assert_eq!(leb128(&bytes), Some((number, bytes.len())));
        }
    }
}

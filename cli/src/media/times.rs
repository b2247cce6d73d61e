//! Repairs timestamps between the decoder and the encoder: they must increase strictly.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

/// How far a decoder's timestamp may be ahead of the input's before frames count as lost.
const LARGEST_LAG: u64 = 500_000_000;

/// The timestamps of one video stream, in nanoseconds.
#[derive(Debug, Default)]
pub struct Times {
    last: Option<u64>,
    /// Timestamps of packets whose frames have not been output, if only their order is wrong.
    in_decode_order: BinaryHeap<Reverse<u64>>,
}

impl Times {
    /// Adds the timestamp of a packet of a container that gives times in decoding order (AVI). The
    /// decoder then cannot know the time of a frame, but the next frame in presentation order has
    /// the earliest time.
    pub fn add_packet(&mut self, time: u64) {
        self.in_decode_order.push(Reverse(time));
    }

    /// The timestamp of the next frame. `decoded` is the decoder's.
    pub fn next(&mut self, decoded: Option<u64>, duration: u64) -> u64 {
        let earliest = loop {
            let Some(Reverse(time)) = self.in_decode_order.pop() else { break None };
            if decoded.is_none_or(|decoded| time + LARGEST_LAG > decoded) {
                break Some(time);
            }
        };
        let after_last = |last: u64| last + (duration / 2).max(1);
        let time = match (earliest.or(decoded), self.last) {
            (Some(time), Some(last)) => time.max(after_last(last)),
            (Some(time), None) => time,
            (None, Some(last)) => last + duration.max(1),
            (None, None) => 0,
        };
        self.last = Some(time);
        time
    }
}

/// Packets that went into the decoder and must come out as frames.
#[derive(Debug, Default)]
pub struct Expected {
    packets: BTreeSet<u64>,
    /// The number of packets, less that of frames.
    surplus: i64,
    /// The times of the first and the last frame.
    frames: Option<(u64, u64)>,
}

/// A decoder does not output the last frames of a stream that ends within a frame.
const INCOMPLETE_AT_END: usize = 2;

impl Expected {
    /// Adds a packet.
    pub fn add(&mut self, time: u64) {
        self.packets.insert(time);
        self.surplus += 1;
    }

    /// Removes the packet of a decoded frame.
    pub fn decoded(&mut self, time: u64, duration: u64) {
        // A packet can hold one field of a frame, or a frame that is not shown.
        let half = duration / 2 + 1_000_000;
        let near = self.packets.range(time.saturating_sub(half)..=time + half);
        for packet in near.copied().collect::<Vec<_>>() {
            self.packets.remove(&packet);
        }
        self.surplus -= 1;
        let (first, last) = self.frames.unwrap_or((time, time));
        self.frames = Some((first.min(time), last.max(time)));
    }

    /// The number of packets that became no frame, after the end of the stream. Those before the
    /// first frame do not count: there may be no key frame.
    pub fn lost(&self) -> usize {
        let Some((first, last)) = self.frames else { return 0 };
        let between = self.packets.range(first..last).count();
        let after = self.packets.range(last..).count();
        let unmatched = between + if after > INCOMPLETE_AT_END { after } else { 0 };
        // Where times jump back, decoders output other times than those of the packets.
        unmatched.min(usize::try_from(self.surplus).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: u64 = 40_000_000;

    #[test]
    fn equal_and_falling_times_become_increasing_ones() {
        let mut times = Times::default();
        let decoded = [0, 40, 40, 20, 160, 200].map(|time| Some(time * 1_000_000));
        let found = decoded.map(|time| times.next(time, FRAME) / 1_000_000);
        assert_eq!(found, [0, 40, 60, 80, 160, 200]);
        assert_eq!(times.next(None, FRAME), 240_000_000);
    }

    #[test]
    fn times_in_decode_order_are_given_out_from_the_earliest() {
        let mut times = Times::default();
        (0..3).for_each(|frame| times.add_packet(frame * FRAME));
        let mut found = Vec::new();
        for frame in 3..9 {
            times.add_packet(frame * FRAME);
            found.push(times.next(Some((frame - 1) * FRAME), FRAME) / FRAME);
        }
        assert_eq!(found, [0, 1, 2, 3, 4, 5]);
        // The decoder lost two seconds.
        (9..70).for_each(|frame| times.add_packet(frame * FRAME));
        assert!(times.next(Some(60 * FRAME), FRAME) > 46 * FRAME);
    }

    #[test]
    fn a_packet_between_frames_that_was_not_decoded_is_lost() {
        let mut expected = Expected::default();
        (0..20).for_each(|packet| expected.add(packet * FRAME));
        for frame in [3, 4, 5, 8, 9] {
            expected.decoded(frame * FRAME, FRAME);
        }
        assert_eq!(expected.lost(), 2 + 10);
    }

    #[test]
    fn second_fields_and_an_incomplete_end_are_not_lost() {
        let mut expected = Expected::default();
        (0..10).for_each(|field| expected.add(field * FRAME / 2));
        (0..4).for_each(|frame| expected.decoded(frame * FRAME, FRAME));
        assert_eq!(expected.lost(), 0);
    }
}

//! Starting to read a video in the middle. Timestamps after a seek are not reliable, so the packets
//! are recognised by their content and get the timestamps that they have without a seek.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use gst::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

/// A packet as the demuxer gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packet {
    hash: u64,
    pts: Option<gst::ClockTime>,
    dts: Option<gst::ClockTime>,
}

impl Packet {
    fn of(buffer: &gst::BufferRef) -> Option<Self> {
        let hash = xxh3_64(&buffer.map_readable().ok()?);
        Some(Self { hash, pts: buffer.pts(), dts: buffer.dts() })
    }
}

/// The packets of a video in the order in which the demuxer gives them, from the first pass.
#[derive(Clone, Debug, Default)]
pub struct PacketIndex {
    packets: Vec<Packet>,
    /// Running times of the key frames, in nanoseconds.
    keys: Vec<i64>,
    segments: Vec<gst::FormattedSegment<gst::ClockTime>>,
}

impl PacketIndex {
    /// Adds the packets that leave `demuxed`.
    pub fn watch(demuxed: &gst::Pad) -> Arc<Mutex<Self>> {
        let index = Arc::<Mutex<Self>>::default();
        let into = index.clone();
        let types = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        demuxed.add_probe(types, move |_, info| {
            let mut index = into.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(packet) = info.buffer().and_then(|buffer| Packet::of(buffer)) {
                index.packets.push(packet);
            }
            if let Some(gst::EventView::Segment(segment)) = info.event().map(|it| it.view())
                && let Some(segment) = segment.segment().downcast_ref()
                && index.segments.last() != Some(segment)
            {
                index.segments.push(segment.clone());
            }
            gst::PadProbeReturn::Ok
        });
        index
    }

    /// Adds a key frame.
    pub fn add_key(&mut self, time: i64) {
        self.keys.push(time);
    }

    /// Where to seek to, so that decoding has begun with a key frame at `time`, a running time in
    /// nanoseconds. `None` if the stream must be read from its beginning.
    fn target(&self, time: i64) -> Option<gst::ClockTime> {
        let first = self.keys.iter().min()?;
        let key = self.keys.iter().filter(|key| **key <= time).max().filter(|key| *key > first)?;
        // With edits, a packet can have several times.
        let [segment] = self.segments.as_slice() else { return None };
        let key = gst::ClockTime::from_nseconds(u64::try_from(*key).ok()?);
        segment.to_stream_time(segment.position_from_running_time(key)?)
    }

    /// The place of the first packet after a seek, by its content. Of several that are equal, the one
    /// whose timestamp is closest.
    fn find(&self, packet: &Packet) -> Option<usize> {
        let time = |packet: &Packet| packet.pts.or(packet.dts).map_or(0, gst::ClockTime::nseconds);
        let equal = self.packets.iter().enumerate().filter(|(_, it)| it.hash == packet.hash);
        equal.min_by_key(|(_, it)| time(it).abs_diff(time(packet))).map(|(at, _)| at)
    }
}

/// A seek before the first packet leaves the demuxer.
#[derive(Debug)]
pub struct Jump {
    index: Arc<PacketIndex>,
    /// Running time in nanoseconds.
    time: i64,
    is_lost: AtomicBool,
}

/// What the probes of a jump know.
#[derive(Debug)]
enum State {
    /// The first packet waits for the seek.
    Waiting,
    /// Flushes, and segments with other times, do not pass.
    Seeking,
    /// The packet at this place comes next.
    At(usize),
    /// There is no seek.
    Direct,
}

impl Jump {
    /// A jump to the last key frame that is not after `time`, a running time in nanoseconds.
    pub fn new(index: Arc<PacketIndex>, time: i64) -> Self {
        Self { index, time, is_lost: AtomicBool::new(false) }
    }

    /// Whether packets came that were not expected. The stream then has ended too early.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Seeks before the first packet leaves `demuxed`, and corrects the packets that follow.
    pub fn install(self: &Arc<Self>, demuxed: &gst::Pad) {
        let Some(target) = self.index.target(self.time) else { return };
        let state = Arc::new(Mutex::new(State::Waiting));
        seek_at_first_packet(demuxed, &state, target);
        let jump = self.clone();
        let types = gst::PadProbeType::BUFFER
            | gst::PadProbeType::EVENT_DOWNSTREAM
            | gst::PadProbeType::EVENT_FLUSH;
        demuxed.add_probe(types, move |pad, info| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let is_sought = matches!(*state, State::Seeking | State::At(_));
            match &mut info.data {
                Some(gst::PadProbeData::Event(event)) if is_sought => match event.type_() {
                    // The bindings drop an event for which a probe returns Drop, and GStreamer then
                    // unrefs NULL.
                    gst::EventType::FlushStart
                    | gst::EventType::FlushStop
                    | gst::EventType::Segment => gst::PadProbeReturn::Handled,
                    _ => gst::PadProbeReturn::Ok,
                },
                Some(gst::PadProbeData::Buffer(buffer)) if is_sought => {
                    if let Some(packet) = jump.next(&mut state, buffer) {
                        let buffer = buffer.make_mut();
                        buffer.set_pts(packet.pts);
                        buffer.set_dts(packet.dts);
                        return gst::PadProbeReturn::Ok;
                    }
                    drop(state);
                    jump.is_lost.store(true, Ordering::Relaxed);
                    pad.push_event(gst::event::Eos::new());
                    info.flow_res = Err(gst::FlowError::Eos);
                    gst::PadProbeReturn::Handled
                }
                _ => gst::PadProbeReturn::Ok,
            }
        });
    }

    /// The packet of the index that a buffer is.
    fn next(&self, state: &mut State, buffer: &gst::BufferRef) -> Option<Packet> {
        let packet = Packet::of(buffer)?;
        let at = match *state {
            State::At(at) => at,
            _ => self.index.find(&packet)?,
        };
        *state = State::At(at + 1);
        self.index.packets.get(at).copied().filter(|it| it.hash == packet.hash)
    }
}

/// Holds the first packet and seeks to `target` from another thread, since a demuxer cannot seek from
/// its own.
fn seek_at_first_packet(demuxed: &gst::Pad, state: &Arc<Mutex<State>>, target: gst::ClockTime) {
    let (state, begun) = (state.clone(), AtomicBool::new(false));
    let types = gst::PadProbeType::BLOCK | gst::PadProbeType::BUFFER;
    demuxed.add_probe(types, move |pad, info| {
        if begun.swap(true, Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        let set = |to| *state.lock().unwrap_or_else(PoisonError::into_inner) = to;
        set(State::Seeking);
        let (pad, state, id) = (pad.clone(), state.clone(), info.id.take());
        thread::spawn(move || {
            let flags =
                gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
            let (keep, none) = (gst::SeekType::None, gst::ClockTime::NONE);
            let seek = gst::event::Seek::new(1.0, flags, gst::SeekType::Set, target, keep, none);
            if !pad.send_event(seek) {
                *state.lock().unwrap_or_else(PoisonError::into_inner) = State::Direct;
            }
            if let Some(id) = id {
                pad.remove_probe(id);
            }
        });
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(hashes: &[u64], keys: &[i64]) -> PacketIndex {
        gst::init().unwrap();
        let packet = |(at, &hash): (usize, &u64)| Packet {
            hash,
            pts: Some(gst::ClockTime::from_seconds(at as u64)),
            dts: None,
        };
        PacketIndex {
            packets: hashes.iter().enumerate().map(packet).collect(),
            keys: keys.iter().map(|seconds| seconds * 1_000_000_000).collect(),
            segments: vec![gst::FormattedSegment::new()],
        }
    }

    #[test]
    fn a_jump_goes_to_the_last_key_frame_before_the_time() {
        let mut index = index(&[], &[0, 10, 20]);
        let target = |index: &PacketIndex, seconds: i64| {
            index.target(seconds * 1_000_000_000).map(gst::ClockTime::seconds)
        };
        assert_eq!(
            [9, 10, 19, 25].map(|time| target(&index, time)),
            [None, Some(10), Some(10), Some(20)]
        );
        index.segments.push(gst::FormattedSegment::new());
        assert_eq!(target(&index, 25), None);
    }

    #[test]
    fn packets_after_a_jump_are_recognised_by_their_content_and_order() {
        let index = Arc::new(index(&[7, 8, 7, 9], &[0]));
        let near = |hash, seconds| {
            let pts = Some(gst::ClockTime::from_seconds(seconds));
            index.find(&Packet { hash, pts, dts: None })
        };
        assert_eq!(
            [near(7, 0), near(7, 3), near(9, 0), near(5, 0)],
            [Some(0), Some(2), Some(3), None]
        );
    }
}

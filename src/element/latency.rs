//! The time per frame in the latency that the element reports; `imp.rs` adds queued frames.

use std::time::Duration;

/// The latency of one stream: the time of the second slowest of the recent frames. A single slow
/// frame does not count, as it may have prepared what later frames use. The caller adds the time
/// for frames in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    reported: Duration,
    /// The time of the slowest recent frame.
    slowest: Duration,
    /// The number of frames since the slowest one.
    age: u32,
    /// Whether a frame has been measured since the last restart.
    warm: bool,
}

impl Latency {
    /// The latency grows in steps, so that it does not change with each frame.
    const STEP: Duration = Duration::from_millis(10);
    /// A stream that is slower cannot keep up with a live source.
    const MAX: Duration = Duration::from_secs(2);
    /// How many frames a slow frame is remembered for: a few seconds of video.
    const RECENT: u32 = 128;

    /// The latency to report.
    pub(crate) fn get(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.reported.as_nanos() as u64)
    }

    /// Starts over, because the next frames take another time. The first of them is not measured,
    /// as it takes longer than the others.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    /// Adds the time of a frame, and returns whether the latency changes.
    pub(crate) fn add_frame(&mut self, time: Duration) -> bool {
        if !std::mem::replace(&mut self.warm, true) {
            return false;
        }
        self.age += 1;
        let before = if self.age > Self::RECENT { Duration::ZERO } else { self.slowest };
        if time >= before {
            (self.slowest, self.age) = (time, 0);
        }
        let time = time.min(before);
        if time <= self.reported || self.reported >= Self::MAX {
            return false;
        }
        // A margin of a quarter, so that a slightly slower frame does not change the latency.
        let steps = (time + time / 4).as_nanos().div_ceil(Self::STEP.as_nanos());
        self.reported = Self::STEP.saturating_mul(steps as u32).min(Self::MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(latency: &mut Latency, milliseconds: u64) -> bool {
        latency.add_frame(Duration::from_millis(milliseconds))
    }

    #[test]
    fn the_latency_grows_with_slow_frames_and_never_shrinks() {
        let mut latency = Latency::default();
        assert!(!took(&mut latency, 1000), "the first frame does not count");
        assert!(!took(&mut latency, 20), "a single frame does not count either");
        assert!(took(&mut latency, 20));
        assert_eq!(latency.get(), gst::ClockTime::from_mseconds(30));
        assert!(!took(&mut latency, 30));
        assert!(!took(&mut latency, 30));
        assert!(!took(&mut latency, 5));
        assert!(!took(&mut latency, 60_000));
        assert!(!took(&mut latency, 5));
        assert_eq!(latency.get(), gst::ClockTime::from_mseconds(30));
        assert!(took(&mut latency, 60_000));
        assert_eq!(latency.get(), gst::ClockTime::from_seconds(2));
        assert!(!took(&mut latency, 60_000));
    }

    #[test]
    fn two_slow_frames_far_apart_do_not_change_the_latency() {
        let mut latency = Latency::default();
        let slow = |latency: &mut Latency| took(latency, 300);
        (0..3).for_each(|_| _ = took(&mut latency, 20));
        assert!(!slow(&mut latency));
        assert!((0..Latency::RECENT).all(|_| !took(&mut latency, 20)));
        assert!(!slow(&mut latency));
        assert!(slow(&mut latency));
    }

    #[test]
    fn a_restart_forgets_the_slow_frames_of_the_previous_model() {
        let mut latency = Latency::default();
        (0..3).for_each(|_| _ = took(&mut latency, 500));
        assert!(latency.get() > gst::ClockTime::from_mseconds(500));
        latency.restart();
        assert_eq!(latency.get(), gst::ClockTime::ZERO);
        (0..3).for_each(|_| _ = took(&mut latency, 20));
        assert_eq!(latency.get(), gst::ClockTime::from_mseconds(30));
    }
}

//! The time per frame in the latency that the element reports, if frames have no deadline; `imp.rs`
//! adds queued frames.

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
    /// The number of frames in the current period, and the times of the slowest two of them.
    period: (u32, [Duration; 2]),
}

impl Latency {
    /// The latency grows in steps, so that it does not change with each frame.
    const STEP: Duration = Duration::from_millis(10);
    /// The latency falls if it can fall below this share.
    const FALL: f64 = 0.75;
    /// A stream that is slower cannot keep up with a live source.
    const MAX: Duration = Duration::from_secs(2);
    /// How many frames a slow frame is remembered for: a few seconds of video. The latency falls
    /// after as many faster ones.
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
        let falls = self.falls(time);
        let time = time.min(before);
        if time <= self.reported || self.reported >= Self::MAX {
            return falls;
        }
        self.reported = Self::with_margin(time);
        true
    }

    /// Adds the time of a frame to the current period. At its end, lowers the latency if the second
    /// slowest frame took much less.
    fn falls(&mut self, time: Duration) -> bool {
        let (frames, [first, second]) = &mut self.period;
        (*first, *second) = ((*first).max(time), (*second).max(time.min(*first)));
        *frames += 1;
        if *frames < Self::RECENT {
            return false;
        }
        let lower = Self::with_margin(*second);
        self.period = Default::default();
        let falls = lower < self.reported.mul_f64(Self::FALL);
        if falls {
            self.reported = lower;
        }
        falls
    }

    /// The latency to report for frames that take this time: a quarter more, so that a slightly
    /// slower frame does not change it.
    fn with_margin(time: Duration) -> Duration {
        let steps = (time + time / 4).as_nanos().div_ceil(Self::STEP.as_nanos());
        Self::STEP.saturating_mul(steps as u32).min(Self::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(latency: &mut Latency, milliseconds: u64) -> bool {
        latency.add_frame(Duration::from_millis(milliseconds))
    }

    #[test]
    fn the_latency_grows_with_slow_frames_and_not_with_single_ones() {
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

    #[test]
    fn the_latency_falls_when_frames_have_been_faster_for_some_time() {
        let mut latency = Latency::default();
        (0..Latency::RECENT).for_each(|_| _ = took(&mut latency, 500));
        assert_eq!(latency.get(), gst::ClockTime::from_mseconds(630));
        let changes = (0..3 * Latency::RECENT).filter(|_| took(&mut latency, 20)).count();
        assert_eq!((changes, latency.get()), (1, gst::ClockTime::from_mseconds(30)));
        // A little less is not worth a change, which interrupts playback.
        let changes = (0..3 * Latency::RECENT).filter(|_| took(&mut latency, 17)).count();
        assert_eq!((changes, latency.get()), (0, gst::ClockTime::from_mseconds(30)));
    }
}

//! What a live pipeline is told of the time that frames take here.

use std::time::Duration;

/// The latency of one stream: the time that the second slowest of recent frames took, as one
/// alone may have set up what those after it use. Frames in a queue come on top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    reported: Duration,
    /// The slowest frame since it was, and how many came after it.
    slowest: Duration,
    age: u32,
    /// Whether a frame has been through since the last change.
    warm: bool,
}

impl Latency {
    /// Steps in which the latency grows, so that it does not change with each frame.
    const STEP: Duration = Duration::from_millis(10);
    /// Whoever takes longer does not keep up with anything live.
    const MOST: Duration = Duration::from_secs(2);
    /// Frames for which a slow one is remembered: some seconds.
    const RECENT: u32 = 128;

    pub fn get(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.reported.as_nanos() as u64)
    }

    /// What was measured says nothing of the frames to come. The first of them takes longer, and
    /// says nothing either.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Takes note of how long a frame took; whether that changes the latency.
    pub fn frame_took(&mut self, time: Duration) -> bool {
        if !std::mem::replace(&mut self.warm, true) {
            return false;
        }
        self.age += 1;
        let before = if self.age > Self::RECENT { Duration::ZERO } else { self.slowest };
        if time >= before {
            (self.slowest, self.age) = (time, 0);
        }
        let time = time.min(before);
        if time <= self.reported || self.reported >= Self::MOST {
            return false;
        }
        // A quarter on top, so that one frame that is a little slower changes nothing.
        let steps = (time + time / 4).as_nanos().div_ceil(Self::STEP.as_nanos());
        self.reported = Self::STEP.saturating_mul(steps as u32).min(Self::MOST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(latency: &mut Latency, milliseconds: u64) -> bool {
        latency.frame_took(Duration::from_millis(milliseconds))
    }

    #[test]
    fn the_latency_grows_with_slow_frames_and_never_shrinks() {
        let mut latency = Latency::default();
        assert!(!took(&mut latency, 1000), "the first frame does not count");
        assert!(!took(&mut latency, 20), "nor does one alone");
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
    fn two_slow_frames_with_many_between_change_nothing() {
        let mut latency = Latency::default();
        let slow = |latency: &mut Latency| took(latency, 300);
        (0..3).for_each(|_| _ = took(&mut latency, 20));
        assert!(!slow(&mut latency));
        assert!((0..Latency::RECENT).all(|_| !took(&mut latency, 20)));
        assert!(!slow(&mut latency));
        assert!(slow(&mut latency));
    }

    #[test]
    fn another_model_starts_anew() {
        let mut latency = Latency::default();
        (0..3).for_each(|_| _ = took(&mut latency, 500));
        assert!(latency.get() > gst::ClockTime::from_mseconds(500));
        latency.restart();
        assert_eq!(latency.get(), gst::ClockTime::ZERO);
        (0..3).for_each(|_| _ = took(&mut latency, 20));
        assert_eq!(latency.get(), gst::ClockTime::from_mseconds(30));
    }
}

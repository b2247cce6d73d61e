//! What a live pipeline is told of the time that frames take here.

use std::time::Duration;

/// The latency of one stream. Frames are not queued, so it is the time that a frame takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    reported: Duration,
    /// Whether a frame has been through since the last change.
    warm: bool,
}

impl Latency {
    /// Steps in which the latency grows, so that it does not change with each frame.
    const STEP: Duration = Duration::from_millis(10);
    /// Whoever takes longer does not keep up with anything live.
    const MOST: Duration = Duration::from_secs(2);

    pub fn get(&self) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(self.reported.as_nanos() as u64)
    }

    /// The next frame takes longer than those after it, and says nothing of them.
    pub fn restarted(&mut self) {
        self.warm = false;
    }

    /// Takes note of how long a frame took; whether that changes the latency.
    pub fn frame_took(&mut self, time: Duration) -> bool {
        if !std::mem::replace(&mut self.warm, true) {
            return false;
        }
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

    #[test]
    fn the_latency_grows_with_slow_frames_and_never_shrinks() {
        let mut latency = Latency::default();
        assert!(!latency.frame_took(Duration::from_secs(1)), "the first frame does not count");
        assert!(latency.frame_took(Duration::from_millis(20)));
        assert_eq!(latency.get(), gst::ClockTime::from_mseconds(30));
        assert!(!latency.frame_took(Duration::from_millis(30)));
        assert!(!latency.frame_took(Duration::from_millis(5)));
        assert!(latency.frame_took(Duration::from_secs(60)));
        assert_eq!(latency.get(), gst::ClockTime::from_seconds(2));
        assert!(!latency.frame_took(Duration::from_secs(60)));
    }
}

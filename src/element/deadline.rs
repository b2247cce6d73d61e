//! How long the processing of a frame may take, so that it leaves the element on time.

use std::time::Duration;

use gst::ClockTime;

/// The share of a frame's duration that its processing may take: the rest is for the elements
/// around.
const SHARE: (u64, u64) = (9, 10);
/// The most time for a frame, also for one of unknown duration.
const MAX: ClockTime = ClockTime::from_mseconds(100);

/// What the element knows about a frame when it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The duration of a frame.
    pub duration: Option<ClockTime>,
    /// The most that the application allows. `None`: no limit.
    pub max_latency: Option<ClockTime>,
    /// How much later than it should the frame arrived.
    pub late: ClockTime,
}

impl Arrival {
    /// The longest time for any frame.
    pub(super) fn longest(&self) -> ClockTime {
        let share =
            |duration: ClockTime| ClockTime::from_nseconds(duration.nseconds() / SHARE.1 * SHARE.0);
        let duration = self.duration.filter(|duration| !duration.is_zero());
        let longest = duration.map_or(MAX, share).min(MAX);
        self.max_latency.map_or(longest, |limit| limit.min(longest))
    }

    /// The time for this frame.
    pub(super) fn allowance(&self) -> Duration {
        self.longest().saturating_sub(self.late).into()
    }
}

/// How late a frame is that should be here at running time `due`, on a clock that shows `now`.
pub(super) fn lateness(now: Option<ClockTime>, due: Option<ClockTime>) -> ClockTime {
    now.zip(due).map_or(ClockTime::ZERO, |(now, due)| now.saturating_sub(due))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> ClockTime {
        ClockTime::from_mseconds(milliseconds)
    }

    #[test]
    fn a_frame_gets_most_of_its_duration_less_what_it_is_late() {
        let arrival = Arrival { duration: Some(ms(40)), ..Arrival::default() };
        let late = |late| Arrival { late: ms(late), ..arrival }.allowance();
        assert_eq!(late(0), Duration::from_millis(36));
        assert_eq!(late(10), Duration::from_millis(26));
        assert_eq!(late(100), Duration::ZERO);
        let unknown = Arrival { duration: Some(ms(0)), ..arrival };
        let slow = Arrival { duration: Some(ms(1000)), ..arrival };
        for arrival in [unknown, slow, Arrival::default()] {
            assert_eq!(arrival.longest(), MAX);
        }
    }

    #[test]
    fn the_application_can_only_shorten_the_time() {
        let limited = |limit| {
            let max_latency = Some(ms(limit));
            Arrival { duration: Some(ms(40)), max_latency, ..Arrival::default() }.longest()
        };
        assert_eq!((limited(10), limited(100)), (ms(10), ms(36)));
    }

    #[test]
    fn a_frame_without_a_clock_or_a_time_is_not_late() {
        assert_eq!(lateness(Some(ms(50)), Some(ms(20))), ms(30));
        assert_eq!(lateness(Some(ms(20)), Some(ms(50))), ms(0));
        assert_eq!(lateness(None, Some(ms(50))), ms(0));
        assert_eq!(lateness(Some(ms(50)), None), ms(0));
    }
}

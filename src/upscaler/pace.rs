//! How fast the model and the stages after it are, to know what fits into the time of a frame.

use std::time::Duration;

use super::run_time::RunTime;
use crate::reuse::Budget;

/// The weight of the last measurement in an average.
const LAST: f64 = 0.2;
/// The factor by which the expected time for an output decreases after a frame without one.
const SKIPPED: f64 = 0.98;
/// The share of the estimated time that is planned with: the rest is for frames that take longer.
const PLANNED: f64 = 0.8;
/// The factor for that share after the model was too late, the smallest share, and the increase after a
/// frame in time.
const AFTER_LATE: (f64, f64, f64) = (0.8, 0.1, 0.02);
/// How long a task may take in the background. Objects that begin to move wait for it.
const BACKGROUND: Duration = Duration::from_millis(250);

/// Averages of measured times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    model: RunTime,
    /// Seconds for making the output from the canvas and the frame.
    finish: Option<f64>,
    /// The difference to [`PLANNED`].
    caution: f64,
}

impl Pace {
    /// The model ran on `pixels` pixels in this time.
    pub(crate) fn ran(&mut self, pixels: u64, time: Duration) {
        self.model.add(pixels, time);
    }

    /// As [`ran`](Self::ran), for a trial on a frame that is not shown. Forgets earlier lateness.
    pub(crate) fn tried(&mut self, pixels: u64, time: Duration) {
        self.caution = 0.0;
        self.ran(pixels, time);
    }

    /// See [`RunTime::untried`].
    pub(crate) fn untried(&mut self) {
        self.model.untried();
    }

    /// Whether the model was ready before its frame was due, as planned.
    pub(crate) fn was_in_time(&mut self, in_time: bool) {
        let (factor, least, gain) = AFTER_LATE;
        let planned = PLANNED - self.caution;
        let planned = if in_time { planned + gain } else { planned * factor };
        self.caution = PLANNED - planned.clamp(least, PLANNED);
    }

    /// An output was made in this time. A longer time counts at once.
    pub(crate) fn finished(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let mean = self.finish.map_or(seconds, |mean| mean + LAST * (seconds - mean));
        self.finish = Some(mean.max(seconds));
    }

    /// No output was made, because nothing changed. Makes up for a single slow output in time.
    pub(crate) fn skipped(&mut self) {
        self.finish = self.finish.map(|seconds| seconds * SKIPPED);
    }

    /// How long to wait for the model at most, if the output is due after `left`.
    pub(crate) fn wait(&self, left: Duration) -> Duration {
        left.saturating_sub(Duration::from_secs_f64(self.finish.unwrap_or_default()))
    }

    /// The pixels that the model can compute before an output that is due after `left`, and in the
    /// background.
    /// `None` before the first measurement.
    pub(crate) fn budget(&self, left: Duration) -> Option<Budget> {
        let pixels = |time: Duration| self.model.pixels(time.mul_f64(PLANNED - self.caution));
        let wait = self.wait(left);
        // A frame that is late already must not be delayed by the background either.
        let background = if wait.is_zero() { Duration::ZERO } else { BACKGROUND };
        Some(Budget { in_time: pixels(wait)?, background: pixels(background)? })
    }

    /// The time of a run of the model on `pixels` pixels. `None` before the first measurement.
    pub(crate) fn time(&self, pixels: u64) -> Option<Duration> {
        self.model.time(pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn nothing_is_known_before_the_first_run() {
        let mut pace = Pace::default();
        pace.finished(ms(5));
        pace.ran(0, ms(5));
        assert_eq!((pace.budget(ms(30)), pace.time(100)), (None, None));
        assert_eq!(pace.wait(ms(30)), ms(25));
    }

    #[test]
    fn four_fifths_of_the_time_that_finishing_leaves_are_planned() {
        let mut pace = Pace::default();
        pace.ran(100_000, ms(100));
        pace.finished(ms(10));
        let budget = |left| pace.budget(ms(left)).unwrap();
        assert_eq!(budget(30), Budget { in_time: 16_000, background: 200_000 });
        for left in [10, 0] {
            assert_eq!(budget(left), Budget { in_time: 0, background: 0 });
        }
        assert_eq!(pace.time(200_000), Some(ms(200)));
    }

    #[test]
    fn less_is_planned_after_the_model_was_late_until_it_has_been_in_time_for_long() {
        let mut pace = Pace::default();
        pace.ran(100_000, ms(100));
        let planned = |pace: &Pace| pace.budget(ms(30)).unwrap().in_time;
        let full = planned(&pace);
        pace.was_in_time(false);
        assert_eq!(planned(&pace), full * 8 / 10);
        (0..20).for_each(|_| pace.was_in_time(false));
        let least = planned(&pace);
        assert!((1..full / 5).contains(&least), "{least}");
        pace.was_in_time(true);
        assert!(planned(&pace) > least && planned(&pace) < full / 5);
        let mut tried = pace;
        tried.tried(100_000, ms(100));
        assert_eq!(planned(&tried), full);
        (0..1000).for_each(|_| pace.was_in_time(true));
        assert_eq!(planned(&pace), full);
    }

    #[test]
    fn averages_follow_a_change_and_a_slow_output_counts_at_once() {
        let mut pace = Pace::default();
        pace.ran(1000, ms(10));
        pace.finished(ms(10));
        (0..20).for_each(|_| pace.ran(1000, ms(20)));
        let time = pace.time(1000).unwrap();
        assert!(time > ms(19) && time <= ms(20), "{time:?}");
        pace.finished(ms(20));
        assert_eq!(pace.wait(ms(30)), ms(10));
        (0..40).for_each(|_| pace.finished(ms(10)));
        assert!(pace.wait(ms(30)) > ms(19));
        pace.finished(ms(90));
        assert_eq!(pace.wait(ms(30)), ms(0));
        (0..100).for_each(|_| pace.skipped());
        assert!(pace.wait(ms(30)) > ms(10));
    }
}

//! When to change to the lighter model, and back.
//!
//! Down: the model has been too slow for 0.7 seconds. Up: for three seconds, what changes in the frames
//! would have taken the model at most half of the time that it has. Each return that does not last
//! doubles the time before the next one. A lighter model that is not faster is not used again.

use std::time::Duration;

use gst::ClockTime;

/// The share of resampled pixels above which the model is too slow.
const LATE: f64 = 0.3;
/// How long it must be too slow.
const DOWN_AFTER: ClockTime = ClockTime::from_mseconds(700);
/// How long after a change the picture is not judged: the new model has computed nothing yet.
const UNSETTLED: ClockTime = ClockTime::from_seconds(1);
/// The share of the available time that the heavier model may need.
const LIGHT: f64 = 0.5;
/// How long it must need no more: at first, and at most.
const UP_AFTER: (ClockTime, ClockTime) = (ClockTime::from_seconds(3), ClockTime::from_seconds(60));
/// A return that lasts this long was right.
const LASTING: ClockTime = ClockTime::from_seconds(10);

/// What a frame showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// Its running time.
    pub now: ClockTime,
    /// The share of its pixels that was resampled, 0..1.
    pub resampled: f64,
    /// The share of its pixels that changed: computed again or resampled, 0..1.
    pub changing: f64,
    /// The time of the model in use for a whole frame.
    pub whole: Duration,
    /// The time that a frame has.
    pub available: Duration,
}

/// A change of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the lighter model.
    Down,
    /// Back to the model that the application asked for.
    Up,
}

/// Decides frame by frame.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    is_down: bool,
    /// Running time of the last change.
    changed: Option<ClockTime>,
    /// Since when the condition for the next change has been met.
    since: Option<ClockTime>,
    up_after: ClockTime,
    /// The time of the heavier model for a whole frame, and that of the lighter model when it was
    /// first measured afterwards: both vary with the load of the machine.
    heavy: Duration,
    light: Option<Duration>,
    /// Whether the lighter model is not faster.
    is_useless: bool,
}

impl Default for Ladder {
    fn default() -> Self {
        let (changed, since, light) = (None, None, None);
        let (up_after, heavy) = (UP_AFTER.0, Duration::ZERO);
        Self { is_down: false, changed, since, up_after, heavy, light, is_useless: false }
    }
}

impl Ladder {
    /// Whether the lighter model is in use.
    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// Adds a frame. If it returns a change, the caller makes it.
    pub(super) fn add(&mut self, frame: Frame) -> Option<Step> {
        let Frame { now, resampled, changing, whole, available } = frame;
        if self.is_useless {
            return None;
        }
        let since_change = self.changed.map(|changed| now.saturating_sub(changed));
        if since_change.is_some_and(|time| time < UNSETTLED) {
            return None;
        }
        let (wanted, after) = if self.is_down {
            let light = *self.light.get_or_insert(whole);
            if light >= self.heavy {
                (self.is_down, self.is_useless) = (false, true);
                return Some(Step::Up);
            }
            let slower = whole.as_secs_f64() / light.as_secs_f64().max(1e-6);
            let needed = self.heavy.as_secs_f64() * slower * changing;
            (needed <= LIGHT * available.as_secs_f64(), self.up_after)
        } else {
            if since_change.is_some_and(|time| time >= LASTING) {
                self.up_after = UP_AFTER.0;
            }
            (resampled > LATE && whole > available, DOWN_AFTER)
        };
        if !wanted {
            self.since = None;
            return None;
        }
        if now.saturating_sub(*self.since.get_or_insert(now)) < after {
            return None;
        }
        (self.since, self.changed) = (None, Some(now));
        self.is_down = !self.is_down;
        if self.is_down {
            if since_change.is_some_and(|time| time < LASTING) {
                self.up_after = (self.up_after * 2).min(UP_AFTER.1);
            }
            (self.heavy, self.light) = (whole, None);
            return Some(Step::Down);
        }
        Some(Step::Up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 30;

    /// A stream on a simulated machine: the heavier model needs `heavy` milliseconds for a whole
    /// frame, and the lighter one is `speed` times as fast.
    struct Simulation {
        ladder: Ladder,
        frames: u64,
        speed: f64,
    }

    impl Simulation {
        fn new() -> Self {
            Self { ladder: Ladder::default(), frames: 0, speed: 10.0 }
        }

        /// Plays for so many seconds, and returns the changes with the seconds since its begin.
        fn play(&mut self, seconds: f64, heavy: f64, changing: f64) -> Vec<(f64, Step)> {
            let mut steps = Vec::new();
            for frame in 0..(seconds * RATE as f64) as u64 {
                let whole = if self.ladder.is_down() { heavy / self.speed } else { heavy };
                let fits = (30.0 / (whole * changing).max(1e-6)).min(1.0);
                let step = self.ladder.add(Frame {
                    now: ClockTime::from_nseconds(self.frames * 1_000_000_000 / RATE),
                    resampled: changing * (1.0 - fits),
                    changing,
                    whole: Duration::from_secs_f64(whole / 1e3),
                    available: Duration::from_millis(30),
                });
                steps.extend(step.map(|step| (frame as f64 / RATE as f64, step)));
                self.frames += 1;
            }
            steps
        }
    }

    #[test]
    fn a_load_of_ten_seconds_steps_down_within_a_second_and_up_within_five() {
        let mut simulation = Simulation::new();
        assert_eq!(simulation.play(5.0, 10.0, 1.0), []);
        let down = simulation.play(10.0, 240.0, 1.0);
        assert!(matches!(down[..], [(time, Step::Down)] if time < 1.0), "{down:?}");
        let up = simulation.play(10.0, 10.0, 1.0);
        assert!(matches!(up[..], [(time, Step::Up)] if time < 5.0), "{up:?}");
    }

    #[test]
    fn a_lighter_model_that_is_not_faster_is_given_up() {
        let mut simulation = Simulation { speed: 1.0, ..Simulation::new() };
        let steps = simulation.play(30.0, 240.0, 1.0);
        assert!(matches!(steps[..], [(_, Step::Down), (_, Step::Up)]), "{steps:?}");
    }

    #[test]
    fn a_scene_that_comes_to_rest_gets_the_heavier_model_again() {
        let mut simulation = Simulation::new();
        assert_eq!(simulation.play(3.0, 240.0, 1.0).len(), 1);
        let up = simulation.play(10.0, 240.0, 0.02);
        assert!(matches!(up[..], [(_, Step::Up)]), "{up:?}");
    }

    #[test]
    fn a_short_overload_and_a_model_that_is_fast_enough_change_nothing() {
        let mut simulation = Simulation::new();
        for _ in 0..20 {
            assert_eq!(simulation.play(3.0, 29.0, 1.0), []);
            assert_eq!(simulation.play(0.6, 240.0, 1.0), []);
        }
    }

    #[test]
    fn a_scene_that_moves_again_and_again_changes_the_model_less_and_less_often() {
        let mut simulation = Simulation::new();
        let mut ups = Vec::new();
        for _ in 0..20 {
            let steps =
                [simulation.play(3.0, 240.0, 1.0), simulation.play(7.0, 240.0, 0.01)].concat();
            ups.push(steps.iter().filter(|(_, step)| *step == Step::Up).count());
        }
        assert_eq!(ups[0], 1);
        assert_eq!(ups[10..].iter().sum::<usize>(), 0, "{ups:?}");
    }
}

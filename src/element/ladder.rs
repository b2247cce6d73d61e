//! When to change to the lighter model, and back.
//!
//! Down: too much of the picture has been resampled. A leaky bucket counts this: single frames in time do
//! not hide an overload, and single late frames are not an overload.
//!
//! Up: while the lighter model keeps up, the heavier one sometimes runs in parallel on the same frames,
//! for measurement only. When several consecutive runs were fast enough, the stream changes back. A run
//! that takes too long is cancelled, so that trials cost little. Each return that does not last doubles
//! the time before the next trial. A lighter model that is not faster is not used again.

use std::time::Duration;

use gst::ClockTime;

/// The share of resampled pixels above which the model is too slow.
const LATE: f64 = 0.3;
/// The change to the lighter model is due when the integral of the share above [`LATE`] over time
/// reaches this value, in seconds.
const ENOUGH: f64 = 0.35;
/// The share of that above which the lighter model does not keep up.
const BUSY: f64 = 0.3;
/// How much time a frame stands for at most, in seconds: a pause of the stream is no overload.
const LONGEST_FRAME: f64 = 0.2;
/// How long the picture of a model is not judged at first: it has computed nothing yet.
const UNSETTLED: ClockTime = ClockTime::from_mseconds(400);
/// How long the lighter model must have kept up before a trial, counted from the change or from the last
/// failed trial: at first, and at most.
const WAIT: (ClockTime, ClockTime) = (ClockTime::from_seconds(2), ClockTime::from_seconds(60));
/// It is at least this multiple of the time that the failed trial was allowed to take.
const WAIT_COST: u64 = 20;
/// Trials in a row that must be fast enough.
const TRIALS: u32 = 5;
/// The share of the available time that the heavier model may need.
const FITTING: f64 = 0.7;
/// The longest time for a trial, for a scene that nearly rests.
const LONGEST_TRIAL: Duration = Duration::from_secs(1);
/// The factor by which the largest share of changing pixels decreases in a second.
const FORGET: f64 = 0.3;
/// A return that lasts this long was right.
const LASTING: ClockTime = ClockTime::from_seconds(10);

/// What a frame showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    /// Its running time.
    pub now: ClockTime,
    /// The share of its pixels that was resampled, 0..1.
    pub resampled: f64,
    /// Whether the model was not ready for it, against expectation.
    pub missed: bool,
    /// The share of its pixels that changed: computed again or resampled, 0..1.
    pub changing: f64,
    /// The time of the model in use for a whole frame.
    pub whole: Duration,
    /// The time that a frame has.
    pub available: Duration,
    /// The state of the last trial.
    pub trial: Option<Trial>,
}

/// A run of the heavier model on a whole frame while the lighter one is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// It has been running for this time.
    Runs(Duration),
    /// It took this time.
    Took(Duration),
    Failed,
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Change to the lighter model.
    Down,
    /// Change back to the model that the application asked for.
    Up,
    /// Begin a trial of the heavier model on this frame.
    Try,
    /// End the trial, which takes too long.
    EndTrial,
}

/// Decides frame by frame.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    is_down: bool,
    /// Running time of the last frame and of the last change.
    last: Option<ClockTime>,
    changed: Option<ClockTime>,
    /// The running time from which the picture is judged.
    settled: Option<ClockTime>,
    /// See [`ENOUGH`].
    overload: f64,
    /// The time before a trial, and the running time when it is over.
    wait: ClockTime,
    next_trial: Option<ClockTime>,
    /// The largest recent share of changing pixels.
    changing: f64,
    /// Trials in a row that were fast enough.
    passed: u32,
    /// The time of the heavier model for a whole frame when it was too slow.
    heavy: Duration,
    /// Whether the lighter model is not faster.
    is_useless: bool,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            is_down: false,
            last: None,
            changed: None,
            settled: None,
            overload: 0.0,
            wait: WAIT.0,
            next_trial: None,
            changing: 0.0,
            passed: 0,
            heavy: Duration::ZERO,
            is_useless: false,
        }
    }
}

impl Ladder {
    /// Whether the lighter model is in use.
    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// Adds a frame. If it returns a step, the caller takes it.
    pub(super) fn add(&mut self, frame: Frame) -> Option<Step> {
        if self.is_useless {
            return None;
        }
        if self.last.is_some_and(|last| frame.now < last) {
            self.start_over();
        }
        let passed = self.last.replace(frame.now).map(|last| frame.now.saturating_sub(last));
        let seconds = passed.map_or(0.0, |time| time.seconds_f64()).min(LONGEST_FRAME);
        let since_change = self.changed.map(|changed| frame.now.saturating_sub(changed));
        if frame.now < *self.settled.get_or_insert(frame.now + UNSETTLED) {
            return None;
        }
        // In a scene that hardly moves, little of a late frame is resampled.
        let late = if frame.missed { 1.0 } else { frame.resampled };
        self.overload = (self.overload + (late - LATE) * seconds).clamp(0.0, ENOUGH);
        self.changing = frame.changing.max(self.changing * FORGET.powf(seconds));
        if self.is_down { self.add_light(frame) } else { self.add_heavy(frame, since_change) }
    }

    /// A frame of the heavier model.
    fn add_heavy(&mut self, frame: Frame, since_change: Option<ClockTime>) -> Option<Step> {
        let lasts = since_change.is_some_and(|time| time >= LASTING);
        if lasts {
            self.wait = WAIT.0;
        }
        if self.overload < ENOUGH {
            return None;
        }
        if since_change.is_some() && !lasts {
            self.wait = (self.wait * 2).min(WAIT.1);
        }
        self.heavy = frame.whole;
        self.change(frame.now);
        Some(Step::Down)
    }

    /// A frame of the lighter model.
    fn add_light(&mut self, frame: Frame) -> Option<Step> {
        let Frame { now, whole, available, trial, .. } = frame;
        if self.overload > ENOUGH * BUSY {
            if self.overload >= ENOUGH && whole >= self.heavy {
                self.is_useless = true;
                self.change(now);
                return Some(Step::Up);
            }
            self.wait_from(now, ClockTime::ZERO);
            return trial.map(|_| Step::EndTrial);
        }
        let limit = available.mul_f64(FITTING / self.changing.max(0.01)).min(LONGEST_TRIAL);
        match trial {
            Some(Trial::Runs(time)) if time <= limit => return None,
            Some(Trial::Took(time)) if time <= limit => self.passed += 1,
            Some(_) => {
                self.wait_from(now, ClockTime::from_nseconds(limit.as_nanos() as u64 * WAIT_COST));
                return Some(Step::EndTrial);
            }
            None => {}
        }
        if self.passed >= TRIALS {
            self.change(now);
            return Some(Step::Up);
        }
        (now >= *self.next_trial.get_or_insert(now + self.wait)).then_some(Step::Try)
    }

    /// Waits before the next trial, for the time `least` at least.
    fn wait_from(&mut self, now: ClockTime, least: ClockTime) {
        (self.passed, self.next_trial) = (0, Some(now + self.wait.max(least)));
    }

    fn change(&mut self, now: ClockTime) {
        self.start_over();
        self.is_down = !self.is_down;
        self.changed = Some(now);
    }

    /// Forgets the frames so far: the model is another one, or a seek has set the running time back.
    fn start_over(&mut self) {
        (self.changed, self.settled, self.next_trial) = (None, None, None);
        (self.overload, self.passed, self.changing) = (0.0, 0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream on a simulated machine.
    struct Simulation {
        ladder: Ladder,
        /// Frames per second, and frames so far.
        rate: u64,
        frames: u64,
        /// How many times as fast as the heavier model the lighter one is.
        speed: f64,
        /// The trial: its begin in seconds, and its time.
        trial: Option<(f64, Duration)>,
        /// The time that the machine has spent on trials.
        tried: Duration,
    }

    impl Simulation {
        fn new(rate: u64) -> Self {
            let (ladder, trial) = (Ladder::default(), None);
            Self { ladder, rate, frames: 0, speed: 10.0, trial, tried: Duration::ZERO }
        }

        /// Plays for so many seconds. The heavier model needs the share `heavy(seconds)` of the time
        /// between two frames for a whole one, of which the share `changing` changes. Returns the
        /// changes with the seconds since the begin of the call.
        fn play(
            &mut self,
            seconds: f64,
            heavy: impl Fn(f64) -> f64,
            changing: f64,
        ) -> Vec<(f64, Step)> {
            let mut changes = Vec::new();
            let period = 1.0 / self.rate as f64;
            let available = Duration::from_secs_f64(0.9 * period);
            for frame in 0..(seconds * self.rate as f64).round() as u64 {
                let time = frame as f64 * period;
                let heavy = Duration::from_secs_f64(heavy(time) * period);
                let whole = match self.ladder.is_down() {
                    true => heavy.div_f64(self.speed),
                    false => heavy,
                };
                let fits = available
                    .div_duration_f64(whole.mul_f64(changing).max(Duration::from_nanos(1)));
                let now = self.frames as f64 * period;
                let trial = self.trial.map(|(begun, took)| {
                    let runs = Duration::from_secs_f64(now - begun);
                    if runs < took { Trial::Runs(runs) } else { Trial::Took(took) }
                });
                if let Some(Trial::Took(time)) = trial {
                    (self.trial, self.tried) = (None, self.tried + time);
                }
                let step = self.ladder.add(Frame {
                    now: ClockTime::from_seconds_f64(now),
                    resampled: changing * (1.0 - fits.min(1.0)),
                    missed: false,
                    changing,
                    whole,
                    available,
                    trial,
                });
                match step {
                    None => {}
                    Some(Step::Try) => {
                        assert_eq!(self.trial, None);
                        self.trial = Some((now, heavy));
                    }
                    Some(Step::EndTrial) => {
                        if let Some((begun, _)) = self.trial.take() {
                            self.tried += Duration::from_secs_f64(now - begun);
                        }
                    }
                    Some(step) => {
                        self.trial = None;
                        changes.push((time, step));
                    }
                }
                self.frames += 1;
            }
            changes
        }

        /// As [`play`](Self::play) while everything changes.
        fn play_film(&mut self, seconds: f64, heavy: f64) -> Vec<(f64, Step)> {
            self.play(seconds, |_| heavy, 1.0)
        }
    }

    #[test]
    fn a_load_of_ten_seconds_steps_down_within_a_second_and_up_within_five() {
        for rate in [15, 24, 30, 60] {
            for load in [4.0, 8.0, 30.0] {
                let mut simulation = Simulation::new(rate);
                assert_eq!(simulation.play_film(5.0, 0.4), []);
                let down = simulation.play_film(10.0, load);
                assert!(matches!(down[..], [(time, Step::Down)] if time < 1.0), "{down:?}");
                let up = simulation.play_film(60.0, 0.4);
                assert!(matches!(up[..], [(time, Step::Up)] if time < 5.0), "{up:?}");
            }
        }
    }

    #[test]
    fn a_load_that_leaves_some_frames_in_time_steps_down_within_a_second() {
        for rate in [15, 30] {
            let mut simulation = Simulation::new(rate);
            assert_eq!(simulation.play_film(2.0, 0.4), []);
            let every_fourth = |time: f64| {
                if ((time * rate as f64).round() as u64).is_multiple_of(4) { 0.4 } else { 8.0 }
            };
            let down = simulation.play(10.0, every_fourth, 1.0);
            assert!(matches!(down[..], [(time, Step::Down)] if time < 1.0), "{down:?}");
        }
    }

    #[test]
    fn a_machine_that_is_always_too_slow_changes_once_and_spends_little_on_trials() {
        for (rate, heavy) in [(15, 1.3), (30, 1.3), (30, 8.0)] {
            let mut simulation = Simulation::new(rate);
            let steps = simulation.play_film(600.0, heavy);
            assert!(matches!(steps[..], [(_, Step::Down)]), "{steps:?}");
            assert!(simulation.tried < Duration::from_secs(24), "{:?}", simulation.tried);
        }
    }

    #[test]
    fn a_load_that_comes_and_goes_changes_the_model_less_and_less_often() {
        let mut simulation = Simulation::new(30);
        // Eight seconds with load, eight without it.
        let jitter = |time: f64| if time % 16.0 < 8.0 { 6.0 } else { 0.4 };
        let steps = simulation.play(600.0, jitter, 1.0);
        let ups = steps.iter().filter(|(_, step)| *step == Step::Up);
        let (early, late): (Vec<f64>, Vec<f64>) =
            ups.map(|(time, _)| *time).partition(|time| *time < 300.0);
        assert!(early.len() <= 8 && late.len() <= 5, "{steps:?}");
    }

    #[test]
    fn a_jittery_load_does_not_change_the_model_again_and_again() {
        for rate in [15, 30] {
            let mut simulation = Simulation::new(rate);
            // Half of the time in a fixed irregular order.
            let jitter = |time: f64| {
                let step = (time * 10.0) as u64;
                if (step * step * 7 + step * 3) % 11 < 5 { 3.0 } else { 0.4 }
            };
            let steps = simulation.play(600.0, jitter, 1.0);
            assert!(steps.len() <= 3, "{steps:?}");
        }
    }

    #[test]
    fn short_overloads_and_a_model_that_is_fast_enough_change_nothing() {
        let mut simulation = Simulation::new(30);
        for _ in 0..20 {
            assert_eq!(simulation.play_film(3.0, 0.85), []);
            assert_eq!(simulation.play_film(0.5, 8.0), []);
        }
    }

    #[test]
    fn a_lighter_model_that_is_not_faster_is_given_up() {
        let mut simulation = Simulation { speed: 1.0, ..Simulation::new(30) };
        let steps = simulation.play_film(30.0, 8.0);
        assert!(matches!(steps[..], [(_, Step::Down), (_, Step::Up)]), "{steps:?}");
    }

    #[test]
    fn a_scene_that_comes_to_rest_gets_the_heavier_model_again() {
        let mut simulation = Simulation::new(30);
        assert_eq!(simulation.play_film(3.0, 8.0).len(), 1);
        let up = simulation.play(20.0, |_| 8.0, 0.02);
        assert!(matches!(up[..], [(_, Step::Up)]), "{up:?}");
    }

    #[test]
    fn a_scene_that_moves_again_and_again_changes_the_model_once_a_minute_at_most() {
        let mut simulation = Simulation::new(30);
        let mut ups = Vec::new();
        for _ in 0..50 {
            let steps =
                [simulation.play_film(3.0, 8.0), simulation.play(9.0, |_| 8.0, 0.01)].concat();
            ups.push(steps.iter().filter(|(_, step)| *step == Step::Up).count());
        }
        assert_eq!(ups[0], 1);
        assert!(ups[20..].iter().sum::<usize>() <= 6, "{ups:?}");
    }

    #[test]
    fn a_lighter_model_that_is_too_slow_as_well_is_not_delayed_by_trials() {
        let mut simulation = Simulation { speed: 2.0, ..Simulation::new(30) };
        let steps = simulation.play_film(60.0, 4.0);
        assert!(matches!(steps[..], [(_, Step::Down)]), "{steps:?}");
        assert_eq!(simulation.tried, Duration::ZERO);
    }

    #[test]
    fn a_seek_back_does_not_stop_the_changes() {
        let mut simulation = Simulation::new(30);
        assert_eq!(simulation.play_film(60.0, 0.4), []);
        simulation.frames = 0;
        assert!(matches!(simulation.play_film(5.0, 8.0)[..], [(_, Step::Down)]));
        assert_eq!(simulation.play_film(60.0, 8.0), []);
        (simulation.frames, simulation.trial) = (0, None);
        assert!(matches!(simulation.play_film(10.0, 0.4)[..], [(_, Step::Up)]));
    }

    #[test]
    fn frames_that_were_missed_count_although_little_of_them_is_resampled() {
        for (every, steps_down) in [(1, true), (2, true), (4, false)] {
            let mut ladder = Ladder::default();
            let step = (0..60_u64).find_map(|number| {
                ladder.add(Frame {
                    now: ClockTime::from_mseconds(number * 1000 / 30),
                    resampled: 0.2,
                    missed: number.is_multiple_of(every),
                    changing: 1.0,
                    whole: Duration::from_millis(40),
                    available: Duration::from_millis(30),
                    trial: None,
                })
            });
            assert_eq!(step, steps_down.then_some(Step::Down), "every {every}th");
        }
    }

    #[test]
    fn a_trial_that_fails_delays_the_next_one() {
        let mut ladder = Ladder::default();
        let (mut tries, mut trial) = (0, None);
        for number in 0..600_u64 {
            let resampled = if ladder.is_down() { 0.0 } else { 1.0 };
            let step = ladder.add(Frame {
                now: ClockTime::from_mseconds(number * 1000 / 30),
                resampled,
                missed: false,
                changing: 1.0,
                whole: Duration::from_millis(if ladder.is_down() { 3 } else { 100 }),
                available: Duration::from_millis(30),
                trial,
            });
            trial = (step == Some(Step::Try)).then_some(Trial::Failed);
            tries += usize::from(trial.is_some());
        }
        assert!(ladder.is_down());
        assert!((6..=10).contains(&tries), "{tries}");
    }
}

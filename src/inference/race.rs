//! Which of several candidates is fastest, and for how long that answer is to be believed:
//! arithmetic on their times.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::selection::Candidate;

/// Below this the first is so little ahead of the second that noise may have put it there.
const CLEAR_LEAD: f64 = 1.25;
/// Another driver, another clock, other neighbours: older times say nothing.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Loads that one answer serves, in doubt and when clear. Each race that agrees doubles them.
const LOADS: [u32; 2] = [2, 8];

/// The best time of each of some candidates over all races so far.
///
/// The best time is what tells: what else goes on in a machine only ever adds to one. On a busy
/// machine the medians of five interleaved rounds named the wrong candidate in one of twenty
/// tries, the best times in none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Race {
    best: Vec<(Candidate, Duration)>,
    /// Unix time of the first race, in seconds.
    began: u64,
    /// Races since the first that had the same winner.
    agreed: u32,
    /// Loads since the last race.
    loads: u32,
}

impl Race {
    /// A first race, at Unix time `now`.
    pub fn new(now: u64, times: Vec<(Candidate, Duration)>) -> Self {
        Self { best: times, began: now, agreed: 0, loads: 0 }
    }

    /// This race on top of those before, unless they are too old. Who takes no part any more is
    /// out.
    pub fn after(mut self, before: Option<Self>) -> Self {
        let Some(before) = before.filter(|before| !before.is_old(self.began)) else { return self };
        for (candidate, time) in &mut self.best {
            let earlier = before.best.iter().find(|(other, _)| other == candidate);
            *time = earlier.map_or(*time, |(_, earlier)| *earlier.min(time));
        }
        let agreed =
            if self.winner() == before.winner() { before.agreed.saturating_add(1) } else { 0 };
        Self { best: self.best, began: before.began, agreed, loads: 0 }
    }

    /// The fastest.
    pub fn winner(&self) -> Option<Candidate> {
        self.best.iter().min_by_key(|(_, time)| *time).map(|(candidate, _)| *candidate)
    }

    /// How many times as long the second takes as the first; infinite where there is one alone.
    pub fn lead(&self) -> f64 {
        let mut times: Vec<_> = self.best.iter().map(|(_, time)| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        match times[..] {
            [first, second, ..] => second / first.max(1e-9),
            _ => f64::INFINITY,
        }
    }

    /// Counts a load at Unix time `now`; whether it should race again.
    pub fn load(&mut self, now: u64) -> bool {
        self.loads = self.loads.saturating_add(1);
        let [doubtful, clear] = LOADS;
        let serves = if self.lead() < CLEAR_LEAD { doubtful } else { clear };
        self.is_old(now) || self.loads > serves << self.agreed.min(10)
    }

    fn is_old(&self, now: u64) -> bool {
        // A clock that was set back says nothing either.
        now.checked_sub(self.began).is_none_or(|age| age > OLDEST.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Backend, Precision};

    const CPU: Candidate = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
    const FP32: Candidate = Candidate { backend: Backend::OpenVino, precision: Precision::Fp32 };
    const BF16: Candidate = Candidate { backend: Backend::OpenVino, precision: Precision::Bf16 };
    const NOW: u64 = 1_700_000_000;

    fn race(now: u64, times: [u64; 3]) -> Race {
        let times = times.map(Duration::from_millis);
        Race::new(now, [CPU, FP32, BF16].into_iter().zip(times).collect())
    }

    /// Loads until the next race.
    fn served(mut race: Race) -> u32 {
        (0..).take_while(|_| !race.load(NOW)).count() as u32
    }

    #[test]
    fn the_fastest_wins_and_its_lead_is_told() {
        let race = race(NOW, [30, 31, 20]);
        assert_eq!(race.winner(), Some(BF16));
        assert!((race.lead() - 1.5).abs() < 1e-9);
        let alone = Race::new(NOW, vec![(CPU, Duration::from_millis(3))]);
        assert_eq!((alone.winner(), alone.lead()), (Some(CPU), f64::INFINITY));
        assert_eq!(Race::new(NOW, vec![]).winner(), None);
    }

    #[test]
    fn a_thin_lead_is_measured_again_sooner() {
        assert_eq!(served(race(NOW, [30, 31, 29])), 2);
        assert_eq!(served(race(NOW, [30, 31, 15])), 8);
    }

    #[test]
    fn races_that_agree_make_the_answer_last_longer() {
        let mut kept = race(NOW, [30, 31, 15]);
        for expected in [16, 32, 64] {
            kept = race(NOW, [40, 31, 16]).after(Some(kept));
            assert_eq!(served(kept.clone()), expected);
        }
        assert_eq!(kept.best[0], (CPU, Duration::from_millis(30)));
    }

    #[test]
    fn what_a_busy_machine_got_wrong_the_next_race_puts_right() {
        // bf16 met a neighbour at each of its turns.
        let wrong = race(NOW, [30, 31, 45]);
        assert_eq!(wrong.winner(), Some(CPU));
        assert_eq!(served(wrong.clone()), 2);
        let right = race(NOW + 60, [50, 31, 17]).after(Some(wrong));
        assert_eq!(right.winner(), Some(BF16));
        assert_eq!((right.agreed, served(right)), (0, 8));
    }

    #[test]
    fn numbers_that_nobody_counted_to_do_no_harm() {
        let mut kept = race(NOW, [30, 31, 15]);
        (kept.agreed, kept.loads) = (u32::MAX, u32::MAX);
        assert!(kept.load(NOW));
        assert_eq!(race(NOW, [30, 31, 15]).after(Some(kept)).agreed, u32::MAX);
    }

    #[test]
    fn who_takes_no_part_any_more_cannot_win() {
        let two = vec![(CPU, Duration::from_millis(40)), (FP32, Duration::from_millis(31))];
        let race = Race::new(NOW, two).after(Some(race(NOW, [30, 31, 15])));
        assert_eq!((race.winner(), race.best.len()), (Some(CPU), 2));
    }

    #[test]
    fn old_times_are_dropped_and_so_are_those_of_the_future() {
        let month = OLDEST.as_secs() + 1;
        let mut old = race(NOW, [10, 31, 15]);
        assert!(!old.load(NOW) && old.load(NOW + month) && old.load(NOW - 1));
        let new = race(NOW + month, [30, 31, 15]).after(Some(old));
        assert_eq!(new, race(NOW + month, [30, 31, 15]));
    }
}

//! The times of several candidates, and when to measure them again. Pure arithmetic.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Candidate;

/// The fastest candidate is in doubt while the second takes less than this many times as long.
const CLEAR_LEAD: f64 = 1.25;
/// Older times are discarded: drivers, clock rates and the load of the machine change.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Loads until the next measurement while the lead is in doubt, and when it is clear. The number
/// doubles with each measurement that confirms the fastest candidate.
const LOADS_IN_DOUBT: u32 = 2;
const LOADS_WHEN_CLEAR: u32 = 8;
/// Doublings, at most.
const MAX_DOUBLINGS: u32 = 10;

/// The shortest time of each candidate over all measurements so far.
///
/// The shortest time is robust: other work on the machine can only lengthen a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Timings {
    shortest: Vec<(Candidate, Duration)>,
    /// Unix time of the first measurement, in seconds.
    first_measured: u64,
    /// Measurements in a row that confirmed the fastest candidate.
    confirmations: u32,
    /// Loads since the last measurement.
    loads: u32,
}

impl Timings {
    /// The first measurement, at Unix time `now`.
    pub(crate) fn new(now: u64, times: Vec<(Candidate, Duration)>) -> Self {
        Self { shortest: times, first_measured: now, confirmations: 0, loads: 0 }
    }

    /// Combines this measurement with the earlier ones, unless those are too old. Candidates that
    /// were not measured this time are dropped.
    pub(crate) fn combined_with(mut self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier.filter(|earlier| !earlier.is_old(self.first_measured)) else {
            return self;
        };
        for (candidate, time) in &mut self.shortest {
            let before = earlier.shortest.iter().find(|(other, _)| other == candidate);
            *time = before.map_or(*time, |(_, before)| *before.min(time));
        }
        let confirmed = self.fastest() == earlier.fastest();
        Self {
            shortest: self.shortest,
            first_measured: earlier.first_measured,
            confirmations: if confirmed { earlier.confirmations.saturating_add(1) } else { 0 },
            loads: 0,
        }
    }

    /// Whether a measurement can have given these times.
    pub(crate) fn are_possible(&self) -> bool {
        const MAX: Duration = Duration::from_secs(3600);
        self.shortest.iter().all(|(_, time)| !time.is_zero() && *time <= MAX)
    }

    /// The fastest candidate; `None` without times.
    pub(crate) fn fastest(&self) -> Option<Candidate> {
        self.shortest.iter().min_by_key(|(_, time)| *time).map(|(candidate, _)| *candidate)
    }

    /// The time of the second fastest candidate divided by that of the fastest; infinite with a
    /// single candidate.
    fn lead(&self) -> f64 {
        let mut times: Vec<_> = self.shortest.iter().map(|(_, time)| time.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        match times[..] {
            [first, second, ..] => second / first.max(1e-9),
            _ => f64::INFINITY,
        }
    }

    /// Counts a load at Unix time `now`. Returns whether to measure again.
    pub(crate) fn count_load(&mut self, now: u64) -> bool {
        self.loads = self.loads.saturating_add(1);
        let loads = if self.lead() < CLEAR_LEAD { LOADS_IN_DOUBT } else { LOADS_WHEN_CLEAR };
        self.is_old(now) || self.loads > loads << self.confirmations.min(MAX_DOUBLINGS)
    }

    /// Also true when the clock was set back.
    fn is_old(&self, now: u64) -> bool {
        now.checked_sub(self.first_measured).is_none_or(|age| age > MAX_AGE.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Backend, Precision};

    const CPU: Candidate = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
    const FP32: Candidate = Candidate { backend: Backend::OpenVino, precision: Precision::Fp32 };
    const BF16: Candidate = Candidate { backend: Backend::OpenVino, precision: Precision::Bf16 };
    const NOW: u64 = 1_700_000_000;

    fn timings(now: u64, milliseconds: [u64; 3]) -> Timings {
        let times = milliseconds.map(Duration::from_millis);
        Timings::new(now, [CPU, FP32, BF16].into_iter().zip(times).collect())
    }

    /// Loads until the next measurement.
    fn loads(mut timings: Timings) -> u32 {
        (0..).take_while(|_| !timings.count_load(NOW)).count() as u32
    }

    #[test]
    fn the_shortest_time_is_the_fastest_and_leads_by_a_factor() {
        let measured = timings(NOW, [30, 31, 20]);
        assert_eq!(measured.fastest(), Some(BF16));
        assert!((measured.lead() - 1.5).abs() < 1e-9);
        let single = Timings::new(NOW, vec![(CPU, Duration::from_millis(3))]);
        assert_eq!((single.fastest(), single.lead()), (Some(CPU), f64::INFINITY));
        assert_eq!(Timings::new(NOW, vec![]).fastest(), None);
    }

    #[test]
    fn a_small_lead_is_measured_again_sooner() {
        assert_eq!(loads(timings(NOW, [30, 31, 29])), 2);
        assert_eq!(loads(timings(NOW, [30, 31, 15])), 8);
    }

    #[test]
    fn each_confirmation_doubles_the_loads_until_the_next_measurement() {
        let mut kept = timings(NOW, [30, 31, 15]);
        for expected in [16, 32, 64] {
            kept = timings(NOW, [40, 31, 16]).combined_with(Some(kept));
            assert_eq!(loads(kept.clone()), expected);
        }
        assert_eq!(kept.shortest[0], (CPU, Duration::from_millis(30)));
    }

    #[test]
    fn the_next_measurement_corrects_a_wrong_result_of_a_busy_machine() {
        let wrong = timings(NOW, [30, 31, 45]);
        assert_eq!(wrong.fastest(), Some(CPU));
        assert_eq!(loads(wrong.clone()), 2);
        let right = timings(NOW + 60, [50, 31, 17]).combined_with(Some(wrong));
        assert_eq!(right.fastest(), Some(BF16));
        assert_eq!((right.confirmations, loads(right)), (0, 8));
    }

    #[test]
    fn counters_do_not_overflow() {
        let mut kept = timings(NOW, [30, 31, 15]);
        (kept.confirmations, kept.loads) = (u32::MAX, u32::MAX);
        assert!(kept.count_load(NOW));
        let combined = timings(NOW, [30, 31, 15]).combined_with(Some(kept));
        assert_eq!(combined.confirmations, u32::MAX);
    }

    #[test]
    fn a_candidate_that_is_no_longer_measured_cannot_be_the_fastest() {
        let two = vec![(CPU, Duration::from_millis(40)), (FP32, Duration::from_millis(31))];
        let combined = Timings::new(NOW, two).combined_with(Some(timings(NOW, [30, 31, 15])));
        assert_eq!((combined.fastest(), combined.shortest.len()), (Some(CPU), 2));
    }

    #[test]
    fn old_times_and_times_in_the_future_are_discarded() {
        let month = MAX_AGE.as_secs() + 1;
        let mut old = timings(NOW, [10, 31, 15]);
        assert!(!old.count_load(NOW) && old.count_load(NOW + month) && old.count_load(NOW - 1));
        let new = timings(NOW + month, [30, 31, 15]).combined_with(Some(old));
        assert_eq!(new, timings(NOW + month, [30, 31, 15]));
    }
}

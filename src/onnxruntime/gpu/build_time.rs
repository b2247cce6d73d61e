//! Progress of a build that reports none, estimated from the time of the last build.

use std::{sync::mpsc, thread, time::Duration, time::Instant};

use crate::engine::Progress;

/// Time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);
/// Percent of a load at the start and at the end of a build.
const RANGE: (u32, u32) = (10, 80);

/// Runs `work`, and reports the elapsed and the expected time once a second.
pub(super) fn reporting<T>(
    progress: &Progress<'_>,
    what: &str,
    last: Option<Duration>,
    work: impl FnOnce() -> T,
) -> T {
    reporting_each(INTERVAL, progress, what, last, work)
}

fn reporting_each<T>(
    interval: Duration,
    progress: &Progress<'_>,
    what: &str,
    last: Option<Duration>,
    work: impl FnOnce() -> T,
) -> T {
    let begun = Instant::now();
    thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        scope.spawn(move || {
            while waiting.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                let (percent, time) = estimate(begun.elapsed(), last);
                progress.report(percent, &format!("{what}: {time}"));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

fn estimate(elapsed: Duration, last: Option<Duration>) -> (u32, String) {
    let (from, to) = RANGE;
    let elapsed = elapsed.as_secs();
    let Some(last) = last.map(|last| last.as_secs().max(1)) else {
        return (from, format!("{elapsed} s; the first time takes minutes"));
    };
    let share = elapsed.min(last) * u64::from(to - from) / last;
    let percent = from + u32::try_from(share).unwrap_or(0);
    (percent, format!("{elapsed} s of about {last} s"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::Monitor;

    #[derive(Default)]
    struct Listener(Mutex<Vec<(u32, String)>>);

    impl Monitor for Listener {
        fn progress(&self, percent: u32, what: &str) {
            self.0.lock().unwrap().push((percent, what.into()));
        }

        fn cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_build_reports_its_progress() {
        let listener = Listener::default();
        let progress = Progress::new(&listener);
        let last = Some(Duration::from_secs(2));
        // The build lasts until it has been reported twice.
        let build = || {
            while listener.0.lock().unwrap().len() < 2 {
                thread::yield_now();
            }
            7
        };
        let built = reporting_each(Duration::from_millis(1), &progress, "building", last, build);
        assert_eq!(built, 7);
        for (percent, text) in listener.0.into_inner().unwrap() {
            assert!((RANGE.0..=RANGE.1).contains(&percent), "{percent}: {text}");
            assert!(text.starts_with("building: ") && text.ends_with(" s of about 2 s"), "{text}");
        }
    }

    #[test]
    fn the_percentage_follows_the_last_builds_time_and_ends_below_the_next_step() {
        let at = |elapsed, last| estimate(Duration::from_secs(elapsed), last);
        let last = Some(Duration::from_secs(100));
        assert_eq!(at(0, last), (10, "0 s of about 100 s".into()));
        assert_eq!(at(50, last).0, 45);
        assert_eq!(at(1000, last).0, 80);
        let (percent, text) = at(7, None);
        assert!(percent == 10 && text.starts_with("7 s"), "{text}");
        assert_eq!(at(3, Some(Duration::ZERO)).0, 80);
    }
}

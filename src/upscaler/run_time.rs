//! How long a run of the model takes: a fixed time, and a time for each pixel.
//!
//! The fixed time dominates small runs, above all while other processes use the CPU, because threads wait
//! for one another between layers. An average of seconds per pixel would attribute it to the pixels.

use std::time::Duration;

/// The weight of the last run in an average, once there have been several.
const LAST: f64 = 0.25;
/// The factor for the estimated time after a frame on which the model did not run because of it.
const UNTRIED: f64 = 0.98;
/// A run that takes this many times as long as expected counts as that: the thread did not run.
const OUTLIER: f64 = 3.0;
/// How much sizes must vary to tell the fixed time: the variance relative to the squared mean. Below,
/// the time is attributed to pixels.
const VARIED: f64 = 0.1;

/// A line through the recent runs, by least squares.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunTime {
    /// Runs so far.
    count: u32,
    /// Averages of the pixels and of the seconds of a run.
    pixels: f64,
    seconds: f64,
    /// Variance of the pixels, and covariance of pixels and seconds.
    variance: f64,
    covariance: f64,
}

impl RunTime {
    /// Adds a run on `pixels` pixels. The second one replaces the first, which allocates memory.
    pub(crate) fn add(&mut self, pixels: u64, time: Duration) {
        if pixels == 0 {
            return;
        }
        let (pixels, seconds) = (pixels as f64, time.as_secs_f64());
        let seconds = self.seconds_for(pixels).map_or(seconds, |it| seconds.min(OUTLIER * it));
        self.count = self.count.saturating_add(1);
        let weight = LAST.max(1.0 / f64::from(self.count.saturating_sub(1).max(1)));
        let (more_pixels, more_seconds) = (pixels - self.pixels, seconds - self.seconds);
        self.pixels += weight * more_pixels;
        self.seconds += weight * more_seconds;
        let update = |mean: &mut f64, product| *mean = (1.0 - weight) * (*mean + weight * product);
        update(&mut self.variance, more_pixels * more_pixels);
        update(&mut self.covariance, more_pixels * more_seconds);
    }

    /// The model did not run on a frame because the estimate was too high. Lowers the estimate: without a
    /// run, no measurement would correct it.
    pub(crate) fn untried(&mut self) {
        self.seconds *= UNTRIED;
        self.covariance *= UNTRIED;
    }

    /// The seconds of a run without pixels, and those of each pixel. `None` before the first run.
    fn line(&self) -> Option<(f64, f64)> {
        if self.count == 0 {
            return None;
        }
        let square = VARIED * self.pixels * self.pixels;
        let slope =
            (self.covariance + VARIED * self.pixels * self.seconds) / (self.variance + square);
        // Half of the average run at most is the fixed time.
        let most = self.seconds / self.pixels;
        let per_pixel = slope.clamp(most / 2.0, most);
        let fixed = self.seconds - per_pixel * self.pixels;
        (per_pixel > 0.0).then_some((fixed, per_pixel))
    }

    fn seconds_for(&self, pixels: f64) -> Option<f64> {
        self.line().map(|(fixed, per_pixel)| fixed + per_pixel * pixels)
    }

    /// The time of a run on `pixels` pixels. `None` before the first run.
    pub(crate) fn time(&self, pixels: u64) -> Option<Duration> {
        self.seconds_for(pixels as f64).map(Duration::from_secs_f64)
    }

    /// The pixels of the run that takes this time. `None` before the first run.
    pub(crate) fn pixels(&self, time: Duration) -> Option<u64> {
        let (fixed, per_pixel) = self.line()?;
        Some(((time.as_secs_f64() - fixed).max(0.0) / per_pixel).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn is_near(time: Option<Duration>, expected: Duration) -> bool {
        time.is_some_and(|time| time.abs_diff(expected) < expected / 5)
    }

    #[test]
    fn nothing_is_known_before_the_first_run() {
        let mut runs = RunTime::default();
        runs.add(0, ms(5));
        assert_eq!((runs.time(1000), runs.pixels(ms(5))), (None, None));
    }

    #[test]
    fn after_one_run_the_time_is_proportional_to_the_pixels() {
        let mut runs = RunTime::default();
        runs.add(1000, ms(10));
        assert_eq!((runs.time(3000), runs.pixels(ms(20))), (Some(ms(30)), Some(2000)));
    }

    #[test]
    fn the_first_run_which_allocates_memory_does_not_count_after_the_second() {
        let mut runs = RunTime::default();
        runs.add(1000, ms(100));
        runs.add(1000, ms(10));
        assert_eq!(runs.time(1000), Some(ms(10)));
    }

    #[test]
    fn an_estimate_that_prevents_all_runs_falls() {
        let mut runs = RunTime::default();
        runs.add(1000, ms(100));
        (0..30).for_each(|_| runs.untried());
        assert!(runs.time(1000) < Some(ms(60)), "{:?}", runs.time(1000));
    }

    #[test]
    fn small_runs_with_a_fixed_time_do_not_make_large_ones_look_slow() {
        let mut runs = RunTime::default();
        let time = |pixels: u64| ms(5) + ms(100).mul_f64(pixels as f64 / 200_000.0);
        for pixels in [3000, 10_000, 30_000, 3000, 60_000, 20_000].repeat(10) {
            runs.add(pixels, time(pixels));
        }
        assert!(is_near(runs.time(200_000), ms(105)), "{:?}", runs.time(200_000));
        assert!(is_near(runs.time(10_000), ms(10)), "{:?}", runs.time(10_000));
        assert!(runs.pixels(ms(2)) < Some(3000));
    }

    #[test]
    fn one_run_that_stood_still_changes_little() {
        let mut runs = RunTime::default();
        for pixels in [10_000, 30_000].repeat(20) {
            runs.add(pixels, ms(pixels / 1000));
        }
        runs.add(10_000, ms(1000));
        assert!(runs.time(30_000).unwrap() < ms(40), "{:?}", runs.time(30_000));
    }

    #[test]
    fn a_machine_that_becomes_slower_is_noticed_within_a_second_of_frames() {
        let mut runs = RunTime::default();
        let mut run = |factor: u64| {
            for pixels in [10_000, 30_000].repeat(15) {
                runs.add(pixels, ms(factor * pixels / 1000));
            }
            runs.time(20_000)
        };
        assert!(is_near(run(1), ms(20)));
        assert!(is_near(run(8), ms(160)));
        assert!(is_near(run(1), ms(20)));
    }
}

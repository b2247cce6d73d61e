//! The time that the model takes for regions.

/// The time of one run of the model: `per_call + per_pixel · pixels` seconds, where `pixels` are
/// those of the model's input, with halo and padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostModel {
    /// Seconds per run, at least 0.
    pub per_call: f64,
    /// Seconds per pixel of the input, above 0.
    pub per_pixel: f64,
    /// The time of a whole frame relative to that of regions with as many pixels, above 0. It is
    /// less than 1 for engines with a session of their own for whole frames.
    pub whole: f64,
}

impl CostModel {
    /// Fits the model to timed runs, given as pixels and seconds, by least squares of the relative
    /// error. Two sizes far apart suffice. `None` if no run has pixels and a duration.
    #[must_use]
    pub fn fit(runs: &[(u64, f64)]) -> Option<Self> {
        let (mut ones, mut x, mut xx, mut count) = (0.0, 0.0, 0.0, 0.0);
        let usable = |&&(pixels, seconds): &&(u64, f64)| pixels > 0 && seconds > 0.0;
        // Minimises the sum of ((per_call + per_pixel·pixels) / seconds − 1)².
        let (mut one, mut all) = (0.0, 0.0);
        for &(pixels, seconds) in runs.iter().filter(usable) {
            let (call, pixel) = (1.0 / seconds, pixels as f64 / seconds);
            ones += call * call;
            x += call * pixel;
            xx += pixel * pixel;
            one += call;
            all += pixel;
            count += 1.0;
        }
        if count == 0.0 {
            return None;
        }
        let determinant = ones * xx - x * x;
        // Runs of a single size do not determine `per_call`.
        if determinant > 1e-9 * ones * xx {
            let per_call = (one * xx - all * x) / determinant;
            let per_pixel = (ones * all - x * one) / determinant;
            if per_call >= 0.0 && per_pixel > 0.0 {
                return Some(Self { per_call, per_pixel, whole: 1.0 });
            }
        }
        Some(Self { per_call: 0.0, per_pixel: all / xx, whole: 1.0 })
    }

    /// Seconds for `calls` runs whose inputs have `pixels` pixels in total.
    #[must_use]
    pub fn seconds(&self, calls: u64, pixels: u64) -> f64 {
        self.per_call * calls as f64 + self.per_pixel * pixels as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_finds_the_line_that_the_runs_lie_on() {
        let truth = CostModel { per_call: 2e-3, per_pixel: 6e-6, whole: 1.0 };
        let runs = [1000, 9000, 57_600].map(|pixels| (pixels, truth.seconds(1, pixels)));
        let fit = CostModel::fit(&runs).unwrap();
        assert!((fit.per_call / truth.per_call - 1.0).abs() < 1e-6, "{fit:?}");
        assert!((fit.per_pixel / truth.per_pixel - 1.0).abs() < 1e-6, "{fit:?}");
    }

    #[test]
    fn fitted_costs_are_never_negative() {
        // The larger run took more time per pixel; then it took less time than the smaller one.
        for runs in [[(1000, 1e-3), (10_000, 20e-3)], [(1000, 5e-3), (10_000, 1e-3)]] {
            let fit = CostModel::fit(&runs).unwrap();
            assert!(fit.per_call >= 0.0 && fit.per_pixel > 0.0, "{fit:?}");
        }
        let fit = CostModel::fit(&[(500, 1e-3), (500, 1e-3)]).unwrap();
        assert!((fit.per_pixel - 2e-6).abs() < 1e-12);
        assert_eq!(CostModel::fit(&[]), None);
        assert_eq!(CostModel::fit(&[(0, 1.0), (5, 0.0)]), None);
    }
}

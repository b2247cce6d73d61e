//! What computing regions takes.

/// Seconds for one run of the model on a region: `per_call + per_pixel · pixels`, where pixels are
/// those that the model is given, halo and padding included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostModel {
    /// Seconds, at least 0.
    pub per_call: f64,
    /// Seconds, above 0.
    pub per_pixel: f64,
    /// What a whole frame takes of that, above 0: less than 1 where it gets a session of its own.
    pub whole: f64,
}

impl CostModel {
    /// The line nearest to some timed runs, as pixels and seconds, by relative error: two sizes
    /// far apart are enough. `None` where no run had pixels and took time.
    pub fn fit(runs: &[(u64, f64)]) -> Option<Self> {
        let (mut ones, mut x, mut xx, mut count) = (0.0, 0.0, 0.0, 0.0);
        let usable = |&&(pixels, seconds): &&(u64, f64)| pixels > 0 && seconds > 0.0;
        // Least squares of (per_call + per_pixel·pixels) / seconds − 1.
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
        // Runs of one size alone say nothing about the call.
        if determinant > 1e-9 * ones * xx {
            let per_call = (one * xx - all * x) / determinant;
            let per_pixel = (ones * all - x * one) / determinant;
            if per_call >= 0.0 && per_pixel > 0.0 {
                return Some(Self { per_call, per_pixel, whole: 1.0 });
            }
        }
        Some(Self { per_call: 0.0, per_pixel: all / xx, whole: 1.0 })
    }

    /// Seconds for `calls` runs on regions that are given `pixels` in all.
    pub fn seconds(&self, calls: u64, pixels: u64) -> f64 {
        self.per_call * calls as f64 + self.per_pixel * pixels as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again() {
        let truth = CostModel { per_call: 2e-3, per_pixel: 6e-6, whole: 1.0 };
        let runs = [1000, 9000, 57_600].map(|pixels| (pixels, truth.seconds(1, pixels)));
        let fit = CostModel::fit(&runs).unwrap();
        assert!((fit.per_call / truth.per_call - 1.0).abs() < 1e-6, "{fit:?}");
        assert!((fit.per_pixel / truth.per_pixel - 1.0).abs() < 1e-6, "{fit:?}");
    }

    #[test]
    fn no_cost_comes_out_negative() {
        // Larger runs took more time per pixel, then less than smaller ones.
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

//! Removes what is weak in overlapping blocks: the traces of quantization (blocking, ringing) and noise.
//!
//! Every 8×8 window of a plane is transformed by the DCT, coefficients below a threshold become zero, and
//! the windows that cover a sample are averaged. Windows that need few coefficients count more, since they
//! contain no edge. Overcomplete denoising: Guleryuz, "Weighted Overcomplete Denoising", 2003; for
//! deblocking: Nosratinia, "Enhancement of JPEG-Compressed Images by Re-application of JPEG", 2001.

#![allow(
    clippy::indexing_slicing,
    reason = "arrays are indexed by numbers below their constant lengths"
)]

use std::{array, ops::Range, thread};

/// Side of a window.
pub const SIDE: usize = 8;
/// Rows from one row of windows to the next. In a row, windows begin at every sample.
const STEP: usize = 2;
/// Windows that are transformed together.
const RUN: usize = 32;

/// A plane of samples, row by row without padding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    pub width: usize,
    pub values: Vec<f32>,
}

impl Samples {
    pub fn height(&self) -> usize {
        self.values.len() / self.width.max(1)
    }
}

/// The position that `at` stands for in `0..size`: positions outside are reflected at the border.
fn reflected(at: isize, size: usize) -> usize {
    let size = size.cast_signed();
    let period = 2 * size;
    let at = at.rem_euclid(period.max(1));
    (if at < size { at } else { period - 1 - at }).max(0).cast_unsigned()
}

/// Writes the rows `rows` of the plane, cleaned with this threshold, to `out`. Each row depends only on
/// the samples around it, not on `rows`.
pub fn shrink(plane: &Samples, threshold: f32, rows: Range<usize>, out: &mut [f32]) {
    let (width, height) = (plane.width, plane.height());
    if width == 0 || height == 0 {
        return;
    }
    // Windows begin up to 7 samples before the plane and end up to 7 after it; the last run is longer.
    let windows = (width + SIDE - 1).next_multiple_of(RUN);
    let padded = windows + SIDE - 1;
    let columns: Vec<usize> = (0..padded).map(|x| reflected(x.cast_signed() - 7, width)).collect();
    let mut weighted = vec![0.0_f32; rows.len() * width];
    let mut weights = vec![0.0_f32; rows.len() * width];
    let mut strip = Strip::new(windows);
    // Windows begin at even rows, from the first one that covers a row of `rows`.
    let first = (rows.start.cast_signed() - (SIDE - STEP).cast_signed()).div_euclid(2) * 2;
    let tops = (first..rows.end.cast_signed()).step_by(STEP);
    for top in tops {
        let covered = top..top + SIDE.cast_signed();
        for (j, row) in strip.rows.iter_mut().enumerate() {
            let from = reflected(top + j.cast_signed(), height) * width;
            let from = plane.values.get(from..from + width).unwrap_or_default();
            row.clear();
            row.extend(columns.iter().map(|&x| from.get(x).copied().unwrap_or_default()));
        }
        strip.clean(threshold);
        for (j, y) in covered.enumerate() {
            let Some(y) = usize::try_from(y).ok().filter(|y| rows.contains(y)) else { continue };
            let at = (y - rows.start) * width;
            let sum = weighted.get_mut(at..at + width).unwrap_or_default();
            let from = strip.output.get(j).and_then(|row| row.get(SIDE - 1..)).unwrap_or_default();
            sum.iter_mut().zip(from).for_each(|(sum, &value)| *sum += value);
            let weight = weights.get_mut(at..at + width).unwrap_or_default();
            let from = strip.weight.get(SIDE - 1..).unwrap_or_default();
            weight.iter_mut().zip(from).for_each(|(sum, &value)| *sum += value);
        }
    }
    for ((out, sum), weight) in out.iter_mut().zip(&weighted).zip(&weights) {
        *out = sum / weight;
    }
}

/// The whole plane, cleaned with this threshold, row by row. The number of threads does not change it.
pub fn shrink_all(plane: &Samples, threshold: f32) -> Vec<f32> {
    let mut out = vec![0.0; plane.values.len()];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let rows = plane.height().div_ceil(threads).max(SIDE);
    thread::scope(|scope| {
        for (band, out) in out.chunks_mut((rows * plane.width).max(1)).enumerate() {
            let start = band * rows;
            scope.spawn(move || {
                shrink(plane, threshold, start..(start + rows).min(plane.height()), out)
            });
        }
    });
    out
}

/// A row of windows.
struct Strip {
    windows: usize,
    /// The rows of the windows, with the samples beyond the borders; then the vertical frequencies of
    /// their columns.
    rows: [Vec<f32>; SIDE],
    /// Weighted sums of the cleaned windows, vertical frequencies and then rows.
    output: [Vec<f32>; SIDE],
    /// Sums of the weights of the windows that cover a column.
    weight: Vec<f32>,
}

impl Strip {
    fn new(windows: usize) -> Self {
        let row = || array::from_fn(|_| vec![0.0; windows + SIDE - 1]);
        Self { windows, rows: row(), output: row(), weight: vec![0.0; windows + SIDE - 1] }
    }

    fn clean(&mut self, threshold: f32) {
        transform(&mut self.rows, dct);
        self.output.iter_mut().for_each(|row| row.fill(0.0));
        self.weight.fill(0.0);
        for start in (0..self.windows).step_by(RUN) {
            self.clean_run(start, threshold);
        }
        transform(&mut self.output, inverse_dct);
    }

    /// Cleans the windows that begin at the columns `start..start + RUN`.
    fn clean_run(&mut self, start: usize, threshold: f32) {
        let mut coefficients = [[[0.0_f32; RUN]; SIDE]; SIDE];
        for (rows, row) in coefficients.iter_mut().zip(&self.rows) {
            let row = row.get(start..).and_then(|it| it.first_chunk::<{ RUN + SIDE - 1 }>());
            if let Some(row) = row {
                forward(row, rows);
            }
        }
        // The mean of a window stays.
        let mut kept = [1.0_f32; RUN];
        for row in coefficients.iter_mut().flatten().skip(1) {
            for (value, kept) in row.iter_mut().zip(&mut kept) {
                let is_kept = if value.abs() >= threshold { 1.0 } else { 0.0 };
                *kept += is_kept;
                *value *= is_kept;
            }
        }
        let weight = kept.map(|kept| 1.0 / kept);
        let end = start + RUN + SIDE - 1;
        for (rows, output) in coefficients.iter().zip(&mut self.output) {
            let output = output.get_mut(start..end).unwrap_or_default();
            add_inverse(rows, &weight, output);
        }
        let sums = self.weight.get_mut(start..end).unwrap_or_default();
        for i in 0..SIDE {
            sums.iter_mut().skip(i).zip(&weight).for_each(|(sum, &weight)| *sum += weight);
        }
    }
}

/// Transforms the columns of eight rows.
fn transform(rows: &mut [Vec<f32>; SIDE], of: impl Fn([f32; SIDE]) -> [f32; SIDE]) {
    let [a, b, c, d, e, f, g, h] = rows;
    let first = a.iter_mut().zip(b).zip(c).zip(d);
    for ((((a, b), c), d), (((e, f), g), h)) in first.zip(e.iter_mut().zip(f).zip(g).zip(h)) {
        [*a, *b, *c, *d, *e, *f, *g, *h] = of([*a, *b, *c, *d, *e, *f, *g, *h]);
    }
}

/// The coefficients of a block, by vertical and horizontal frequency.
pub fn dct_of_block(block: &[[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let columns: [[f32; SIDE]; SIDE] = block.map(dct);
    let by_column: [[f32; SIDE]; SIDE] = array::from_fn(|l| dct(array::from_fn(|j| columns[j][l])));
    array::from_fn(|k| array::from_fn(|l| by_column[l][k]))
}

/// The block with these coefficients.
#[cfg(test)]
pub fn block_of_dct(coefficients: &[[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let rows: [[f32; SIDE]; SIDE] = coefficients.map(inverse_dct);
    let columns: [[f32; SIDE]; SIDE] =
        array::from_fn(|i| inverse_dct(array::from_fn(|k| rows[k][i])));
    array::from_fn(|j| array::from_fn(|i| columns[i][j]))
}

/// The DCT of the `RUN` windows of these samples.
fn forward(samples: &[f32; RUN + SIDE - 1], out: &mut [[f32; RUN]; SIDE]) {
    for x in 0..RUN {
        let frequencies = dct(array::from_fn(|i| samples[x + i]));
        for (out, value) in out.iter_mut().zip(frequencies) {
            out[x] = value;
        }
    }
}

/// Adds the samples of the `RUN` windows with these coefficients, times their weights.
fn add_inverse(rows: &[[f32; RUN]; SIDE], weight: &[f32; RUN], out: &mut [f32]) {
    let mut samples = [[0.0_f32; RUN]; SIDE];
    for x in 0..RUN {
        let inverse = inverse_dct(array::from_fn(|k| rows[k][x] * weight[x]));
        for (out, value) in samples.iter_mut().zip(inverse) {
            out[x] = value;
        }
    }
    for (i, samples) in samples.iter().enumerate() {
        out.iter_mut().skip(i).zip(samples).for_each(|(sum, sample)| *sum += sample);
    }
}

/// Rows of the orthonormal DCT-II of 8 samples: cos(kπ/16) / 2, and √(1/8) for k = 4.
const C: [f32; 8] = [
    0.0,
    0.490_392_64,
    0.461_939_77,
    0.415_734_8,
    0.353_553_38,
    0.277_785_12,
    0.191_341_72,
    0.097_545_16,
];

/// The orthonormal DCT-II of 8 samples, from their sums and differences.
#[inline(always)]
fn dct(x: [f32; SIDE]) -> [f32; SIDE] {
    let [s0, s1, s2, s3] = [x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]];
    let [d0, d1, d2, d3] = [x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]];
    let [a, b, c, d] = [s0 + s3, s1 + s2, s0 - s3, s1 - s2];
    [
        C[4] * (a + b),
        C[1] * d0 + C[3] * d1 + C[5] * d2 + C[7] * d3,
        C[2] * c + C[6] * d,
        C[3] * d0 - C[7] * d1 - C[1] * d2 - C[5] * d3,
        C[4] * (a - b),
        C[5] * d0 - C[1] * d1 + C[7] * d2 + C[3] * d3,
        C[6] * c - C[2] * d,
        C[7] * d0 - C[5] * d1 + C[3] * d2 - C[1] * d3,
    ]
}

/// The inverse of [`dct`].
#[inline(always)]
fn inverse_dct(y: [f32; SIDE]) -> [f32; SIDE] {
    let [a, b] = [C[4] * (y[0] + y[4]), C[4] * (y[0] - y[4])];
    let [c, d] = [C[2] * y[2] + C[6] * y[6], C[6] * y[2] - C[2] * y[6]];
    let [s0, s1, s2, s3] = [a + c, b + d, b - d, a - c];
    let d0 = C[1] * y[1] + C[3] * y[3] + C[5] * y[5] + C[7] * y[7];
    let d1 = C[3] * y[1] - C[7] * y[3] - C[1] * y[5] - C[5] * y[7];
    let d2 = C[5] * y[1] - C[1] * y[3] + C[7] * y[5] + C[3] * y[7];
    let d3 = C[7] * y[1] - C[5] * y[3] + C[3] * y[5] - C[1] * y[7];
    [s0 + d0, s1 + d1, s2 + d2, s3 + d3, s3 - d3, s2 - d2, s1 - d1, s0 - d0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plane of this size with these values by column and row.
    fn plane(width: usize, height: usize, value: impl Fn(usize, usize) -> f32) -> Samples {
        let values = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Samples { width, values: values.map(|(x, y)| value(x, y)).collect() }
    }

    /// Pseudorandom numbers of mean 0 and standard deviation 1, by column and row.
    fn noise(x: usize, y: usize) -> f32 {
        let mut random = fastrand::Rng::with_seed((x * 7919 + y) as u64);
        (0..12).map(|_| random.f32()).sum::<f32>() - 6.0
    }

    /// The root of the mean square of the difference.
    fn error(a: &[f32], b: &[f32]) -> f32 {
        let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
        (sum / a.len() as f32).sqrt()
    }

    #[test]
    fn the_transform_is_orthonormal_and_is_inverted() {
        let samples = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0];
        let frequencies = dct(samples);
        let energy = |values: [f32; SIDE]| values.map(|it| it * it).iter().sum::<f32>();
        assert!((energy(frequencies) - energy(samples)).abs() < 1e-3);
        let back = inverse_dct(frequencies);
        assert!(back.iter().zip(samples).all(|(a, b)| (a - b).abs() < 1e-5), "{back:?}");
        // Frequency 3 alone is a cosine of three half periods.
        let wave =
            array::from_fn(|j| (std::f32::consts::PI * (2 * j + 1) as f32 * 3.0 / 16.0).cos());
        let frequencies = dct(wave);
        for (k, value) in frequencies.iter().enumerate() {
            assert!((value - if k == 3 { 2.0 } else { 0.0 }).abs() < 1e-5, "{k}: {value}");
        }
    }

    #[test]
    fn bands_of_rows_equal_the_whole_plane_to_the_bit() {
        let plane = plane(70, 41, |x, y| 100.0 + 20.0 * noise(x, y));
        let whole = shrink_all(&plane, 12.0);
        for rows in [0..1, 0..8, 5..6, 6..23, 20..41, 40..41] {
            let mut band = vec![0.0; rows.len() * 70];
            shrink(&plane, 12.0, rows.clone(), &mut band);
            assert!(band == whole[rows.start * 70..rows.end * 70], "{rows:?}");
        }
    }

    #[test]
    fn samples_depend_on_no_sample_more_than_seven_away() {
        let before = plane(64, 48, |x, y| 100.0 + 9.0 * noise(x, y));
        let mut after = before.clone();
        after.values[20 * 64 + 30] += 50.0;
        let [before, after] = [before, after].map(|plane| shrink_all(&plane, 12.0));
        for (at, (a, b)) in before.iter().zip(&after).enumerate() {
            let (x, y) = (at % 64, at / 64);
            assert!(a == b || x.abs_diff(30) < SIDE && y.abs_diff(20) < SIDE, "{x} {y}");
        }
    }

    #[test]
    fn noise_is_removed_and_an_edge_stays() {
        let edge = plane(96, 64, |x, y| if x + y / 2 < 60 { 40.0 } else { 180.0 });
        let noisy = plane(96, 64, |x, y| edge.values[y * 96 + x] + 4.0 * noise(x, y));
        let cleaned = shrink_all(&noisy, 11.0);
        let error = [error(&noisy.values, &edge.values), error(&cleaned, &edge.values)];
        assert!(error[1] < 0.45 * error[0], "{error:?}");
    }

    #[test]
    fn a_threshold_of_zero_and_pictures_of_any_size_leave_the_samples() {
        for (width, height) in [(1, 1), (3, 5), (8, 8), (33, 2), (2, 40)] {
            let plane = plane(width, height, |x, y| 100.0 + 30.0 * noise(x, y));
            let error = error(&shrink_all(&plane, 0.0), &plane.values);
            assert!(error < 1e-3, "{width}x{height}: {error}");
            let flat = Samples { values: vec![77.0; width * height], width };
            assert!(shrink_all(&flat, 9.0).iter().all(|it| (it - 77.0).abs() < 1e-3));
        }
        assert!(shrink_all(&Samples::default(), 3.0).is_empty());
    }
}

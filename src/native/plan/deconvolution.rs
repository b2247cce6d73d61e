//! A transposed convolution of stride `s` as a convolution to `s²` times the channels and a
//! pixel shuffle.

#![allow(clippy::indexing_slicing, reason = "an axis is 0 or 1")]

use super::{super::kernels::Taps, Size};

/// A transposed convolution as ONNX has it.
pub(crate) struct Transposed<'a> {
    pub inputs: usize,
    pub outputs: usize,
    /// Rows, columns.
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Rows and columns that are cut off ahead of and behind the result.
    pub before: [usize; 2],
    pub behind: [i64; 2],
    /// Inputs × outputs × kernel.
    pub weights: &'a [f32],
}

/// The convolution that does the same.
pub(crate) struct Equivalent {
    pub taps: Taps,
    pub before: [i64; 2],
    /// (Outputs · stride²) × inputs × taps.
    pub weights: Vec<f32>,
    pub size: Size,
}

/// Along one axis: how the taps of the convolution are counted.
struct Axis {
    stride: i64,
    kernel: i64,
    before: i64,
    /// The first input, from the output's cell, that has a part in it.
    low: i64,
    count: usize,
}

impl Axis {
    fn new(stride: usize, kernel: usize, before: usize) -> Self {
        let [stride, kernel, before] = [stride, kernel, before].map(|value| value as i64);
        // Output a·s + b gets input i through tap k where a·s + b + before = i·s + k.
        let places = || (0..stride).map(|place| place + before);
        let high = places().map(|at| at.div_euclid(stride)).max().unwrap_or(0);
        let low =
            places().map(|at| -(kernel - 1 - at).div_euclid(stride)).min().unwrap_or(0).min(high);
        Self { stride, kernel, before, low, count: (high - low + 1) as usize }
    }

    /// The tap of the transposed kernel that the convolution's `tap` has for a place in the
    /// cell.
    fn tap(&self, tap: usize, place: usize) -> Option<usize> {
        let input = self.low + tap as i64;
        let at = place as i64 + self.before - input * self.stride;
        usize::try_from(at).ok().filter(|_| at < self.kernel)
    }
}

impl Transposed<'_> {
    /// The convolution that does the same; `None` where the result is no whole number of cells.
    pub(crate) fn equivalent(&self, input: Size) -> Option<Equivalent> {
        let s = self.stride;
        let axes = [0, 1].map(|axis| Axis::new(s, self.kernel[axis], self.before[axis]));
        // (side − 1)·s + kernel − before − behind, in cells.
        let mut grown = [0; 2];
        for (axis, grown) in grown.iter_mut().enumerate() {
            let more = self.kernel[axis] as i64 - self.before[axis] as i64 - self.behind[axis];
            if more % s as i64 != 0 {
                return None;
            }
            *grown = more / s as i64 - 1;
        }
        let taps = Taps { height: axes[0].count, width: axes[1].count };
        let area = self.kernel[0] * self.kernel[1];
        let mut weights =
            Vec::with_capacity(self.outputs * s * s * self.inputs * taps.height * taps.width);
        for output in 0..self.outputs {
            for place in 0..s * s {
                for input in 0..self.inputs {
                    let kernel = self.weights.get((input * self.outputs + output) * area..)?;
                    for tap in 0..taps.height * taps.width {
                        let row = axes[0].tap(tap / taps.width, place / s);
                        let column = axes[1].tap(tap % taps.width, place % s);
                        let value = row.zip(column).and_then(|(row, column)| {
                            kernel.get(row * self.kernel[1] + column).copied()
                        });
                        weights.push(value.unwrap_or(0.0));
                    }
                }
            }
        }
        let before = [-axes[0].low, -axes[1].low];
        Some(Equivalent { taps, before, weights, size: input.plus(grown) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_convolution_equals_its_convolution() {
        for (kernel, stride, before, behind) in
            [(9, 2, 4, 3), (9, 3, 4, 2), (4, 2, 1, 1), (4, 2, 3, 3), (2, 2, 0, 0), (6, 4, 1, 1)]
        {
            let weights: Vec<f32> = (0..kernel).map(|k| (k + 1) as f32).collect();
            let input = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0];
            let whole = (input.len() - 1) * stride + kernel;
            let mut full = vec![0.0; whole];
            for (i, x) in input.iter().enumerate() {
                for (k, w) in weights.iter().enumerate() {
                    full[i * stride + k] += x * w;
                }
            }
            let expected = &full[before..whole - behind];
            let job = Transposed {
                inputs: 1,
                outputs: 1,
                kernel: [kernel, kernel],
                stride,
                before: [before; 2],
                behind: [behind as i64; 2],
                // A column of the kernel, wherever it meets the row.
                weights: &weights.iter().flat_map(|w| vec![*w; kernel]).collect::<Vec<_>>(),
            };
            let found = job.equivalent(Size::INPUT).unwrap();
            let [rows, _] = found.size.at([input.len(), input.len()]).unwrap();
            assert_eq!(rows * stride, expected.len(), "{kernel} {stride} {before} {behind}");
            let area = found.taps.height * found.taps.width;
            // The column of the convolution's kernel that has a weight at every place.
            for (at, expected) in expected.iter().enumerate() {
                let (cell, place) = (at / stride, at % stride * stride);
                let own = &found.weights[place * area..][..area];
                let sum: f32 = (0..found.taps.height)
                    .filter_map(|tap| {
                        let at = cell as i64 + tap as i64 - found.before[0];
                        let x = input.get(usize::try_from(at).ok()?)?;
                        let row = &own[tap * found.taps.width..][..found.taps.width];
                        row.iter().find(|w| **w != 0.0).map(|w| w * x)
                    })
                    .sum();
                assert_eq!(sum, *expected, "{kernel} {stride} {before} {behind} at {at}");
            }
        }
    }
}

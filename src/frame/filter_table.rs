//! Filter weights along one axis, at absolute positions.

use std::{collections::HashMap, f64::consts::PI, ops::Range};

use num_integer::gcd;

use super::Axis;

/// A resampling filter. Where the output has fewer samples than the input, the filter is widened
/// to prevent aliasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Lanczos with three lobes, for pictures.
    Lanczos3,
    /// The Catmull-Rom cubic, between the chroma and the luma grid.
    CatmullRom,
}

impl Filter {
    /// The distance at which the filter becomes 0, in samples.
    const fn radius(self) -> i64 {
        match self {
            Filter::Lanczos3 => 3,
            Filter::CatmullRom => 2,
        }
    }

    /// The filter's value at distance `x`.
    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Filter::Lanczos3 if x == 0.0 => 1.0,
            // In floating point, sin(πx) is not exactly 0 at integers.
            Filter::Lanczos3 if x >= 3.0 || x.fract() == 0.0 => 0.0,
            Filter::Lanczos3 => {
                let x = PI * x;
                3.0 * x.sin() * (x / 3.0).sin() / (x * x)
            }
            Filter::CatmullRom if x < 1.0 => 1.0 + x * x * (1.5 * x - 2.5),
            Filter::CatmullRom if x < 2.0 => 2.0 + x * (x * (2.5 - 0.5 * x) - 4.0),
            Filter::CatmullRom => 0.0,
        }
    }
}

/// For each output sample, a window of input samples and their weights.
///
/// Positions are those of pixel centres, as in ITU-T H.273 and Pillow: output pixel `i` lies at
/// input `(i + ½)·in/out − ½`. They are computed as fractions, so that outputs of the same phase
/// have exactly the same weights. The border sample is repeated beyond the border: its weights
/// are added up, so that windows always lie inside the input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FilterTable {
    input: u32,
    taps: usize,
    /// For each output, its first input sample and the index of its set of weights.
    windows: Vec<(u32, u32)>,
    /// Sets of `taps` weights whose sum is 1.
    weights: Vec<f32>,
    /// The number of outputs, and of inputs, after which the weights repeat.
    period: [usize; 2],
    /// The outputs whose windows do not reach beyond the input.
    interior: Range<usize>,
}

impl FilterTable {
    /// Weights that resample from `from` to `to`, two axes of the same picture.
    pub(crate) fn new(from: Axis, to: Axis, filter: Filter) -> Self {
        if from.is_empty() || to.is_empty() {
            return Self::identity(0, 0);
        }
        let (input, output) = (i64::from(from.len()), i64::from(to.len()));
        // Output i lies at input (a·i + b) / d.
        let (pixels_in, pixels_out) = (i64::from(from.pixels), i64::from(to.pixels));
        let a = (2 * pixels_in) << to.shift;
        let b = (to.offset() + 1) * pixels_in - (from.offset() + 1) * pixels_out;
        let d = (2 * pixels_out) << from.shift;
        if a == d && b == 0 {
            return Self::identity(from.len().min(to.len()), from.len());
        }
        let reach = filter.radius() * a.max(d);
        let taps = (2 * reach + d - 1) / d;
        let kept = taps.min(input);
        let common = gcd(a, d);
        let mut table = Self {
            input: from.len(),
            taps: kept as usize,
            windows: vec![],
            weights: vec![],
            period: [d / common, a / common].map(|length| length as usize),
            interior: 0..0,
        };
        let mut of_phase = HashMap::new();
        for i in 0..output {
            let position = a * i + b;
            let first = (position - reach).div_euclid(d) + 1;
            let start = first.clamp(0, input - kept);
            let inside = start == first && kept == taps;
            if inside {
                let begin =
                    if table.interior.is_empty() { i as usize } else { table.interior.start };
                table.interior = begin..i as usize + 1;
            }
            let phase = position.rem_euclid(d);
            let next = table.weights.len() / table.taps;
            let index = if inside { *of_phase.entry(phase).or_insert(next) } else { next };
            if index == next {
                let mut weights = vec![0.0; table.taps];
                for tap in first..first + taps {
                    let distance = (tap * d - position) as f64 / a.max(d) as f64;
                    let place = (tap.clamp(0, input - 1) - start) as usize;
                    if let Some(weight) = weights.get_mut(place) {
                        *weight += filter.at(distance);
                    }
                }
                let sum: f64 = weights.iter().sum();
                table.weights.extend(weights.iter().map(|weight| (weight / sum) as f32));
            }
            table.windows.push((start as u32, index as u32));
        }
        table
    }

    fn identity(output: u32, input: u32) -> Self {
        let windows = (0..output).map(|i| (i, 0)).collect();
        let interior = 0..output as usize;
        Self { input, taps: 1, windows, weights: vec![1.0], period: [1, 1], interior }
    }

    /// Whether the output equals the input.
    pub(crate) fn is_identity(&self) -> bool {
        self.taps == 1 && self.windows.len() == self.input as usize && self.weights == [1.0]
    }

    /// Number of output samples.
    pub(crate) fn output_len(&self) -> u32 {
        self.windows.len() as u32
    }

    /// Number of input samples per output sample.
    pub(crate) fn taps(&self) -> usize {
        self.taps
    }

    /// The number of outputs, and of inputs, after which the weights repeat.
    pub(crate) fn period(&self) -> [usize; 2] {
        self.period
    }

    /// The outputs whose windows do not reach beyond the input. Their windows and weights repeat
    /// with the period.
    pub(crate) fn interior(&self) -> Range<usize> {
        self.interior.clone()
    }

    /// The first input sample of output `i` and the weights from there on; no weights beyond the
    /// last output.
    pub(crate) fn window(&self, i: usize) -> (usize, &[f32]) {
        let Some(&(start, index)) = self.windows.get(i) else { return (0, &[]) };
        let at = index as usize * self.taps;
        (start as usize, self.weights.get(at..at + self.taps).unwrap_or_default())
    }

    /// For each output, its first input sample and the index of its set of weights.
    pub(crate) fn windows(&self) -> &[(u32, u32)] {
        &self.windows
    }

    /// The sets of weights, each [`taps`](Self::taps) long.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The first input sample that outputs `from..to` read, and the one after the last.
    pub(crate) fn needed(&self, from: u32, to: u32) -> (u32, u32) {
        if from >= to {
            return (0, 0);
        }
        let (first, _) = self.window(from as usize);
        let last = self.windows.get(to as usize - 1).map_or(first, |window| window.0 as usize);
        (first as u32, (last + self.taps) as u32)
    }

    /// The first output sample that reads any of the inputs `from..to`, and the one after the last.
    pub(crate) fn dependents(&self, from: u32, to: u32) -> (u32, u32) {
        if from >= to {
            return (0, 0);
        }
        let taps = self.taps as u32;
        let first = self.windows.partition_point(|window| window.0 + taps <= from);
        let end = self.windows.partition_point(|window| window.0 < to);
        (first as u32, end.max(first) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(pixels: u32) -> Axis {
        Axis { pixels, shift: 0, cosited: false }
    }

    /// The position of output `i` as the centre of gravity of its weights, which is exact because
    /// both filters reproduce straight lines.
    fn position(table: &FilterTable, i: usize) -> f64 {
        let (start, weights) = table.window(i);
        weights.iter().enumerate().map(|(t, w)| (start + t) as f64 * f64::from(*w)).sum()
    }

    #[test]
    fn enlarging_by_two_uses_the_textbook_weights() {
        let table = FilterTable::new(axis(20), axis(40), Filter::CatmullRom);
        // Output 20 lies at input 9.75.
        let (start, weights) = table.window(20);
        assert_eq!(start, 8);
        assert_eq!(weights, [-0.0234375, 0.2265625, 0.8671875, -0.0703125]);
        let table = FilterTable::new(axis(20), axis(40), Filter::Lanczos3);
        let (start, weights) = table.window(20);
        let lanczos = |x: f64| {
            let sinc = |x: f64| (PI * x).sin() / (PI * x);
            sinc(x) * sinc(x / 3.0)
        };
        let raw: Vec<f64> = (0..6).map(|t| lanczos(9.75 - (start + t) as f64)).collect();
        assert_eq!(start, 7);
        for (weight, raw_weight) in weights.iter().zip(&raw) {
            assert!((f64::from(*weight) - raw_weight / raw.iter().sum::<f64>()).abs() < 1e-7);
        }
    }

    #[test]
    fn chroma_lies_where_its_siting_says() {
        for (cosited, offset) in [(true, 0.0), (false, 0.5)] {
            let chroma = |pixels| Axis { pixels, shift: 1, cosited };
            let up = FilterTable::new(chroma(64), axis(64), Filter::CatmullRom);
            let down = FilterTable::new(axis(64), chroma(64), Filter::CatmullRom);
            let enlarged = FilterTable::new(chroma(64), chroma(128), Filter::CatmullRom);
            for i in 20..40 {
                assert!((position(&up, i) - (i as f64 - offset) / 2.0).abs() < 1e-6);
            }
            for i in 10..20 {
                assert!((position(&down, i) - (i as f64 * 2.0 + offset)).abs() < 1e-6);
            }
            for i in 20..40 {
                let luma = (i as f64 * 2.0 + offset + 0.5) / 2.0 - 0.5;
                assert!((position(&enlarged, i) - (luma - offset) / 2.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn equal_lengths_give_the_identity_and_windows_stay_inside_the_input() {
        assert!(FilterTable::new(axis(7), axis(7), Filter::Lanczos3).is_identity());
        for (input, output) in [(1, 1), (1, 7), (7, 1), (3, 5), (100, 7), (7, 100)] {
            let table = FilterTable::new(axis(input), axis(output), Filter::Lanczos3);
            for i in 0..output as usize {
                let (start, weights) = table.window(i);
                assert!(start + weights.len() <= input as usize);
                let sum: f64 = weights.iter().copied().map(f64::from).sum();
                assert!((sum - 1.0).abs() < 1e-5);
            }
        }
    }
}

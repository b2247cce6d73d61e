//! Filter coefficients along one direction, at absolute positions.

use std::{collections::HashMap, f64::consts::PI, ops::Range};

use super::Axis;

/// What samples are interpolated with. Widened when samples get fewer, so that nothing aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Lanczos with three lobes: for enlarging pictures.
    Lanczos3,
    /// Catmull-Rom's cubic: for chroma up to luma's grid and back.
    CatmullRom,
}

impl Kernel {
    /// Reach to each side.
    const fn radius(self) -> i64 {
        match self {
            Kernel::Lanczos3 => 3,
            Kernel::CatmullRom => 2,
        }
    }

    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Kernel::Lanczos3 if x == 0.0 => 1.0,
            // Exactly zero at whole numbers, which sin(πx) is not in floating point.
            Kernel::Lanczos3 if x >= 3.0 || x.fract() == 0.0 => 0.0,
            Kernel::Lanczos3 => {
                let x = PI * x;
                3.0 * x.sin() * (x / 3.0).sin() / (x * x)
            }
            Kernel::CatmullRom if x < 1.0 => 1.0 + x * x * (1.5 * x - 2.5),
            Kernel::CatmullRom if x < 2.0 => 2.0 + x * (x * (2.5 - 0.5 * x) - 4.0),
            Kernel::CatmullRom => 0.0,
        }
    }
}

/// One window of input samples, with their weights, per output sample.
///
/// Positions are pixel centres, as in ITU-T H.273 and Pillow: output pixel `i` lies at
/// `(i + ½)·in/out − ½`. They are kept as fractions, so that outputs of the same phase have the
/// same weights to the bit. Beyond the border the border's samples go on: their weights are
/// folded into the window, which therefore always lies inside of the input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    input: u32,
    taps: usize,
    /// First input sample and index of the weights, per output.
    windows: Vec<(u32, u32)>,
    /// `taps` each, their sum 1.
    weights: Vec<f32>,
    /// After so many outputs and inputs the weights come again.
    period: [usize; 2],
    /// Outputs whose windows no border cuts.
    interior: Range<usize>,
}

impl Table {
    /// From samples on `from` to samples on `to`, which cover the same picture.
    pub fn new(from: Axis, to: Axis, kernel: Kernel) -> Self {
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
        let reach = kernel.radius() * a.max(d);
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
                        *weight += kernel.at(distance);
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

    /// Whether output equals input.
    pub fn is_identity(&self) -> bool {
        self.taps == 1 && self.windows.len() == self.input as usize && self.weights == [1.0]
    }

    /// Output samples.
    pub fn output_len(&self) -> u32 {
        self.windows.len() as u32
    }

    /// Input samples per output sample.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// After so many outputs, and so many inputs, the weights come again.
    pub fn period(&self) -> [usize; 2] {
        self.period
    }

    /// Outputs whose windows no border cuts: within, windows follow the period.
    pub fn interior(&self) -> Range<usize> {
        self.interior.clone()
    }

    /// The first input sample of output `i` and the weights from there on; none beyond the
    /// last output.
    pub fn window(&self, i: usize) -> (usize, &[f32]) {
        let Some(&(start, index)) = self.windows.get(i) else { return (0, &[]) };
        let at = index as usize * self.taps;
        (start as usize, self.weights.get(at..at + self.taps).unwrap_or_default())
    }

    /// Every output's window: its first input sample, and which of the sets of weights it has.
    pub fn windows(&self) -> &[(u32, u32)] {
        &self.windows
    }

    /// The sets of weights, one after the other.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// First and one past the last input sample that outputs `from..to` read.
    pub fn needed(&self, from: u32, to: u32) -> (u32, u32) {
        if from >= to {
            return (0, 0);
        }
        let (first, _) = self.window(from as usize);
        let last = self.windows.get(to as usize - 1).map_or(first, |window| window.0 as usize);
        (first as u32, (last + self.taps) as u32)
    }

    /// First and one past the last output sample that reads any of the inputs `from..to`.
    pub fn dependents(&self, from: u32, to: u32) -> (u32, u32) {
        if from >= to {
            return (0, 0);
        }
        let taps = self.taps as u32;
        let first = self.windows.partition_point(|window| window.0 + taps <= from);
        let end = self.windows.partition_point(|window| window.0 < to);
        (first as u32, end.max(first) as u32)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(pixels: u32) -> Axis {
        Axis { pixels, shift: 0, cosited: false }
    }

    /// Position by the weights' centre of gravity: both kernels reproduce straight lines.
    fn position(table: &Table, i: usize) -> f64 {
        let (start, weights) = table.window(i);
        weights.iter().enumerate().map(|(t, w)| (start + t) as f64 * f64::from(*w)).sum()
    }

    #[test]
    fn enlarging_by_two_has_the_weights_of_the_textbook() {
        let table = Table::new(axis(20), axis(40), Kernel::CatmullRom);
        // Output 20 lies at 9.75, a quarter before input 10.
        let (start, weights) = table.window(20);
        assert_eq!(start, 8);
        assert_eq!(weights, [-0.0234375, 0.2265625, 0.8671875, -0.0703125]);
        let table = Table::new(axis(20), axis(40), Kernel::Lanczos3);
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
    fn chroma_lies_where_its_site_says() {
        for (cosited, offset) in [(true, 0.0), (false, 0.5)] {
            let chroma = |pixels| Axis { pixels, shift: 1, cosited };
            let up = Table::new(chroma(64), axis(64), Kernel::CatmullRom);
            let down = Table::new(axis(64), chroma(64), Kernel::CatmullRom);
            let enlarged = Table::new(chroma(64), chroma(128), Kernel::CatmullRom);
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
    fn same_length_is_identity_and_border_windows_stay_inside() {
        assert!(Table::new(axis(7), axis(7), Kernel::Lanczos3).is_identity());
        for (input, output) in [(1, 1), (1, 7), (7, 1), (3, 5), (100, 7), (7, 100)] {
            let table = Table::new(axis(input), axis(output), Kernel::Lanczos3);
            for i in 0..output as usize {
                let (start, weights) = table.window(i);
                assert!(start + weights.len() <= input as usize);
                let sum: f64 = weights.iter().copied().map(f64::from).sum();
                assert!((sum - 1.0).abs() < 1e-5);
            }
        }
    }
}

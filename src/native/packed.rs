//! A convolution's weights as the kernels take them.

#![allow(
    clippy::indexing_slicing,
    reason = "lanes are below LANES; tables are indexed as they were allocated"
)]

use std::sync::OnceLock;

use super::{
    kernels::{Kernels, LANES, Lanes, MOST_WEIGHT, POSITIONS, Taps, Words, winograd_weights},
    plan::{Convolution, blocks},
};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Winograd,
    /// Winograd's in fixed point; see [`Fixed`].
    Fixed,
    Direct,
}

/// The output channels that one call of a kernel makes.
pub(crate) struct Group {
    /// Its first vector.
    pub first: usize,
    /// How many vectors.
    pub count: usize,
    pub bias: Vec<Lanes>,
    pub slope: Vec<Lanes>,
}

/// A convolution, packed.
pub(crate) struct Packed {
    pub method: Method,
    /// Input lanes that are read in direct convolution.
    pub channels: usize,
    pub groups: Vec<Group>,
    /// See [`Packed::floats`].
    floats: OnceLock<Vec<Vec<Lanes>>>,
    pub fixed: Option<Fixed>,
}

/// What convolution in fixed point needs.
pub(crate) struct Fixed {
    /// What transformed samples of each input are multiplied by at each position.
    pub scales: Vec<[Lanes; POSITIONS]>,
    pub groups: Vec<FixedGroup>,
}

/// The weights of a [`Group`] in fixed point.
pub(crate) struct FixedGroup {
    /// Positions × pairs of input lanes × vectors.
    pub weights: Vec<Words>,
    /// For each vector and position, what one of a sum is worth.
    pub steps: Vec<[Lanes; POSITIONS]>,
}

impl Packed {
    pub(crate) fn new(convolution: &Convolution, kernels: &Kernels) -> Self {
        let taps = convolution.taps;
        // Fewer channels do not pay for the transforms.
        let method = match (taps, convolution.lanes.len()) {
            (Taps { height: 3, width: 3 }, 8..) => Method::Winograd,
            _ => Method::Direct,
        };
        let channels = convolution.lanes.iter().max().map_or(1, |lane| lane + 1);
        let vectors = blocks(convolution.outputs);
        let parts = vectors.div_ceil(kernels.group.max(1)).max(1);
        // As even as can be: five vectors are three and two.
        let bounds = (0..parts).map(|part| (part * vectors / parts, (part + 1) * vectors / parts));
        let group = |(first, end): (usize, usize)| Group {
            first,
            count: end - first,
            bias: vectors_of(&convolution.bias, first, end - first),
            slope: vectors_of(&convolution.slope, first, end - first),
        };
        let groups = bounds.map(group).collect();
        let packed = Self { method, channels, groups, floats: OnceLock::new(), fixed: None };
        packed.floats(convolution);
        packed
    }

    /// The fp32 weights of each group: taps or positions × input lanes × vectors. In fixed point they are
    /// packed when the first window needs them.
    pub(crate) fn floats(&self, convolution: &Convolution) -> &[Vec<Lanes>] {
        let pack = |group: &Group| match self.method {
            Method::Winograd | Method::Fixed => winograd(convolution, group.first, group.count),
            Method::Direct => direct(convolution, self.channels, group.first, group.count),
        };
        self.floats.get_or_init(|| self.groups.iter().map(pack).collect())
    }

    /// Computes in fixed point from now on. `ranges` are the largest transformed samples, position after
    /// position, of each a vector for each input; samples of `headroom` times that fit.
    pub(crate) fn fix(&mut self, convolution: &Convolution, ranges: &[Lanes], headroom: f32) {
        let inputs = ranges.len() / POSITIONS;
        if self.method == Method::Direct || inputs == 0 {
            return;
        }
        let steps: Vec<Lanes> =
            ranges.chunks_exact(inputs).flat_map(|ranges| input_steps(ranges, headroom)).collect();
        let scale = |step: f32| if step > 0.0 { 1.0 / step } else { 0.0 };
        let mut scales = vec![[Lanes::default(); POSITIONS]; inputs];
        for (position, steps) in steps.chunks_exact(inputs).enumerate() {
            for (scales, steps) in scales.iter_mut().zip(steps) {
                scales[position] = Lanes(steps.0.map(scale));
            }
        }
        let each = self.groups.iter().zip(self.floats(convolution));
        let groups = each.map(|(group, floats)| fixed_group(group.count, floats, &steps)).collect();
        self.fixed = Some(Fixed { scales, groups });
        self.method = Method::Fixed;
    }

    /// Frees what fixed point mostly does not need.
    pub(crate) fn free_floats(&mut self) {
        if self.method == Method::Fixed {
            self.floats = OnceLock::new();
        }
    }
}

fn vectors_of(numbers: &[f32], first: usize, count: usize) -> Vec<Lanes> {
    let mut vectors = vec![Lanes::default(); count];
    let to = vectors.iter_mut().flat_map(|lanes| lanes.0.iter_mut());
    to.zip(numbers.iter().skip(first * LANES)).for_each(|(to, from)| *to = *from);
    vectors
}

/// Positions × input lanes × vectors.
fn winograd(convolution: &Convolution, first: usize, count: usize) -> Vec<Lanes> {
    let lanes = convolution.source.len() * LANES;
    let mut weights = vec![Lanes::default(); POSITIONS * lanes * count];
    let inputs = convolution.lanes.len();
    for own in 0..count * LANES {
        let output = first * LANES + own;
        let kernels = convolution.weights.chunks_exact(9).skip(output * inputs).take(inputs);
        if output >= convolution.outputs {
            break;
        }
        for (kernel, &lane) in kernels.zip(&convolution.lanes) {
            let mut exact = [0.0; 9];
            exact.iter_mut().zip(kernel).for_each(|(to, from)| *to = f64::from(*from));
            for (position, value) in winograd_weights(&exact).into_iter().enumerate() {
                let at = (position * lanes + lane) * count + own / LANES;
                if let Some(to) = weights.get_mut(at) {
                    to.0[own % LANES] = value as f32;
                }
            }
        }
    }
    weights
}

/// Taps × input lanes × vectors.
fn direct(convolution: &Convolution, lanes: usize, first: usize, count: usize) -> Vec<Lanes> {
    let area = convolution.taps.height * convolution.taps.width;
    let mut weights = vec![Lanes::default(); area * lanes * count];
    let inputs = convolution.lanes.len();
    for own in 0..count * LANES {
        let output = first * LANES + own;
        if output >= convolution.outputs {
            break;
        }
        let kernels = convolution.weights.chunks_exact(area).skip(output * inputs);
        for (kernel, &lane) in kernels.zip(&convolution.lanes) {
            for (tap, value) in kernel.iter().enumerate() {
                let at = (tap * lanes + lane) * count + own / LANES;
                if let Some(to) = weights.get_mut(at) {
                    to.0[own % LANES] = *value;
                }
            }
        }
    }
    weights
}

/// No channel's range is taken to be less than this share of the largest of its position: what
/// calibration did not see must fit too.
const LEAST_SHARE: f32 = 1.0 / 8.0;

/// What one of a transformed sample is worth, for the inputs of one position.
fn input_steps(ranges: &[Lanes], headroom: f32) -> Vec<Lanes> {
    let most = ranges.iter().flat_map(|lanes| lanes.0).fold(0.0, f32::max);
    let step = |range: f32| range.max(most * LEAST_SHARE) * headroom / f32::from(i16::MAX);
    ranges.iter().map(|lanes| Lanes(lanes.0.map(step))).collect()
}

/// `count` vectors of weights in fp32; see [`Packed::floats`]. `steps` are for each position the worth
/// of the inputs' samples.
fn fixed_group(count: usize, floats: &[Lanes], steps: &[Lanes]) -> FixedGroup {
    let inputs = steps.len() / POSITIONS;
    let rows = inputs * LANES;
    let mut weights = vec![Words::default(); POSITIONS * rows / 2 * count];
    let mut worth = vec![[Lanes::default(); POSITIONS]; count];
    let positions = floats.chunks_exact(rows * count);
    for (position, (own, steps)) in positions.zip(steps.chunks_exact(inputs)).enumerate() {
        for output in 0..count * LANES {
            let (vector, lane) = (output / LANES, output % LANES);
            let real: Vec<f64> = own
                .iter()
                .skip(vector)
                .step_by(count)
                .zip(steps.iter().flat_map(|steps| steps.0))
                .map(|(weight, step)| f64::from(weight.0[lane]) * f64::from(step))
                .collect();
            let (whole, unit) = whole_weights(&real);
            worth[vector][position].0[lane] = unit as f32;
            for (pair, values) in whole.chunks_exact(2).enumerate() {
                let word = values[1] << 16 | values[0] & 0xffff;
                weights[(position * rows / 2 + pair) * count + vector].0[lane] = word;
            }
        }
    }
    FixedGroup { weights, steps: worth }
}

/// Whole numbers of 16 bits in proportion to weights, the sum of whose magnitudes is at most
/// [`MOST_WEIGHT`], and what one of them is worth.
fn whole_weights(real: &[f64]) -> (Vec<i32>, f64) {
    let sum: f64 = real.iter().map(|weight| weight.abs()).sum();
    let most = real.iter().fold(0.0f64, |most, weight| most.max(weight.abs()));
    if most <= 0.0 {
        return (vec![0; real.len()], 0.0);
    }
    // Rounding adds at most a half to each.
    let scale = (f64::from(i16::MAX) / most).min((MOST_WEIGHT - real.len() as f64 / 2.0) / sum);
    let limit = f64::from(i16::MAX);
    let whole = real.iter().map(|weight| (weight * scale).round().clamp(-limit, limit) as i32);
    (whole.collect(), 1.0 / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_whole_weights_cannot_overflow() {
        let mut state = 1u32;
        for count in [2, 16, 64, 208, 1024] {
            for exponent in 0..20 {
                let real: Vec<f64> = (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let value = f64::from(state >> 8) / f64::from(1 << 24) - 0.5;
                        value.signum() * value.abs().powi(exponent)
                    })
                    .collect();
                let (whole, unit) = whole_weights(&real);
                let sum: i64 = whole.iter().map(|&weight| i64::from(weight).abs()).sum();
                assert!(sum as f64 <= MOST_WEIGHT, "{count} {exponent}: {sum}");
                assert!(sum * 32_768 < 1 << 31);
                let worst = whole.iter().zip(&real).map(|(&w, r)| (f64::from(w) * unit - r).abs());
                assert!(worst.fold(0.0, f64::max) <= unit * 0.501, "{count} {exponent}");
            }
        }
    }

    #[test]
    fn weights_of_nothing_are_nothing() {
        assert_eq!(whole_weights(&[0.0; 4]), (vec![0; 4], 0.0));
    }
}

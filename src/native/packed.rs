//! A convolution's weights as the kernels take them.

use super::{
    kernels::{Kernels, LANES, Lanes, POSITIONS, Taps, winograd_weights},
    plan::{Convolution, blocks},
};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Winograd,
    Direct,
}

/// The output channels that one call of a kernel makes.
pub struct Group {
    /// Its first vector.
    pub first: usize,
    /// How many vectors.
    pub count: usize,
    pub weights: Vec<Lanes>,
    pub bias: Vec<Lanes>,
    pub slope: Vec<Lanes>,
}

/// A convolution, packed.
pub struct Packed {
    pub method: Method,
    /// Input lanes that are read in direct convolution.
    pub channels: usize,
    pub groups: Vec<Group>,
}

impl Packed {
    pub fn new(convolution: &Convolution, kernels: &Kernels) -> Self {
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
            weights: match method {
                Method::Winograd => winograd(convolution, first, end - first),
                Method::Direct => direct(convolution, channels, first, end - first),
            },
            bias: vectors_of(&convolution.bias, first, end - first),
            slope: vectors_of(&convolution.slope, first, end - first),
        };
        Self { method, channels, groups: bounds.map(group).collect() }
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

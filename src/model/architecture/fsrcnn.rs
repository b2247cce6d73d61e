//! FSRCNN: convolutions with PReLU and a transposed convolution, on luma. With the names of
//! yjn870/FSRCNN-pytorch or Lornatang/FSRCNN-PyTorch.

use super::{
    Hints,
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
};
use crate::model::{Graph, Window, checkpoint::StateDict};

/// One implementation's names of the layers.
struct Variant {
    /// The first of the sequences, in which convolutions and PReLUs alternate.
    first: &'static str,
    /// The other sequences.
    others: &'static [&'static str],
    /// The transposed convolution.
    last: &'static str,
}

const VARIANTS: [Variant; 2] = [
    Variant { first: "first_part", others: &["mid_part"], last: "last_part" },
    Variant { first: "feature_extraction", others: &["shrink", "map", "expand"], last: "deconv" },
];

fn variant(weights: &StateDict) -> Option<&'static Variant> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    let has_pair = |name: &str| has(&format!("{name}.0")) && has(&format!("{name}.1"));
    VARIANTS.iter().find(|variant| {
        has_pair(variant.first)
            && variant.others.iter().all(|name| has_pair(name))
            && has(variant.last)
    })
}

pub(super) fn matches(weights: &StateDict) -> bool {
    variant(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let variant = variant(weights).unwrap_or(&VARIANTS[0]);
    let factor = hints.factor.ok_or(BuildError::Factor)?;
    let channels = dim(weights, &format!("{}.0.weight", variant.first), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.input();
    for name in [&variant.first].into_iter().chain(variant.others) {
        for index in (0..).step_by(2) {
            let layer = format!("{name}.{index}");
            if !net.has(&format!("{layer}.weight")) {
                break;
            }
            x = net.conv(&x, &layer)?;
            x = net.prelu(&x, &format!("{name}.{}", index + 1))?;
        }
    }
    let key = format!("{}.weight", variant.last);
    let weight = net.tensor(&key, 4)?;
    let &[inputs, outputs, height, width] = weight.dims.as_slice() else {
        return Err(wrong_shape(&key, &weight.dims));
    };
    let size = u32::try_from(height).ok().filter(|&size| size % 2 == 1 && size < 64);
    let (Some(size), true) = (size, inputs == x.channels && height == width) else {
        return Err(wrong_shape(&key, &weight.dims));
    };
    let bias = net.bias(variant.last, outputs)?;
    let bias = bias.map(|bias| net.graph.constant("last:bias", bias));
    let weight = net.graph.constant(&key, weight.clone());
    let window = Window { stride: [factor; 2], ..Window::padded(size / 2) };
    let value =
        net.graph.conv_transpose(&x.value, &weight, bias.as_deref(), window, [factor - 1; 2]);
    net.finish(&Features { value, channels: outputs })
}

//! ESPCN: a few convolutions and a pixel shuffle, on luma. With the names of PyTorch's example
//! (`examples/super_resolution`, ReLU), of yjn870/ESPCN-pytorch (tanh) or of
//! Lornatang/ESPCN-PyTorch (tanh).

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

/// One implementation's names of the layers, and its activation.
struct Variant {
    first: &'static str,
    middle: &'static [&'static str],
    /// The convolution before the pixel shuffle.
    last: &'static str,
    activation: Activation,
}

const VARIANTS: [Variant; 4] = [
    Variant {
        first: "conv1",
        middle: &["conv2", "conv3"],
        last: "conv4",
        activation: Activation::Relu,
    },
    Variant { first: "conv1", middle: &["conv2"], last: "conv3", activation: Activation::Relu },
    Variant {
        first: "first_part.0",
        middle: &["first_part.2"],
        last: "last_part.0",
        activation: Activation::Tanh,
    },
    Variant {
        first: "feature_maps.0",
        middle: &["feature_maps.2"],
        last: "sub_pixel.0",
        activation: Activation::Tanh,
    },
];

fn variant(weights: &StateDict) -> Option<&'static Variant> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    VARIANTS.iter().find(|variant| {
        has(variant.first) && variant.middle.iter().all(|layer| has(layer)) && has(variant.last)
    })
}

pub(super) fn matches(weights: &StateDict) -> bool {
    variant(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let variant = variant(weights).unwrap_or(&VARIANTS[0]);
    let activation = hints.activation.unwrap_or(variant.activation);
    let channels = dim(weights, &format!("{}.weight", variant.first), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.conv(&net.input(), variant.first)?;
    for layer in variant.middle.iter().chain([&variant.last]) {
        x = net.activate(&x, activation);
        x = net.conv(&x, layer)?;
    }
    let factor = shuffle_factor(x.channels, channels, variant.last)?;
    if factor == 1 {
        // SRCNN has the same names.
        return Err(BuildError::NotEnlarging(variant.last.to_owned()));
    }
    x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

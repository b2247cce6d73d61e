//! VDSR: twenty convolutions that compute a residual of an enlarged luma image. With the names of
//! twtygqyy/pytorch-vdsr (in two variants) or Lornatang/VDSR-PyTorch.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict};

/// One implementation's names of the layers.
struct Variant {
    first: &'static str,
    /// The layers between, by their index.
    between: fn(usize) -> String,
    /// The last layer, unless it is one of `between`.
    last: Option<&'static str>,
}

const VARIANTS: [Variant; 3] = [
    Variant {
        first: "input",
        between: |index| format!("residual_layer.{index}.conv"),
        last: Some("output"),
    },
    Variant {
        first: "conv1.0",
        between: |index| format!("trunk.{index}.conv"),
        last: Some("conv2"),
    },
    Variant {
        first: "features.0",
        between: |index| format!("features.{}", 2 * index + 2),
        last: None,
    },
];

fn variant(weights: &StateDict) -> Option<&'static Variant> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    VARIANTS.iter().find(|variant| {
        has(variant.first) && has(&(variant.between)(0)) && variant.last.is_none_or(has)
    })
}

pub(super) fn matches(weights: &StateDict) -> bool {
    variant(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let variant = variant(weights).unwrap_or(&VARIANTS[0]);
    let channels = dim(weights, &format!("{}.weight", variant.first), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let enlarged = net.enlarged_input()?;
    let between = (0..).map(variant.between);
    let between = between.take_while(|layer| weights.get(&format!("{layer}.weight")).is_some());
    let mut x = net.conv(&enlarged, variant.first)?;
    for layer in between.chain(variant.last.map(str::to_owned)) {
        x = net.activate(&x, Activation::Relu);
        x = net.conv(&x, &layer)?;
    }
    let image = net.add(&x, &enlarged, "the last convolution")?;
    net.finish(&image)
}

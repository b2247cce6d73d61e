//! SRCNN: three convolutions that sharpen an enlarged luma image. With the names of
//! yjn870/SRCNN-pytorch or Lornatang/SRCNN-PyTorch.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict};

const VARIANTS: [[&str; 3]; 2] =
    [["conv1", "conv2", "conv3"], ["features.0", "map.0", "reconstruction"]];

fn variant(weights: &StateDict) -> Option<[&'static str; 3]> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    VARIANTS.into_iter().find(|layers| layers.iter().all(|layer| has(layer)))
}

pub(super) fn matches(weights: &StateDict) -> bool {
    variant(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let [first, second, third] = variant(weights).unwrap_or(VARIANTS[0]);
    let channels = dim(weights, &format!("{first}.weight"), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.enlarged_input()?;
    for layer in [first, second] {
        x = net.conv(&x, layer)?;
        x = net.activate(&x, Activation::Relu);
    }
    x = net.conv(&x, third)?;
    net.finish(&x)
}

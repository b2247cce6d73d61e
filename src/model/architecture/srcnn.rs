//! SRCNN: three convolutions that sharpen an enlarged luma. Under the names of
//! yjn870/SRCNN-pytorch and Lornatang/SRCNN-PyTorch.

use super::{
    Hints,
    network::{Activation, Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict, fault::Fault};

const FORMS: [[&str; 3]; 2] =
    [["conv1", "conv2", "conv3"], ["features.0", "map.0", "reconstruction"]];

fn form(weights: &StateDict) -> Option<[&'static str; 3]> {
    let has = |layer: &str| weights.get(&format!("{layer}.weight")).is_some();
    // ESPCN has a fourth.
    FORMS.into_iter().find(|layers| layers.iter().all(|layer| has(layer)) && !has("conv4"))
}

pub(super) fn matches(weights: &StateDict) -> bool {
    form(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let [first, second, third] = form(weights).unwrap_or(FORMS[0]);
    let channels = dim(weights, &format!("{first}.weight"), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.enlarged_input();
    for layer in [first, second] {
        x = net.conv(&x, layer)?;
        x = net.activate(&x, Activation::Relu);
    }
    x = net.conv(&x, third)?;
    net.finish(&x)
}

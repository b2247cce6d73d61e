//! ESPCN: a few convolutions and a shuffle, on luma. Under the names of PyTorch's own example
//! (`examples/super_resolution`, ReLU), of yjn870/ESPCN-pytorch and of
//! Lornatang/ESPCN-PyTorch (Tanh).

use super::{
    Hints,
    network::{Activation, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict, fault::Fault};

const FORMS: [(&[&str], Activation); 3] = [
    (&["conv1", "conv2", "conv3", "conv4"], Activation::Relu),
    (&["first_part.0", "first_part.2", "last_part.0"], Activation::Tanh),
    (&["feature_maps.0", "feature_maps.2", "sub_pixel.0"], Activation::Tanh),
];

fn form(weights: &StateDict) -> Option<(&'static [&'static str], Activation)> {
    let has = |layer: &&str| weights.get(&format!("{layer}.weight")).is_some();
    FORMS.into_iter().find(|(layers, _)| layers.iter().all(has))
}

pub(super) fn matches(weights: &StateDict) -> bool {
    form(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let (layers, activation) = form(weights).unwrap_or(FORMS[0]);
    let activation = hints.activation.unwrap_or(activation);
    let channels = dim(weights, &format!("{}.weight", layers[0]), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.input();
    for (place, layer) in layers.iter().enumerate() {
        if place > 0 {
            x = net.activate(&x, activation);
        }
        x = net.conv(&x, layer)?;
    }
    let factor = shuffle_factor(x.channels, channels, layers[layers.len() - 1])?;
    x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

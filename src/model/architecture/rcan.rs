//! RCAN (`src/model/rcan.py` of yulunzhang/RCAN): residual groups with channel attention.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The value of white of networks that subtract a mean.
const RANGE: f32 = 255.0;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("body.0.body.0.body.0.weight") && has("body.0.body.0.body.3.conv_du.0.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let head = if weights.get("head.1.weight").is_some() { "head.1" } else { "head.0" };
    let channels = dim(weights, "tail.1.weight", 0)?;
    let inputs = dim(weights, &format!("{head}.weight"), 1)?;
    let unshuffle = shuffle_factor(inputs, channels, head)?;
    let mut net = Network::new(weights, hints, channels)?;
    // The mean, subtracted and added by convolutions.
    let has_mean = net.has("sub_mean.weight");
    let mut x = net.input();
    if has_mean {
        x = net.scale(&x, RANGE);
        x = net.conv(&x, "sub_mean")?;
    }
    if let Ok(factor @ 2..=8) = u32::try_from(unshuffle) {
        let value = net.graph.space_to_depth(&x.value, factor, channels as u32);
        x = Features { value, channels: inputs };
    }
    let start = net.conv(&x, head)?;
    let mut x = start.clone();
    let groups = net.numbered("body.{}.body.0.body.0.weight");
    for &group in &groups {
        let group_start = x.clone();
        let blocks = net.numbered(&format!("body.{group}.body.{{}}.body.0.weight"));
        for &block in &blocks {
            x = attentive(&mut net, &x, &format!("body.{group}.body.{block}.body"))?;
        }
        let last = format!("body.{group}.body.{}", blocks.len());
        x = net.conv(&x, &last)?;
        x = net.add(&x, &group_start, &last)?;
    }
    let last = format!("body.{}", groups.len());
    x = net.conv(&x, &last)?;
    x = net.add(&x, &start, &last)?;
    for index in (0..8).step_by(2) {
        let up = format!("tail.0.{index}");
        if !net.has(&format!("{up}.weight")) {
            continue;
        }
        let before = x.channels;
        x = net.conv(&x, &up)?;
        let factor = shuffle_factor(x.channels, before, &up)?;
        x = net.shuffle(&x, factor)?;
    }
    x = net.conv(&x, "tail.1")?;
    if has_mean {
        x = net.conv(&x, "add_mean")?;
        x = net.scale(&x, 1.0 / RANGE);
    }
    net.finish(&x)
}

/// Two convolutions whose output is weighted by channel, plus the input.
fn attentive(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let inner = net.conv(x, &format!("{name}.0"))?;
    let inner = net.activate(&inner, Activation::Relu);
    let inner = net.conv(&inner, &format!("{name}.2"))?;
    let mean = net.global_mean(&inner);
    let gate = net.conv(&mean, &format!("{name}.3.conv_du.0"))?;
    let gate = net.activate(&gate, Activation::Relu);
    let gate = net.conv(&gate, &format!("{name}.3.conv_du.2"))?;
    let gate = net.sigmoid(&gate);
    let inner = net.mul(&inner, &gate);
    net.add(&inner, x, name)
}

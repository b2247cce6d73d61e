//! NAFNet (`basicsr/models/archs/NAFNet_arch.py` of megvii-research/NAFNet): a U-Net without
//! activations, against noise and blur.

use super::{
    Hints,
    error::BuildError,
    network::{Features, Network, dim},
};
use crate::model::{Border, Graph, Window, checkpoint::StateDict};

/// The maximum number of halvings.
const MAX_DEPTH: usize = 8;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("intro.weight") && has("middle_blks.0.sca.1.weight") && has("ending.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "intro.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let depth = net.numbered("downs.{}.weight").len().min(MAX_DEPTH);
    let image = net.input();
    let padded = net.pad_to_multiple(&image, 1 << depth, 0, Border::Zero);
    let mut x = net.conv(&padded, "intro")?;
    let mut levels = Vec::new();
    for level in 0..depth {
        x = blocks(&mut net, &x, &format!("encoders.{level}"))?;
        levels.push(x.clone());
        let half = Window { stride: [2; 2], ..Window::default() };
        x = net.conv_window(&x, &format!("downs.{level}"), half)?;
    }
    x = blocks(&mut net, &x, "middle_blks")?;
    for (step, before) in levels.iter().rev().enumerate() {
        x = net.conv(&x, &format!("ups.{step}.0"))?;
        x = net.shuffle(&x, 2)?;
        x = net.add(&x, before, "ups")?;
        x = blocks(&mut net, &x, &format!("decoders.{step}"))?;
    }
    x = net.conv(&x, "ending")?;
    x = net.add(&x, &padded, "ending")?;
    let x = net.crop_like(&x, &image, 1);
    net.finish(&x)
}

/// The blocks `name.0`, `name.1` and so on.
fn blocks(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let mut x = x.clone();
    for block in net.numbered(&format!("{name}.{{}}.conv1.weight")) {
        x = gated(net, &x, &format!("{name}.{block}"))?;
    }
    Ok(x)
}

/// A depthwise convolution with channel attention, then a gate per position.
fn gated(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let inner = net.layer_norm_2d(x, &format!("{name}.norm1"), 1e-6)?;
    let inner = net.conv(&inner, &format!("{name}.conv1"))?;
    let inner = net.depthwise(&inner, &format!("{name}.conv2"))?;
    let inner = product_of_halves(net, &inner)?;
    let mean = net.global_mean(&inner);
    let factor = net.conv(&mean, &format!("{name}.sca.1"))?;
    let inner = net.mul(&inner, &factor);
    let inner = net.conv(&inner, &format!("{name}.conv3"))?;
    let x = net.add_scaled(x, &inner, &format!("{name}.beta"))?;
    let inner = net.layer_norm_2d(&x, &format!("{name}.norm2"), 1e-6)?;
    let inner = net.conv(&inner, &format!("{name}.conv4"))?;
    let inner = product_of_halves(net, &inner)?;
    let inner = net.conv(&inner, &format!("{name}.conv5"))?;
    net.add_scaled(&x, &inner, &format!("{name}.gamma"))
}

/// One half of the channels times the other (`SimpleGate`).
fn product_of_halves(net: &mut Network<'_>, x: &Features) -> Result<Features, BuildError> {
    let parts = net.split(&x.value, 1, 2);
    match parts.as_slice() {
        [first, second] if x.channels.is_multiple_of(2) => {
            let value = net.graph.mul(first, second);
            Ok(Features { value, channels: x.channels / 2 })
        }
        _ => Err(BuildError::Indivisible { channels: x.channels, divisor: 2 }),
    }
}

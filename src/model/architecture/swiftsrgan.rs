//! Swift-SRGAN (`swift-srgan/models.py` of Koushik0901/Swift-SRGAN): residual blocks of depthwise
//! convolutions, each followed by a pointwise one.

use super::{
    Hints,
    error::BuildError,
    network::{Features, Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict};

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("initial.cnn.depthwise.weight") && has("final_conv.pointwise.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "initial.cnn.depthwise.weight", 0)?;
    let mut net = Network::new(weights, hints, channels)?;
    let input = net.input();
    let x = separable(&mut net, &input, "initial.cnn")?;
    let start = net.prelu(&x, "initial.act")?;
    let mut x = start.clone();
    for block in net.numbered("residual.{}.block1.cnn.depthwise.weight") {
        let name = format!("residual.{block}");
        let mut inner = normalized(&mut net, &x, &format!("{name}.block1"))?;
        inner = net.prelu(&inner, &format!("{name}.block1.act"))?;
        inner = normalized(&mut net, &inner, &format!("{name}.block2"))?;
        // The second block has an activation that it does not use.
        net.ignore(&format!("{name}.block2.act.weight"));
        x = net.add(&inner, &x, &name)?;
    }
    x = normalized(&mut net, &x, "convblock")?;
    net.ignore("convblock.act.weight");
    x = net.add(&x, &start, "convblock")?;
    for block in net.numbered("upsampler.{}.conv.depthwise.weight") {
        x = separable(&mut net, &x, &format!("upsampler.{block}.conv"))?;
        x = net.shuffle(&x, 2)?;
        x = net.prelu(&x, &format!("upsampler.{block}.act"))?;
    }
    let x = separable(&mut net, &x, "final_conv")?;
    // From −1..=1 to 0..=1.
    let value = net.graph.tanh(&x.value);
    let value = net.graph.scale(&value, 0.5);
    let value = net.graph.offset(&value, &[0.5]);
    net.finish(&Features { value, ..x })
}

/// A depthwise convolution and a pointwise one.
fn separable(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let x = net.depthwise(x, &format!("{name}.depthwise"))?;
    net.conv(&x, &format!("{name}.pointwise"))
}

/// A separable convolution and its normalization.
fn normalized(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let x = separable(net, x, &format!("{name}.cnn"))?;
    net.batch_norm(&x, &format!("{name}.bn"), 1e-5)
}

//! DRUNet (`models/network_unet.py` of cszn/KAIR): a U-Net of residual blocks against noise of a known
//! level.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    kair_unet::{Blocks, DEPTH, Place},
    network::{Features, Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict};

/// A weight of each block of [`residual`].
pub(super) const RESIDUAL: &str = "res.0.weight";

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("m_down1.0.res.0.weight") && has("m_body.0.res.0.weight") && has("m_up3.0.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let outputs = dim(weights, "m_tail.weight", 0)?;
    let mut net = Network::new(weights, hints, outputs)?;
    let image = net.input();
    let image = net.with_noise_level(&image);
    let start = net.conv(&image, "m_head")?;
    let blocks =
        Blocks { marker: RESIDUAL, compute: &|net, x, name, _: Place| residual(net, x, name) };
    let levels = blocks.descend(&mut net, &start)?;
    let deepest = levels.last().unwrap_or(&start);
    let (x, _) = blocks.run(&mut net, deepest, ("m_body", 0), DEPTH)?;
    let x = blocks.ascend(&mut net, &x, &levels)?;
    let x = net.conv(&x, "m_tail")?;
    net.finish(&x)
}

/// Two convolutions with ReLU between, plus the input.
///
/// # Errors
/// [`BuildError`] if weights are missing or have a wrong shape.
pub(super) fn residual(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let inner = convolutions(net, x, name)?;
    net.add(&inner, x, name)
}

/// The two convolutions of [`residual`].
///
/// # Errors
/// [`BuildError`] if weights are missing or have a wrong shape.
pub(super) fn convolutions(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let inner = net.conv(x, &format!("{name}.res.0"))?;
    let inner = net.activate(&inner, Activation::Relu);
    net.conv(&inner, &format!("{name}.res.2"))
}

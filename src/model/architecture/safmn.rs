//! SAFMN (`sunny2109/SAFMN`): spatial modulation by features of several resolutions. The sides of the
//! image are multiples of 8.

use super::{
    Hints,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::{Attribute, Graph, checkpoint::StateDict};

/// The resolutions: 1/1, 1/2, 1/4 and 1/8.
const LEVELS: u64 = 4;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("to_feat.weight") && has("feats.0.safm.mfr.3.weight") && has("feats.0.ccm.ccm.0.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "to_feat.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let input = net.input();
    let start = net.conv(&input, "to_feat")?;
    let mut x = start.clone();
    for block in net.numbered("feats.{}.norm1.weight") {
        let name = format!("feats.{block}");
        let inner = net.layer_norm_2d(&x, &format!("{name}.norm1"), 1e-6)?;
        let inner = modulate(&mut net, &inner, &format!("{name}.safm"))?;
        x = net.add(&inner, &x, &name)?;
        let inner = net.layer_norm_2d(&x, &format!("{name}.norm2"), 1e-6)?;
        let inner = net.conv(&inner, &format!("{name}.ccm.ccm.0"))?;
        let inner = net.gelu(&inner);
        let inner = net.conv(&inner, &format!("{name}.ccm.ccm.2"))?;
        x = net.add(&inner, &x, &name)?;
    }
    x = net.add(&x, &start, "feats")?;
    x = net.conv(&x, "to_img.0")?;
    let factor = shuffle_factor(x.channels, channels, "to_img.0")?;
    let x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

/// The features times a gate that each quarter of the channels computes at another resolution.
fn modulate(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    if !x.channels.is_multiple_of(LEVELS) {
        return Err(BuildError::Indivisible { channels: x.channels, divisor: LEVELS });
    }
    let mut parts = Vec::new();
    for (level, value) in net.split(&x.value, 1, LEVELS as usize).into_iter().enumerate() {
        let mut part = Features { value, channels: x.channels / LEVELS };
        let factor = 1 << level;
        if factor > 1 {
            let window = [("kernel_shape", [factor; 2]), ("strides", [factor; 2])];
            let window = window.map(|(key, sides)| (key, Attribute::Ints(sides.to_vec())));
            part.value = net.graph.push("MaxPool", &[&part.value], window);
        }
        part = net.depthwise(&part, &format!("{name}.mfr.{level}"))?;
        parts.push(net.nearest(&part, factor.unsigned_abs()));
    }
    let parts: Vec<&Features> = parts.iter().collect();
    let gate = net.concat(&parts);
    let gate = net.conv(&gate, &format!("{name}.aggr"))?;
    let gate = net.gelu(&gate);
    Ok(net.mul(&gate, x))
}

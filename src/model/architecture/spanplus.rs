//! SPANPlus (`archs/spanplus` of umzi2/resselt and of muslll/neosr): SPAN with any number of blocks.

use super::{
    Hints,
    activation::Activation,
    dysample,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
    span::input_channels,
};
use crate::model::{Graph, checkpoint::StateDict};

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("feats.1.conv_cat.weight") && has("feats.1.block_end.c1_r.eval_conv.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = input_channels(weights, "feats.0")?;
    let samples = weights.get("upsampler.end_conv.weight").is_some();
    let outputs = if samples { dim(weights, "upsampler.end_conv.weight", 0)? } else { channels };
    let mut net = Network::between(weights, hints, channels, outputs)?;
    let input = net.input();
    let mut x = net.conv3xc(&input, "feats.0")?;
    let mut group = 1;
    while net.has(&format!("feats.{group}.conv_cat.weight")) {
        x = blocks(&mut net, &x, &format!("feats.{group}"))?;
        group += 1;
    }
    let x = if samples {
        let form = dysample::factor(weights, "upsampler")?;
        net.dysample(&x, "upsampler", form)?
    } else if net.has("upsampler.0.weight") {
        let x = net.conv(&x, "upsampler.0")?;
        let factor = shuffle_factor(x.channels, channels, "upsampler.0.weight")?;
        net.shuffle(&x, factor)?
    } else {
        net.conv(&x, "upsampler")?
    };
    net.finish(&x)
}

/// The blocks of one group, whose outputs are joined.
fn blocks(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let (first, _) = net.span_block(x, &format!("{name}.block_1"), Activation::Mish)?;
    let mut inner = first.clone();
    for block in net.numbered(&format!("{name}.block_n.{{}}.c1_r.eval_conv.weight")) {
        (inner, _) =
            net.span_block(&inner, &format!("{name}.block_n.{block}"), Activation::Mish)?;
    }
    let (last, within) = net.span_block(&inner, &format!("{name}.block_end"), Activation::Mish)?;
    let last = net.conv3xc(&last, &format!("{name}.conv_2"))?;
    let all = net.concat(&[x, &last, &first, &within]);
    net.conv(&all, &format!("{name}.conv_cat"))
}

//! DRCT (`drct/archs/DRCT_arch.py` of ming053l/DRCT): Swin transformer blocks whose inputs are the
//! concatenated outputs of those before, as in a dense block.

use super::{
    Hints,
    activation::Activation,
    attention::Windows,
    error::BuildError,
    network::{Features, Network, dim},
    swinir::window_of_table,
};
use crate::model::{Graph, checkpoint::StateDict};

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// The scale of the residual of a group.
const RESIDUAL: f32 = 0.2;

/// The blocks of a group.
const BLOCKS: usize = 5;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.swin1.attn.relative_position_bias_table") && has("layers.0.adjust1.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let side = window_of_table(weights, "layers.0.swin1.attn.relative_position_bias_table")?;
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(1.0);
    let shallow = net.conv(&image, "conv_first")?;
    let mut x = net.patch_embedding(&shallow)?;
    let windows = Windows::square(side);
    let masks = [None, net.window_mask(&x, windows.shifted(true))];
    for group in net.numbered("layers.{}.swin1.norm1.weight") {
        let name = format!("layers.{group}");
        let start = x.clone();
        let mut features = vec![x.clone()];
        for block in 1..=BLOCKS {
            let shifted = block % 2 == 0;
            let mask = masks.get(usize::from(shifted)).and_then(Option::as_deref);
            let all = tokens(&mut net, &features);
            let swin = format!("{name}.swin{block}");
            let all = net.swin_block(&all, &swin, windows.shifted(shifted), mask)?;
            let new = net.image_of(&all);
            let mut new = net.conv(&new, &format!("{name}.adjust{block}"))?;
            if block < BLOCKS {
                new = net.activate(&new, LEAKY);
            }
            features.push(net.tokens_of(&new));
        }
        let last = features.pop().unwrap_or_else(|| start.clone());
        let residual = net.scale(&last, RESIDUAL);
        x = net.add(&residual, &start, &name)?;
    }
    let x = net.layer_norm(&x, "norm")?;
    let x = net.image_of(&x);
    let x = if net.has("conv_after_body.weight") { net.conv(&x, "conv_after_body")? } else { x };
    net.finish_body(&x, &shallow, &image, 1.0)
}

/// Concatenates the channels of tokens.
fn tokens(net: &mut Network<'_>, parts: &[Features]) -> Features {
    let values: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    let channels = parts.iter().map(|part| part.channels).sum();
    Features { value: net.graph.concat(&values, 3), channels }
}

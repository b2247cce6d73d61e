//! EDSR: the baseline of 64 channels and the large network of 256, with the names of
//! sanghyun-son/EDSR-PyTorch or of BasicSR (`basicsr/archs/edsr_arch.py`).

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The mean R′G′B′ of the training set, DIV2K.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// The channels from which on a network is a large one.
const LARGE_CHANNELS: u64 = 256;

/// The names of the layers.
struct Names {
    first: &'static str,
    /// The two convolutions of a residual block.
    block: Block,
    trunk_end: String,
    /// The prefix, before an even number, of convolutions that are followed by a pixel shuffle.
    up: &'static str,
    last: &'static str,
}

type Block = fn(usize) -> [String; 2];

const ORIGINAL: Block = |block| [0, 2].map(|index| format!("body.{block}.body.{index}"));
const BASIC: Block = |block| [1, 2].map(|index| format!("body.{block}.conv{index}"));

fn has(weights: &StateDict, layer: &str) -> bool {
    weights.get(&format!("{layer}.weight")).is_some()
}

fn is_original(weights: &StateDict) -> bool {
    has(weights, "head.0") && has_block(weights, ORIGINAL, 0)
}

pub(super) fn matches(weights: &StateDict) -> bool {
    is_original(weights) || (has(weights, "conv_after_body") && has_block(weights, BASIC, 0))
}

fn has_block(weights: &StateDict, block: Block, index: usize) -> bool {
    let [first, _] = block(index);
    has(weights, &first)
}

fn blocks(weights: &StateDict, block: Block) -> usize {
    (0..).take_while(|&index| has_block(weights, block, index)).count()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let names = if is_original(weights) {
        Names {
            first: "head.0",
            block: ORIGINAL,
            trunk_end: format!("body.{}", blocks(weights, ORIGINAL)),
            up: "tail.0",
            last: "tail.1",
        }
    } else {
        Names {
            first: "conv_first",
            block: BASIC,
            trunk_end: "conv_after_body".into(),
            up: "upsample",
            last: "conv_last",
        }
    };
    let channels = dim(weights, &format!("{}.weight", names.first), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    if channels != 3 {
        return Err(BuildError::MeanNeedsColour);
    }
    let input = net.input();
    let value = net.graph.offset(&input.value, &MEAN.map(|mean| -mean));
    let x = net.scale(&Features { value, channels }, 255.0);
    // The same, as convolutions that are not trained.
    for shift in ["sub_mean", "add_mean"] {
        net.ignore(&format!("{shift}.weight"));
        net.ignore(&format!("{shift}.bias"));
    }
    let x = net.conv(&x, names.first)?;
    let residual_scale = if x.channels >= LARGE_CHANNELS { 0.1 } else { 1.0 };
    let mut deep = x.clone();
    for block in 0..blocks(weights, names.block) {
        let [first, second] = (names.block)(block);
        let residual = net.conv(&deep, &first)?;
        let residual = net.activate(&residual, Activation::Relu);
        let mut residual = net.conv(&residual, &second)?;
        if residual_scale != 1.0 {
            residual = net.scale(&residual, residual_scale);
        }
        deep = net.add(&residual, &deep, &second)?;
    }
    let deep = net.conv(&deep, &names.trunk_end)?;
    let mut x = net.add(&deep, &x, &names.trunk_end)?;
    let ups = (0..8).step_by(2).map(|index| format!("{}.{index}", names.up));
    for up in ups.take_while(|up| has(weights, up)) {
        let before = x.channels;
        x = net.conv(&x, &up)?;
        let factor = shuffle_factor(x.channels, before, &up)?;
        x = net.shuffle(&x, factor)?;
    }
    let x = net.conv(&x, names.last)?;
    let x = net.scale(&x, 1.0 / 255.0);
    let value = match x.channels {
        3 => net.graph.offset(&x.value, &MEAN),
        _ => x.value,
    };
    net.finish(&Features { value, channels: x.channels })
}

//! EDSR, the baseline of 64 channels and the large one of 256, under the names of
//! sanghyun-son/EDSR-PyTorch and of BasicSR (`basicsr/archs/edsr_arch.py`).

use super::{
    Hints,
    network::{Activation, Features, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict, fault::Fault};

/// The mean R′G′B′ of DIV2K, which it was trained on.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// How the parts are called.
struct Names {
    first: &'static str,
    /// The two convolutions of a block.
    block: fn(usize) -> [String; 2],
    trunk_end: String,
    /// Ahead of a convolution that is shuffled, and its even number.
    up: &'static str,
    last: &'static str,
}

const ORIGINAL: fn(usize) -> [String; 2] =
    |block| [0, 2].map(|part| format!("body.{block}.body.{part}"));
const BASIC: fn(usize) -> [String; 2] =
    |block| [1, 2].map(|part| format!("body.{block}.conv{part}"));

fn has(weights: &StateDict, layer: &str) -> bool {
    weights.get(&format!("{layer}.weight")).is_some()
}

fn is_original(weights: &StateDict) -> bool {
    has(weights, "head.0") && has(weights, &ORIGINAL(0)[0])
}

pub(super) fn matches(weights: &StateDict) -> bool {
    is_original(weights) || (has(weights, "conv_after_body") && has(weights, &BASIC(0)[0]))
}

fn blocks(weights: &StateDict, block: fn(usize) -> [String; 2]) -> usize {
    (0..).take_while(|&place| has(weights, &block(place)[0])).count()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let names = match is_original(weights) {
        true => Names {
            first: "head.0",
            block: ORIGINAL,
            trunk_end: format!("body.{}", blocks(weights, ORIGINAL)),
            up: "tail.0",
            last: "tail.1",
        },
        false => Names {
            first: "conv_first",
            block: BASIC,
            trunk_end: "conv_after_body".into(),
            up: "upsample",
            last: "conv_last",
        },
    };
    let channels = dim(weights, &format!("{}.weight", names.first), 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    if channels != 3 {
        return Err(Fault::unsuitable("its mean is only known for three channels"));
    }
    let input = net.input();
    let value = net.graph.offset(&input.value, &MEAN.map(|mean| -mean));
    let x = net.scale(&Features { value, channels }, 255.0);
    // The same, as the convolutions that no one trained.
    for shift in ["sub_mean", "add_mean"] {
        net.ignore(&format!("{shift}.weight"));
        net.ignore(&format!("{shift}.bias"));
    }
    let x = net.conv(&x, names.first)?;
    // The large one adds a tenth of what its blocks find.
    let share = if x.channels >= 256 { 0.1 } else { 1.0 };
    let mut deep = x.clone();
    for block in 0..blocks(weights, names.block) {
        let [first, second] = (names.block)(block);
        let found = net.conv(&deep, &first)?;
        let found = net.activate(&found, Activation::Relu);
        let found = net.conv(&found, &second)?;
        let found = if share == 1.0 { found } else { net.scale(&found, share) };
        deep = net.add(&found, &deep, &second)?;
    }
    let deep = net.conv(&deep, &names.trunk_end)?;
    let mut x = net.add(&deep, &x, &names.trunk_end)?;
    for place in
        (0..8).step_by(2).take_while(|place| has(weights, &format!("{}.{place}", names.up)))
    {
        let up = format!("{}.{place}", names.up);
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

//! RRDBNet: ESRGAN's and Real-ESRGAN's large network (`basicsr/archs/rrdbnet_arch.py`), under
//! the names of 2018 (`model.0`), of 2019 (`RRDB_trunk`) and of today.

use super::{
    Hints,
    network::{Activation, Features, Network, dim, missing, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict, fault::Fault};

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// How much of what a dense block (and a row of three) finds is added.
const RESIDUAL: f32 = 0.2;

/// Doublings: 16× has four.
const MOST_UPS: usize = 5;

/// How the parts are called.
struct Names {
    first: &'static str,
    trunk_end: String,
    /// One for each doubling.
    ups: Vec<String>,
    high: String,
    last: String,
    /// Block, dense block from 1, convolution from 1.
    dense: fn(usize, usize, usize) -> String,
}

fn modern(block: usize, dense: usize, conv: usize) -> String {
    format!("body.{block}.rdb{dense}.conv{conv}")
}

fn middle(block: usize, dense: usize, conv: usize) -> String {
    format!("RRDB_trunk.{block}.RDB{dense}.conv{conv}")
}

fn old(block: usize, dense: usize, conv: usize) -> String {
    format!("model.1.sub.{block}.RDB{dense}.conv{conv}.0")
}

const SCHEMES: [fn(usize, usize, usize) -> String; 3] = [modern, middle, old];

fn has(weights: &StateDict, layer: &str) -> bool {
    weights.get(&format!("{layer}.weight")).is_some()
}

pub(super) fn matches(weights: &StateDict) -> bool {
    SCHEMES.iter().any(|dense| has(weights, &dense(0, 1, 1)))
}

impl Names {
    fn of(weights: &StateDict) -> Result<Self, Fault> {
        let numbered = |stem: &str| -> Vec<String> {
            let ups = (1..).map(|number| format!("{stem}{number}"));
            ups.take_while(|name| has(weights, name)).take(MOST_UPS).collect()
        };
        if has(weights, &modern(0, 1, 1)) {
            return Ok(Self {
                first: "conv_first",
                trunk_end: "conv_body".into(),
                ups: numbered("conv_up"),
                high: "conv_hr".into(),
                last: "conv_last".into(),
                dense: modern,
            });
        }
        if has(weights, &middle(0, 1, 1)) {
            return Ok(Self {
                first: "conv_first",
                trunk_end: "trunk_conv".into(),
                ups: numbered("upconv"),
                high: "HRconv".into(),
                last: "conv_last".into(),
                dense: middle,
            });
        }
        // A plain row: 0 the first convolution, 1 the blocks, then (Upsample, convolution,
        // LeakyReLU) for each doubling, convolution, LeakyReLU, convolution.
        let numbers = weights.names().filter_map(|name| {
            let (number, rest) = name.strip_prefix("model.")?.split_once('.')?;
            number.parse::<usize>().ok().filter(|_| rest == "weight")
        });
        let last = numbers.max().unwrap_or(0);
        if last < 4 || last % 3 != 1 || last / 3 > MOST_UPS {
            return Err(missing(&format!("model.{}.weight", last / 3 * 3 + 4)));
        }
        let blocks = (0..).take_while(|&block| has(weights, &old(block, 1, 1))).count();
        Ok(Self {
            first: "model.0",
            trunk_end: format!("model.1.sub.{blocks}"),
            ups: (1..last / 3).map(|up| format!("model.{}", 3 * up)).collect(),
            high: format!("model.{}", last - 2),
            last: format!("model.{last}"),
            dense: old,
        })
    }
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let plus = |name: &str| name.contains("conv1x1") || name.contains("noise");
    if let Some(name) = weights.names().find(|name| plus(name)) {
        return Err(Fault::unsuitable(format!(
            "it is ESRGAN+, which is not known here (it has {name:?}), and not plain ESRGAN"
        )));
    }
    let names = Names::of(weights)?;
    // At 2× and 1× pixels come in as channels (pixel_unshuffle), and all still doubles twice.
    let channels = dim(weights, &format!("{}.weight", names.last), 0)?;
    let first = format!("{}.weight", names.first);
    let unshuffle = shuffle_factor(dim(weights, &first, 1)?, channels, &first)?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.input();
    if let Ok(factor @ 2..=8) = u32::try_from(unshuffle) {
        let value = net.graph.space_to_depth(&x.value, factor, channels as u32);
        x = Features { value, channels: channels * unshuffle * unshuffle };
    }
    let x = net.conv(&x, names.first)?;
    let mut deep = x.clone();
    for block in (0..).take_while(|&block| has(weights, &(names.dense)(block, 1, 1))) {
        let start = deep.clone();
        for dense in 1..=3 {
            deep = dense_block(&mut net, &deep, |conv| (names.dense)(block, dense, conv))?;
        }
        let found = net.scale(&deep, RESIDUAL);
        deep = net.add(&found, &start, &(names.dense)(block, 3, 5))?;
    }
    deep = net.conv(&deep, &names.trunk_end)?;
    let mut x = net.add(&deep, &x, &names.trunk_end)?;
    for up in &names.ups {
        x = net.nearest(&x, 2);
        x = net.conv(&x, up)?;
        x = net.activate(&x, LEAKY);
    }
    x = net.conv(&x, &names.high)?;
    x = net.activate(&x, LEAKY);
    x = net.conv(&x, &names.last)?;
    net.finish(&x)
}

/// Five convolutions, each of which sees what all before it made.
fn dense_block(
    net: &mut Network,
    x: &Features,
    name: impl Fn(usize) -> String,
) -> Result<Features, Fault> {
    let mut seen = x.clone();
    for conv in 1..5 {
        let found = net.conv(&seen, &name(conv))?;
        let found = net.activate(&found, LEAKY);
        seen = net.concat(&[&seen, &found]);
    }
    let found = net.conv(&seen, &name(5))?;
    let found = net.scale(&found, RESIDUAL);
    net.add(&found, x, &name(5))
}

//! RRDBNet, the large network of ESRGAN and Real-ESRGAN (`basicsr/archs/rrdbnet_arch.py`), with the
//! names of 2018 (`model.0`), of 2019 (`RRDB_trunk`) or of today.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, missing, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// The scale of the residuals of a dense block, and of a sequence of three dense blocks.
const RESIDUAL: f32 = 0.2;

/// The maximum number of upsampling steps by 2; a 16× network has four.
const MAX_UPS: usize = 5;

/// The names of the layers.
struct Names {
    first: &'static str,
    trunk_end: String,
    /// One for each upsampling step by 2.
    ups: Vec<String>,
    /// The convolution at the full size.
    high: String,
    last: String,
    dense: DenseName,
}

/// The name of a convolution: block from 0, dense block from 1, convolution from 1.
type DenseName = fn(usize, usize, usize) -> String;

fn modern(block: usize, dense: usize, conv: usize) -> String {
    format!("body.{block}.rdb{dense}.conv{conv}")
}

fn middle(block: usize, dense: usize, conv: usize) -> String {
    format!("RRDB_trunk.{block}.RDB{dense}.conv{conv}")
}

fn old(block: usize, dense: usize, conv: usize) -> String {
    format!("model.1.sub.{block}.RDB{dense}.conv{conv}.0")
}

const SCHEMES: [DenseName; 3] = [modern, middle, old];

fn has(weights: &StateDict, layer: &str) -> bool {
    weights.get(&format!("{layer}.weight")).is_some()
}

pub(super) fn matches(weights: &StateDict) -> bool {
    SCHEMES.iter().any(|dense| has(weights, &dense(0, 1, 1)))
}

impl Names {
    fn of(weights: &StateDict) -> Result<Self, BuildError> {
        let numbered = |stem: &str| -> Vec<String> {
            let ups = (1..).map(|number| format!("{stem}{number}"));
            ups.take_while(|name| has(weights, name)).take(MAX_UPS).collect()
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
        // A sequence: 0 the first convolution, 1 the blocks, then (Upsample, convolution,
        // LeakyReLU) for each step, convolution, LeakyReLU, convolution.
        let numbers = weights.names().filter_map(|name| {
            let (number, rest) = name.strip_prefix("model.")?.split_once('.')?;
            number.parse::<usize>().ok().filter(|_| rest == "weight")
        });
        let last = numbers.max().unwrap_or(0);
        if last < 4 || last % 3 != 1 || last / 3 > MAX_UPS {
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

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let names = Names::of(weights)?;
    let outputs = dim(weights, &format!("{}.weight", names.last), 0)?;
    let first = format!("{}.weight", names.first);
    let inputs = dim(weights, &first, 1)?;
    // Networks of 2× and 1× start with a pixel_unshuffle and upsample by 4, too.
    let unshuffle = match shuffle_factor(inputs, outputs, &first) {
        Ok(unshuffle) => unshuffle,
        // A network that makes a colour image of a grey one, or the reverse.
        Err(_) if matches!(inputs, 1 | 3 | 4) => 1,
        Err(error) => return Err(error),
    };
    let channels = inputs / (unshuffle * unshuffle);
    let mut net = Network::between(weights, hints, channels, outputs)?;
    let mut x = net.input();
    if let Ok(factor @ 2..=8) = u32::try_from(unshuffle) {
        let value = net.graph.space_to_depth(&x.value, factor, channels as u32);
        x = Features { value, channels: inputs };
    }
    let x = net.conv(&x, names.first)?;
    let mut deep = x.clone();
    for block in (0..).take_while(|&block| has(weights, &(names.dense)(block, 1, 1))) {
        let start = deep.clone();
        for dense in 1..=3 {
            deep = dense_block(&mut net, &deep, |conv| (names.dense)(block, dense, conv))?;
        }
        let residual = net.scale(&deep, RESIDUAL);
        deep = net.add(&residual, &start, &(names.dense)(block, 3, 5))?;
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

/// Five convolutions; the input of each is the concatenated output of all before it. ESRGAN+
/// (`nESRGANplus` of ncarraz/ESRGANplus) adds a 1×1 convolution of the input to the second, and the
/// second to the fourth.
fn dense_block(
    net: &mut Network,
    x: &Features,
    name: impl Fn(usize) -> String,
) -> Result<Features, BuildError> {
    let mut features = x.clone();
    let shortcut = plus(&name(1));
    let has_shortcut = net.has(&format!("{shortcut}.weight"));
    let mut second = None;
    for conv in 1..5 {
        let new = net.conv(&features, &name(conv))?;
        let mut new = net.activate(&new, LEAKY);
        if has_shortcut && conv == 2 {
            let added = net.conv(x, &shortcut)?;
            new = net.add(&new, &added, &shortcut)?;
            second = Some(new.clone());
        }
        if let (4, Some(second)) = (conv, &second) {
            new = net.add(&new, second, &shortcut)?;
        }
        features = net.concat(&[&features, &new]);
    }
    let residual = net.conv(&features, &name(5))?;
    let residual = net.scale(&residual, RESIDUAL);
    net.add(&residual, x, &name(5))
}

/// ESRGAN+'s 1×1 convolution, in the dense block of which this is the first convolution.
fn plus(first: &str) -> String {
    let block = first.rfind("conv1").and_then(|end| first.get(..end)).unwrap_or(first);
    format!("{block}conv1x1")
}

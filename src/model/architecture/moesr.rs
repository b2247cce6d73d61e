//! MoESR (`moesr_arch.py` of umzi2/MoESR): the gated convolutions of MoSRv2, also at half the size.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    mosrv2::gated,
    network::{Features, Network, dim},
};
use crate::model::{Border, Graph, checkpoint::StateDict};

const LEAKY: Activation = Activation::LeakyRelu(0.1);

/// The sides of images must be multiples of this.
const MULTIPLE: u32 = 2;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("in_to_dim.weight") && has("blocks.0.msg.gated.0.gamma")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "in_to_dim.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.input();
    let padded = net.pad_to_multiple(&image, MULTIPLE, 0, Border::Reflect);
    let start = net.conv(&padded, "in_to_dim")?;
    let mut x = start.clone();
    for group in net.numbered("blocks.{}.msg.down.0.weight") {
        let name = format!("blocks.{group}");
        x = blocks(&mut net, &x, &format!("{name}.blocks"))?;
        x = at_half_size(&mut net, &x, &format!("{name}.msg"))?;
    }
    let x = net.add(&x, &start, "blocks")?;
    let (x, factor) = net.uni_upsample(&x, "upscale")?;
    let x = net.crop_like(&x, &image, factor);
    net.finish(&x)
}

/// The blocks `name.0`, `name.1` and so on.
fn blocks(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let mut x = x.clone();
    for block in net.numbered(&format!("{name}.{{}}.gamma")) {
        x = gated(net, &x, &format!("{name}.{block}"))?;
    }
    Ok(x)
}

/// Blocks at half the size, plus the input.
fn at_half_size(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let narrow = net.conv(x, &format!("{name}.down.0"))?;
    let channels = u32::try_from(narrow.channels).unwrap_or(u32::MAX);
    let value = net.graph.space_to_depth(&narrow.value, MULTIPLE, channels);
    let deep = Features { value, channels: narrow.channels * u64::from(MULTIPLE * MULTIPLE) };
    let deep = net.activate(&deep, LEAKY);
    let deep = blocks(net, &deep, &format!("{name}.gated"))?;
    let wide = net.conv(&deep, &format!("{name}.up.0"))?;
    let wide = net.shuffle(&wide, MULTIPLE.into())?;
    let wide = net.activate(&wide, LEAKY);
    net.add(&wide, x, name)
}

//! SRVGGNetCompact: Real-ESRGAN's small network for video and the like (its
//! `realesrgan/archs/srvgg_arch.py`). A row of convolutions, a shuffle, and the enlarged input
//! added to it.

use super::{
    Hints,
    network::{Activation, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict, fault::Fault};

pub(super) fn matches(weights: &StateDict) -> bool {
    let rank = |name: &str| weights.get(name).map(|tensor| tensor.dims.len());
    rank("body.0.weight") == Some(4)
        && (rank("body.1.weight") == Some(1) || rank("body.2.weight") == Some(4))
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
    let channels = dim(weights, "body.0.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let input = net.input();
    let mut x = net.conv(&input, "body.0")?;
    let numbers = weights.names().filter_map(|name| {
        let (number, _) = name.strip_prefix("body.")?.split_once('.')?;
        number.parse().ok()
    });
    let last: usize = numbers.max().unwrap_or(0);
    for place in (2..=last).step_by(2) {
        let activation = format!("body.{}", place - 1);
        x = match net.has(&format!("{activation}.weight")) {
            true => net.prelu(&x, &activation)?,
            // The weights do not tell which: both have none.
            false => net.activate(&x, hints.activation.unwrap_or(Activation::Relu)),
        };
        x = net.conv(&x, &format!("body.{place}"))?;
    }
    let factor = shuffle_factor(x.channels, channels, &format!("body.{last}.weight"))?;
    let picture = net.shuffle(&x, factor)?;
    let base = net.nearest(&input, factor);
    let picture = net.add(&picture, &base, "body")?;
    net.finish(&picture)
}

//! SRVGGNetCompact, Real-ESRGAN's small network for video (`realesrgan/archs/srvgg_arch.py`): a
//! sequence of convolutions, a pixel shuffle, and the enlarged input added to the result.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

pub(super) fn matches(weights: &StateDict) -> bool {
    let rank = |name: &str| weights.get(name).map(|tensor| tensor.dims.len());
    rank("body.0.weight") == Some(4)
        && (rank("body.1.weight") == Some(1) || rank("body.2.weight") == Some(4))
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "body.0.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let input = net.input();
    let mut x = net.conv(&input, "body.0")?;
    let numbers = weights.names().filter_map(|name| {
        let (number, _) = name.strip_prefix("body.")?.split_once('.')?;
        number.parse().ok()
    });
    let last: usize = numbers.max().unwrap_or(0);
    for index in (2..=last).step_by(2) {
        let activation = format!("body.{}", index - 1);
        x = if net.has(&format!("{activation}.weight")) {
            net.prelu(&x, &activation)?
        } else {
            // Other activations have no weights.
            net.activate(&x, hints.activation.unwrap_or(Activation::Relu))
        };
        x = net.conv(&x, &format!("body.{index}"))?;
    }
    let factor = shuffle_factor(x.channels, channels, &format!("body.{last}.weight"))?;
    let details = net.shuffle(&x, factor)?;
    let base = net.nearest(&input, factor);
    let image = net.add(&details, &base, "body")?;
    net.finish(&image)
}

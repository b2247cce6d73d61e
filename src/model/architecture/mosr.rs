//! MoSR (`mosr_arch.py` of umzi2/MoSR): gated convolutions.

use super::{
    Hints, dysample,
    error::BuildError,
    network::{Features, Network, dim, missing, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The flipped and turned copies that the upsampler `gps` averages.
const ENSEMBLE: u64 = 8;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("gblocks.0.weight") && has("gblocks.1.fc1.weight") && has("gblocks.1.conv.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "gblocks.0.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let input = net.input();
    let mut x = net.conv(&input, "gblocks.0")?;
    let blocks = (1..).take_while(|block| net.has(&format!("gblocks.{block}.fc1.weight"))).count();
    for block in 1..=blocks {
        x = gated(&mut net, &x, &format!("gblocks.{block}"))?;
    }
    x = net.conv(&x, &format!("gblocks.{}", blocks + 1))?;
    x = net.mish(&x);
    x = net.conv(&x, &format!("gblocks.{}", blocks + 3))?;
    x = net.mish(&x);
    x = net.conv(&x, &format!("gblocks.{}", blocks + 5))?;
    let mut side = net.conv(&input, "shortcut.block.0")?;
    side = net.mish(&side);
    side = net.conv(&side, "shortcut.block.2")?;
    side = net.mish(&side);
    let direct = net.conv(&input, "shortcut.conv11")?;
    let side = net.add(&side, &direct, "shortcut")?;
    let side = minus_half(&mut net, &side);
    let x = net.add(&x, &side, "gblocks")?;
    let image = if net.has("upsampler.init_pos") {
        let upsampler = dysample::factor(weights, "upsampler")?;
        net.dysample(&x, "upsampler", upsampler)?
    } else if net.has("upsampler.in_to_k.weight") {
        let x = net.conv(&x, "upsampler.in_to_k")?;
        mean_of_ensemble(&mut net, &x, channels)?
    } else {
        let x = net.conv(&x, "upsampler.0")?;
        let factor = shuffle_factor(x.channels, channels, "upsampler.0")?;
        net.shuffle(&x, factor)?
    };
    net.finish(&image)
}

fn minus_half(net: &mut Network<'_>, x: &Features) -> Features {
    Features { value: net.graph.offset(&x.value, &[-0.5]), ..*x }
}

/// A part of the channels goes through a depthwise convolution, and all through a gate.
fn gated(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let normal = net.layer_norm_2d(x, &format!("{name}.norm"), 1e-6)?;
    let all = net.conv(&normal, &format!("{name}.fc1"))?;
    let kernel = format!("{name}.conv");
    let filtered = net.tensor(&format!("{kernel}.weight"), 4)?.dims.first().copied().unwrap_or(0);
    let (gate, kept, last) = net.gate_and_parts(&all, filtered, &kernel)?;
    let filtered = net.depthwise(&last, &kernel)?;
    let values = match kept {
        Some(kept) => net.concat(&[&kept, &filtered]),
        None => filtered,
    };
    let gate = net.mish(&gate);
    let mixed = net.mul(&gate, &values);
    let mixed = net.conv(&mixed, &format!("{name}.fc2"))?;
    let mixed = net.mish(&mixed);
    let start = minus_half(net, x);
    net.add(&mixed, &start, name)
}

/// The mean of [`ENSEMBLE`] groups of channels, shuffled into an image.
fn mean_of_ensemble(
    net: &mut Network<'_>,
    x: &Features,
    channels: u64,
) -> Result<Features, BuildError> {
    if !x.channels.is_multiple_of(ENSEMBLE) {
        return Err(BuildError::Indivisible { channels: x.channels, divisor: ENSEMBLE });
    }
    let parts = net.split(&x.value, 1, ENSEMBLE as usize);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let value = net.graph.push("Mean", &parts, []);
    let mean = Features { value, channels: x.channels / ENSEMBLE };
    let factor = shuffle_factor(mean.channels, channels, "upsampler.in_to_k")?;
    net.shuffle(&mean, factor)
}

impl Network<'_> {
    /// The first half of the channels, the channels of the second half before the last `last`
    /// (`None` if there are none), and those.
    ///
    /// # Errors
    /// [`BuildError`] if half of the channels are fewer.
    pub(crate) fn gate_and_parts(
        &mut self,
        x: &Features,
        last: u64,
        name: &str,
    ) -> Result<(Features, Option<Features>, Features), BuildError> {
        let half = x.channels / 2;
        let Some(kept) = half.checked_sub(last) else {
            return Err(BuildError::Outputs {
                layer: name.to_owned(),
                outputs: last,
                expected: half,
            });
        };
        let sizes: Vec<u64> = [half, kept, last].into_iter().filter(|&size| size > 0).collect();
        let parts = self.split_at(&x.value, 1, &sizes);
        let part = |value: Option<&String>, channels: u64| {
            let value = value.cloned().ok_or_else(|| missing(name))?;
            Ok::<_, BuildError>(Features { value, channels })
        };
        let middle = if kept > 0 { Some(part(parts.get(1), kept)?) } else { None };
        Ok((part(parts.first(), half)?, middle, part(parts.last(), last)?))
    }
}

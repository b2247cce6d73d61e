//! MoSRv2 (`archs/mosrv2` of umzi2/resselt): gated convolutions with kernels of three shapes.

use super::{
    Hints,
    error::BuildError,
    network::{Features, Network, dim, missing},
};
use crate::model::{Border, Graph, checkpoint::StateDict};

/// The factor of the upsampler of networks that first make the image smaller.
const UNSHUFFLED_FACTOR: u64 = 4;

/// The number of the first block, without and with an unshuffling before.
fn first_block(weights: &StateDict) -> Option<usize> {
    [1, 2]
        .into_iter()
        .find(|block| weights.get(&format!("gblocks.{block}.conv.dwconv_hw.weight")).is_some())
}

pub(super) fn matches(weights: &StateDict) -> bool {
    first_block(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let mut block = first_block(weights).ok_or_else(|| missing("gblocks.1.gamma"))?;
    let first = format!("gblocks.{}", block - 1);
    let inputs = dim(weights, &format!("{first}.weight"), 1)?;
    // Only networks of three channels have the unshuffling.
    let unshuffle = if block == 2 { (inputs / 3).isqrt() } else { 1 };
    let channels = inputs / (unshuffle * unshuffle).max(1);
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.input();
    let mut padded = image.clone();
    let mut x = image.clone();
    if let Ok(by @ (2 | 4)) = u32::try_from(unshuffle) {
        padded = net.pad_to_multiple(&image, by, 0, Border::Reflect);
        let value = net.graph.space_to_depth(&padded.value, by, channels as u32);
        x = Features { value, channels: inputs };
    }
    x = net.conv(&x, &first)?;
    while net.has(&format!("gblocks.{block}.gamma")) {
        x = gated(&mut net, &x, &format!("gblocks.{block}"))?;
        block += 1;
    }
    x = net.conv(&x, &format!("gblocks.{block}"))?;
    x = net.mish(&x);
    x = net.conv(&x, &format!("gblocks.{}", block + 2))?;
    x = net.mish(&x);
    x = net.conv(&x, &format!("gblocks.{}", block + 4))?;
    let (x, factor) = net.uni_upsample(&x, "to_img")?;
    let total =
        if unshuffle > 1 { UNSHUFFLED_FACTOR / unshuffle.min(UNSHUFFLED_FACTOR) } else { factor };
    let enlarged = match total {
        1 => padded.value.clone(),
        _ => net.graph.resize_linear(&padded.value, [total as f32; 2]),
    };
    let mut x = net.add(&x, &Features { value: enlarged, channels }, "to_img")?;
    if unshuffle > 1 {
        x = net.crop_like(&x, &image, total);
    }
    net.finish(&x)
}

/// A gate, and convolutions of a part of the channels.
///
/// # Errors
/// [`BuildError`] if weights are missing or have a wrong shape.
pub(super) fn gated(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let norm = format!("{name}.norm");
    let normal = if net.has(&format!("{norm}.scale")) {
        net.rms_norm_2d(x, &norm, 1e-6)?
    } else {
        net.layer_norm_2d(x, &norm, 1e-6)?
    };
    let all = net.conv(&normal, &format!("{name}.fc1"))?;
    let (gate, kept, filtered) = net.gate_and_parts(&all, x.channels, name)?;
    let filtered = three_shapes(net, &filtered, &format!("{name}.conv"))?;
    let values = match kept {
        Some(kept) => net.concat(&[&kept, &filtered]),
        None => filtered,
    };
    let gate = net.mish(&gate);
    let mixed = net.mul(&gate, &values);
    let mixed = net.conv(&mixed, &format!("{name}.fc2"))?;
    let mixed = net.mish(&mixed);
    net.add_scaled(x, &mixed, &format!("{name}.gamma"))
}

/// Depthwise convolutions with a square, a wide and a high kernel, each of a part of the channels
/// (InceptionDWConv2d); the first channels stay.
fn three_shapes(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let square = format!("{name}.dwconv_hw");
    let part = net.tensor(&format!("{square}.weight"), 4)?.dims.first().copied().unwrap_or(0);
    let kept = part.checked_mul(3).and_then(|parts| x.channels.checked_sub(parts));
    let Some(kept) = kept.filter(|&kept| kept > 0) else {
        return Err(BuildError::Outputs { layer: square, outputs: part, expected: x.channels / 8 });
    };
    let mut parts = net.split_at(&x.value, 1, &[kept, part, part, part]).into_iter();
    let mut next = |channels: u64| Features { value: parts.next().unwrap_or_default(), channels };
    let (first, rest) = (next(kept), [next(part), next(part), next(part)]);
    let mut all = vec![first];
    for (part, kernel) in rest.iter().zip(["dwconv_hw", "dwconv_w", "dwconv_h"]) {
        all.push(net.depthwise(part, &format!("{name}.{kernel}"))?);
    }
    Ok(net.concat(&all.iter().collect::<Vec<_>>()))
}

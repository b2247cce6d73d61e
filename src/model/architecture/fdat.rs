//! FDAT (`fdat.py` of stinkybread/fdat): a light DAT. Blocks with attention within windows and blocks
//! with attention between channels, by turns.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
};
use crate::model::{Border, Graph, checkpoint::StateDict};

/// The largest side of a window.
const MAX_WINDOW: u64 = 64;

/// The factor of the upsampler of networks that first make the image smaller.
const UNSHUFFLED_FACTOR: u64 = 4;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("groups.0.blocks.0.inter.cg.1.weight") && has("groups.0.blocks.0.ffn.smix.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let unshuffles = weights.get("conv_first.1.weight").is_some();
    let first = if unshuffles { "conv_first.1" } else { "conv_first" };
    let inputs = dim(weights, &format!("{first}.weight"), 1)?;
    // Only networks of three channels do so.
    let unshuffle = if unshuffles { (inputs / 3).isqrt() } else { 1 };
    let channels = inputs / (unshuffle * unshuffle).max(1);
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.input();
    let mut x = image.clone();
    if let Ok(by @ (2 | 4)) = u32::try_from(unshuffle) {
        x = net.pad_to_multiple(&x, by, 0, Border::Reflect);
        let value = net.graph.space_to_depth(&x.value, by, channels as u32);
        x = Features { value, channels: inputs };
    }
    let start = net.conv(&x, first)?;
    let mut x = start.clone();
    for group in net.numbered("groups.{}.conv.weight") {
        let name = format!("groups.{group}");
        let mut inner = net.tokens_of(&x);
        for block in net.numbered(&format!("{name}.blocks.{{}}.n1.weight")) {
            inner = fused(&mut net, &inner, &format!("{name}.blocks.{block}"))?;
        }
        let inner = net.image_of(&inner);
        let inner = net.conv(&inner, &format!("{name}.conv"))?;
        x = net.add(&inner, &x, &name)?;
    }
    let x = net.conv(&x, "conv_after")?;
    let x = net.add(&x, &start, "conv_after")?;
    let (mut x, _) = net.uni_upsample(&x, "upsampler")?;
    if unshuffles {
        x = net.crop_like(&x, &image, UNSHUFFLED_FACTOR / unshuffle.clamp(1, UNSHUFFLED_FACTOR));
    }
    net.finish(&x)
}

/// Attention and a depthwise convolution, of which one weights the other, then dense layers.
fn fused(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let normal = net.layer_norm(x, &format!("{name}.n1"))?;
    let convolved = net.image_of(&normal);
    let convolved = net.depthwise(&convolved, &format!("{name}.conv.0"))?;
    let convolved = net.gelu(&convolved);
    let within_windows = net.has(&format!("{name}.attn.bias"));
    // A block has the weights of both kinds.
    let (by_position, by_channel) = (format!("{name}.inter.sg.0"), format!("{name}.inter.cg"));
    let sum = if within_windows {
        net.ignore(&format!("{by_position}.weight"));
        let attended = windowed(net, &normal, &format!("{name}.attn"))?;
        let attended = net.image_of(&attended);
        let weight = net.global_mean(&convolved);
        let weight = net.conv(&weight, &format!("{by_channel}.1"))?;
        let weight = net.gelu(&weight);
        let weight = net.conv(&weight, &format!("{by_channel}.3"))?;
        let weight = net.sigmoid(&weight);
        let attended = net.mul(&attended, &weight);
        net.add(&attended, &convolved, name)?
    } else {
        for layer in [1, 3] {
            net.ignore(&format!("{by_channel}.{layer}.weight"));
        }
        let parts = net.query_key_value(&normal, &format!("{name}.attn.qkv"))?;
        let attended = net.attend_between_channels(&parts, &format!("{name}.attn.temp"))?;
        let attended = net.linear(&attended, &format!("{name}.attn.proj"))?;
        let attended = net.image_of(&attended);
        let weight = net.conv(&attended, &by_position)?;
        let weight = net.sigmoid(&weight);
        let convolved = net.mul(&convolved, &weight);
        net.add(&attended, &convolved, name)?
    };
    let sum = net.tokens_of(&sum);
    let x = net.add(x, &sum, name)?;
    let normal = net.layer_norm(&x, &format!("{name}.n2"))?;
    let hidden = net.linear(&normal, &format!("{name}.ffn.fc1"))?;
    let hidden = net.gelu(&hidden);
    let hidden = net.image_of(&hidden);
    let hidden = net.depthwise(&hidden, &format!("{name}.ffn.smix"))?;
    let hidden = net.tokens_of(&hidden);
    let dense = net.linear(&hidden, &format!("{name}.ffn.fc2"))?;
    net.add(&x, &dense, name)
}

/// Attention within windows; zeros, which take part in it, continue the image to whole windows.
fn windowed(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let key = format!("{name}.bias");
    let bias = net.tensor(&key, 3)?.clone();
    let &[heads, area, _] = bias.dims.as_slice() else { return Err(wrong_shape(&key, &bias.dims)) };
    let side = area.isqrt();
    if bias.dims != [heads, side * side, side * side] || side > MAX_WINDOW {
        return Err(wrong_shape(&key, &bias.dims));
    }
    let windows = Windows::square(side as u32);
    let bias = net.graph.constant(&key, bias);
    let image = net.image_of(x);
    let padded = net.pad_to_multiple(&image, side as u32, 0, Border::Zero);
    let padded = net.tokens_of(&padded);
    let inside = net.windowed(&padded, windows);
    let [query, key, value] = &net.query_key_value(&inside, &format!("{name}.qkv"))?;
    let attended = net.attend(&Operands {
        query,
        key,
        value,
        positions: [windows.area(); 2],
        heads,
        similarity: Similarity::product(x.channels, heads),
        bias: Some(&bias),
        mask: None,
    })?;
    let attended = net.linear(&attended, &format!("{name}.proj"))?;
    let attended = net.unwindowed(&attended, windows, &padded);
    let attended = net.image_of(&attended);
    let attended = net.crop_like(&attended, &image, 1);
    Ok(net.tokens_of(&attended))
}

//! DCTLSA (`DCTLSA.py` of zengkun301/DCTLSA): densely connected groups of linear attention within
//! windows.

use super::{
    Hints,
    activation::Activation,
    attention::Windows,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::{Border, Graph, checkpoint::StateDict};

/// The side of windows, which the weights do not determine.
const SIDE: u32 = 16;

/// The heads of attention, which the weights do not determine.
const HEADS: u64 = 5;

const LEAKY: Activation = Activation::LeakyRelu(0.05);

/// The groups.
const GROUPS: usize = 6;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("fea_conv.weight") && has("B1.body.0.transformer_body.0.blocks.0.attn.qkv.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "fea_conv.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.input();
    let start = net.conv(&image, "fea_conv")?;
    let mut x = start.clone();
    let (mut dense, mut outputs) = (start.clone(), Vec::new());
    for group in 1..=GROUPS {
        for part in
            net.numbered(&format!("B{group}.body.{{}}.transformer_body.0.blocks.0.mlp.fc1.weight"))
        {
            x = shifted(&mut net, &x, &format!("B{group}.body.{part}.transformer_body.0"))?;
        }
        outputs.push(x.clone());
        if group < GROUPS {
            dense = net.concat(&[&dense, &x]);
            x = net.conv(&dense, &format!("c{group}.0"))?;
            x = net.activate(&x, LEAKY);
        }
    }
    let all = net.concat(&outputs.iter().collect::<Vec<_>>());
    let x = net.conv(&all, "c.0")?;
    let x = net.activate(&x, LEAKY);
    let x = net.conv(&x, "LR_conv")?;
    let x = net.add(&x, &start, "LR_conv")?;
    let x = net.conv(&x, "upsampler.0")?;
    let factor = shuffle_factor(x.channels, channels, "upsampler.0")?;
    let x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

/// Blocks, of which every second one rolls the image by half a window.
fn shifted(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let padded = net.pad_to_multiple(x, SIDE, 0, Border::Reflect);
    let tokens = net.tokens_of(&padded);
    let mut tokens = net.layer_norm(&tokens, &format!("{name}.patch_embed.norm"))?;
    for block in net.numbered(&format!("{name}.blocks.{{}}.mlp.fc1.weight")) {
        let name = format!("{name}.blocks.{block}");
        let by = if block % 2 == 1 { i64::from(SIDE / 2) } else { 0 };
        let moved = net.rolled(&tokens, by);
        let attended = attention(net, &moved, &format!("{name}.attn"))?;
        let attended = net.rolled(&attended, -by);
        let dense = net.mlp(&attended, &format!("{name}.mlp"))?;
        tokens = net.add(&attended, &dense, &name)?;
    }
    let image = net.image_of(&tokens);
    Ok(net.crop_like(&image, x, 1))
}

/// Linear attention within windows, plus convolutions of the input.
fn attention(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    if !x.channels.is_multiple_of(HEADS) {
        return Err(BuildError::Indivisible { channels: x.channels, divisor: HEADS });
    }
    let image = net.image_of(x);
    let local = format!("{name}.local");
    let inner = net.batch_norm(&image, &format!("{local}.pointwise_prenorm_0"), 1e-5)?;
    let inner = net.conv(&inner, &format!("{local}.pointwise_conv_0"))?;
    let inner = net.depthwise(&inner, &format!("{local}.depthwise_conv"))?;
    let inner = net.batch_norm(&inner, &format!("{local}.pointwise_prenorm_1"), 1e-5)?;
    let inner = net.conv(&inner, &format!("{local}.pointwise_conv_1"))?;
    let local = net.add(&inner, &image, name)?;
    let local = net.tokens_of(&local);

    let windows = Windows::square(SIDE);
    let inside = net.windowed(&local, windows);
    let parts = net.query_key_value(&inside, &format!("{name}.qkv"))?;
    let area = windows.area().cast_signed();
    let depth = x.channels / HEADS;
    // N×R×K×heads×positions×depth
    let [query, key, value] = parts.map(|part| {
        let split = [0, 0, 0, area, HEADS.cast_signed(), depth.cast_signed()];
        let part = net.reshape(&part.value, &split);
        net.transpose(&part, &[0, 1, 2, 4, 3, 5])
    });
    let query = net.graph.scale(&query, (depth as f32).powf(-0.5));
    // The shares of positions, for each channel.
    let key = net.transpose(&key, &[0, 1, 2, 3, 5, 4]);
    let key = net.softmax(&key);
    let mixed = net.graph.push("MatMul", &[&key, &value], []);
    let mixed = net.graph.push("MatMul", &[&query, &mixed], []);
    let mixed = net.transpose(&mixed, &[0, 1, 2, 4, 3, 5]);
    let value = net.reshape(&mixed, &[0, 0, 0, area, x.channels.cast_signed()]);
    let attended = net.linear(&Features { value, ..*x }, &format!("{name}.proj"))?;
    let attended = net.unwindowed(&attended, windows, &local);
    net.add(&attended, &local, name)
}

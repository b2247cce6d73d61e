//! RGT (`basicsr/archs/rgt_arch.py` of zhengchen1999/RGT): blocks with attention within rectangular
//! windows, as DAT has them, and blocks with attention to a small copy of the image, by turns.
//!
//! Upstream makes that copy even smaller for images of 1024 or more pixels; here it always has a
//! sixteenth of the size, as in training.

use super::{
    Hints,
    dat::{gated, halves_attention, window, windows_of},
    error::BuildError,
    network::{Features, Network, dim},
};
use crate::model::{Graph, Tensor, Window, checkpoint::StateDict};

/// How often the image is reduced to a quarter of its size.
const REDUCTIONS: usize = 2;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.blocks.0.attn.attns.0.pos.pos_proj.weight") && has("layers.0.blocks.0.gamma")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let size = window(weights)?;
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(1.0);
    let shallow = net.conv(&image, "conv_first")?;
    let x = net.tokens_of(&shallow);
    let mut x = net.layer_norm(&x, "before_RG.1")?;
    for group in net.numbered("layers.{}.blocks.0.norm1.weight") {
        let start = x.clone();
        let name = format!("layers.{group}.blocks");
        // Half of the heads belong to each direction of the windows.
        let heads = 2 * dim(weights, &format!("{name}.0.attn.attns.0.pos.pos3.2.weight"), 0)?;
        for block in net.numbered(&format!("{name}.{{}}.norm1.weight")) {
            let name = format!("{name}.{block}");
            let before = x.clone();
            let normal = net.layer_norm(&x, &format!("{name}.norm1"))?;
            let attention = format!("{name}.attn");
            let attended = match block % 2 {
                0 => {
                    for index in 0..2 {
                        net.ignore(&format!("{attention}.attn_mask_{index}"));
                    }
                    let parts = net.query_key_value(&normal, &format!("{attention}.qkv"))?;
                    let attended = halves_attention(
                        &mut net,
                        &parts,
                        &attention,
                        windows_of(size, group, block),
                    )?;
                    let [.., value] = &parts;
                    let value = net.image_of(value);
                    let value = net.depthwise(&value, &format!("{attention}.get_v"))?;
                    let sum = net.add(&attended, &value, &attention)?;
                    let sum = net.tokens_of(&sum);
                    net.linear(&sum, &format!("{attention}.proj"))?
                }
                _ => generalizing(&mut net, &normal, &attention, heads)?,
            };
            x = net.add(&x, &attended, &name)?;
            let normal = net.layer_norm(&x, &format!("{name}.norm2"))?;
            let dense = gated(&mut net, &normal, &format!("{name}.mlp"))?;
            x = net.add(&x, &dense, &name)?;
            let gamma = format!("{name}.gamma");
            let factor = net.vector(&gamma, x.channels)?;
            let factor = net.graph.constant(&gamma, factor);
            let value = net.graph.mul(&before.value, &factor);
            x = net.add(&x, &Features { value, ..before }, &gamma)?;
        }
        x = net.end_group(&x, &start, group)?;
    }
    net.finish_groups(&x, &shallow, &image, 1.0)
}

/// Attention of all positions to those of a small copy of the image.
fn generalizing(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    heads: u64,
) -> Result<Features, BuildError> {
    let group = u32::try_from(x.channels).unwrap_or(u32::MAX);
    let mut small = net.image_of(x);
    for _ in 0..REDUCTIONS {
        let quarter = Window { stride: [4; 2], group, ..Window::default() };
        small = net.conv_window(&small, &format!("{name}.reduction1"), quarter)?;
    }
    let small = net.depthwise(&small, &format!("{name}.dwconv"))?;
    let small = net.conv(&small, &format!("{name}.conv"))?;
    let small = net.tokens_of(&small);
    let small = net.layer_norm(&small, &format!("{name}.norm_act.0"))?;
    let small = net.gelu(&small);
    let query = net.linear(x, &format!("{name}.q"))?;
    let key = net.linear(&small, &format!("{name}.k"))?;
    let value = net.linear(&small, &format!("{name}.v"))?;
    let around = net.image_of(&value);
    let around = net.depthwise(&around, &format!("{name}.cpe"))?;
    let around = net.tokens_of(&around);
    let value = net.add(&value, &around, name)?;
    for part in [&query, &key, &value] {
        if heads == 0 || !part.channels.is_multiple_of(heads) {
            return Err(BuildError::Indivisible { channels: part.channels, divisor: heads });
        }
    }
    // N×heads×positions×depth
    let mut flat = |part: &Features, order: [i64; 4]| {
        let depth = (part.channels / heads).cast_signed();
        let split = net.reshape(&part.value, &[0, -1, heads.cast_signed(), depth]);
        net.transpose(&split, &order)
    };
    let flat_query = flat(&query, [0, 2, 1, 3]);
    let flat_key = flat(&key, [0, 2, 3, 1]);
    let flat_value = flat(&value, [0, 2, 1, 3]);
    let products = net.graph.push("MatMul", &[&flat_query, &flat_key], []);
    let scale = ((query.channels / heads) as f32).powf(-0.5);
    let scale = net.graph.constant("scale", Tensor::from_f32(&[], &[scale]));
    let products = net.graph.mul(&products, &scale);
    let shares = net.softmax(&products);
    let mixed = net.graph.push("MatMul", &[&shares, &flat_value], []);
    let mixed = net.transpose(&mixed, &[0, 2, 1, 3]);
    let shape = net.graph.push("Shape", &[&x.value], []);
    let mixed = Features { value: net.graph.push("Reshape", &[&mixed, &shape], []), ..*x };
    net.linear(&mixed, &format!("{name}.proj"))
}

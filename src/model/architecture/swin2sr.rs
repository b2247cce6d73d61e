//! Swin2SR (`models/network_swin2sr.py` of mv-lab/swin2sr): SwinIR with the attention of Swin
//! transformers V2, which compares angles and computes its position bias.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
    position_bias::expand_bias,
};
use crate::model::{Graph, checkpoint::StateDict};

/// The largest side of a window.
const MAX_WINDOW: u64 = 64;

/// The largest factor of similarity.
const MAX_FACTOR: f32 = 100.0;

/// The range of the position bias: from 0 to this.
const BIAS_RANGE: f32 = 16.0;

const FIRST: &str = "layers.0.residual_group.blocks.0.attn.relative_coords_table";

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.residual_group.blocks.0.attn.cpb_mlp.0.weight") && has("patch_embed.proj.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let differences = dim(weights, FIRST, 1)?;
    let side = differences.div_ceil(2);
    if side > MAX_WINDOW || differences % 2 == 0 || side < 2 {
        return Err(wrong_shape(FIRST, &[1, differences]));
    }
    let windows = Windows::square(side as u32);
    // Networks against JPEG artefacts have windows of 7, and this range.
    let range = if side == 7 { 255.0 } else { 1.0 };
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(range);
    let shallow = net.conv(&image, "conv_first")?;
    let mut x = net.patch_embedding(&shallow)?;
    let masks = [None, net.window_mask(&x, windows.shifted(true))];
    for group in net.numbered("layers.{}.residual_group.blocks.0.norm1.weight") {
        let start = x.clone();
        let name = format!("layers.{group}.residual_group.blocks");
        for block in net.numbered(&format!("{name}.{{}}.norm1.weight")) {
            let name = format!("{name}.{block}");
            // Networks trained on images of one window have no shifts.
            let is_shifted = net.has(&format!("{name}.attn_mask"));
            net.ignore(&format!("{name}.attn_mask"));
            let mask = masks.get(usize::from(is_shifted)).and_then(Option::as_deref);
            x = normalized_after(&mut net, &x, &name, windows.shifted(is_shifted), mask)?;
        }
        x = net.end_group(&x, &start, group)?;
    }
    if net.has("conv_bicubic.weight") {
        return with_bicubic(net, &x, &shallow, &image, range);
    }
    net.finish_groups(&x, &shallow, &image, range)
}

/// A block: attention and two dense layers, each normalized and added to its input.
fn normalized_after(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    windows: Windows,
    mask: Option<&str>,
) -> Result<Features, BuildError> {
    let attended = attention(net, x, &format!("{name}.attn"), windows, mask)?;
    let normal = net.layer_norm(&attended, &format!("{name}.norm1"))?;
    let x = net.add(x, &normal, name)?;
    let dense = net.mlp(&x, &format!("{name}.mlp"))?;
    let normal = net.layer_norm(&dense, &format!("{name}.norm2"))?;
    net.add(&x, &normal, name)
}

fn attention(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    windows: Windows,
    mask: Option<&str>,
) -> Result<Features, BuildError> {
    let (bias, heads) = computed_bias(net, name, windows)?;
    let (factors, dims) = net.values(&format!("{name}.logit_scale"))?;
    if dims != [heads, 1, 1] {
        return Err(wrong_shape(&format!("{name}.logit_scale"), &dims));
    }
    let factors: Vec<f32> = factors.iter().map(|factor| factor.exp().min(MAX_FACTOR)).collect();
    let factors = net.graph.constant_f32(&format!("{name}.factor"), &dims, &factors);
    let inside = net.windowed(x, windows);
    let [query, key, value] = net.query_key_value(&inside, &format!("{name}.qkv"))?;
    let query = plus_bias(net, &query, &format!("{name}.q_bias"))?;
    let value = plus_bias(net, &value, &format!("{name}.v_bias"))?;
    let attended = net.attend(&Operands {
        query: &query,
        key: &key,
        value: &value,
        positions: [windows.area(); 2],
        heads,
        similarity: Similarity::Cosine(&factors),
        bias: Some(&bias),
        mask,
    })?;
    let attended = net.linear(&attended, &format!("{name}.proj"))?;
    Ok(net.unwindowed(&attended, windows, x))
}

/// The tokens plus the bias `name`, if there is one.
fn plus_bias(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    if !net.has(name) {
        return Ok(x.clone());
    }
    let bias = net.vector(name, x.channels)?;
    let bias = net.graph.constant(name, bias);
    Ok(Features { value: net.graph.add(&x.value, &bias), ..*x })
}

/// The position bias that two dense layers compute from differences of positions, and its heads.
fn computed_bias(
    net: &mut Network<'_>,
    name: &str,
    windows: Windows,
) -> Result<(String, u64), BuildError> {
    let table = format!("{name}.relative_coords_table");
    let (differences, dims) = net.values(&table)?;
    let [rows, columns] = windows.size;
    if dims != [1, 2 * u64::from(rows) - 1, 2 * u64::from(columns) - 1, 2] {
        return Err(wrong_shape(&table, &dims));
    }
    let (mut hidden, width) = net.dense_rows(&differences, 2, &format!("{name}.cpb_mlp.0"))?;
    hidden.iter_mut().for_each(|value| *value = value.max(0.0));
    let (mut values, heads) = net.dense_rows(&hidden, width, &format!("{name}.cpb_mlp.2"))?;
    values.iter_mut().for_each(|value| *value = BIAS_RANGE / (1.0 + (-*value).exp()));
    net.spend_bias(heads, windows.size, windows.size)?;
    let bias = expand_bias(&values, heads, [rows; 2], [columns; 2])
        .ok_or_else(|| wrong_shape(&table, &dims))?;
    Ok((net.graph.constant(name, bias), heads))
}

/// The end of networks for compressed images (`pixelshuffle_aux`): the features of a small output
/// are enlarged and added to those of the image, enlarged by bicubic interpolation.
fn with_bicubic(
    mut net: Network<'_>,
    x: &Features,
    shallow: &Features,
    image: &Features,
    range: f32,
) -> Result<Graph, BuildError> {
    let x = net.layer_norm(x, "norm")?;
    let x = net.image_of(&x);
    let x = net.one_or_three(&x, "conv_after_body")?;
    let x = net.add(&x, shallow, "conv_after_body")?;
    let x = net.conv(&x, "conv_before_upsample.0")?;
    let x = net.leaky_default(&x);
    let small = net.conv(&x, "conv_aux")?;
    let x = net.conv(&small, "conv_after_aux.0")?;
    let x = net.leaky_default(&x);
    let (x, factor) = net.shuffled_up(&x)?;
    let value = net.graph.resize_cubic(&image.value, [factor as f32; 2]);
    let enlarged = net.conv(&Features { value, ..*image }, "conv_bicubic")?;
    let x = net.add(&x, &enlarged, "conv_bicubic")?;
    let x = net.conv(&x, "conv_last")?;
    let x = net.with_mean(&x, range);
    net.finish(&x)
}

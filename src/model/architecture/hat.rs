//! HAT (`hat/archs/hat_arch.py` of XPixelGroup/HAT): SwinIR with channel attention in parallel with the
//! attention within windows, and attention from each window to a larger one around it.

use super::{
    Hints,
    activation::Activation,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
    swinir::window_of_table,
};
use crate::model::{Attribute, Graph, Tensor, checkpoint::StateDict};

/// The factor of the convolutions in parallel with the attention.
const CONV_SCALE: f32 = 0.01;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.residual_group.blocks.0.conv_block.cab.0.weight")
        && has("layers.0.residual_group.overlap_attn.relative_position_bias_table")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let table = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table";
    let side = window_of_table(weights, table)?;
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(1.0);
    let shallow = net.conv(&image, "conv_first")?;
    let mut x = net.patch_embedding(&shallow)?;
    let windows = Windows::square(side);
    let masks = [None, net.window_mask(&x, windows.shifted(true))];
    for group in net.numbered("layers.{}.residual_group.blocks.0.norm1.weight") {
        let start = x.clone();
        let name = format!("layers.{group}.residual_group");
        for block in net.numbered(&format!("{name}.blocks.{{}}.norm1.weight")) {
            let shifted = block % 2 == 1;
            let mask = masks.get(usize::from(shifted)).and_then(Option::as_deref);
            let windows = windows.shifted(shifted);
            x = hybrid(&mut net, &x, &format!("{name}.blocks.{block}"), windows, mask)?;
        }
        x = overlapping(&mut net, &x, &format!("{name}.overlap_attn"), windows)?;
        let deep = net.image_of(&x);
        let deep = if net.has(&format!("layers.{group}.conv.weight")) {
            net.conv(&deep, &format!("layers.{group}.conv"))?
        } else {
            deep
        };
        let deep = net.tokens_of(&deep);
        x = net.add(&deep, &start, &name)?;
    }
    let x = net.layer_norm(&x, "norm")?;
    let x = net.image_of(&x);
    let x = if net.has("conv_after_body.weight") { net.conv(&x, "conv_after_body")? } else { x };
    net.finish_body(&x, &shallow, &image, 1.0)
}

/// Attention within windows, plus convolutions with channel attention, then two dense layers.
fn hybrid(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    windows: Windows,
    mask: Option<&str>,
) -> Result<Features, BuildError> {
    let normal = net.layer_norm(x, &format!("{name}.norm1"))?;
    let convolved = net.image_of(&normal);
    let convolved = channel_attention(net, &convolved, &format!("{name}.conv_block.cab"))?;
    let convolved = net.scale(&convolved, CONV_SCALE);
    let convolved = net.tokens_of(&convolved);
    let attended = net.window_attention(&normal, &format!("{name}.attn"), windows, mask)?;
    let sum = net.add(x, &attended, name)?;
    let x = net.add(&sum, &convolved, name)?;
    let normal = net.layer_norm(&x, &format!("{name}.norm2"))?;
    let dense = net.mlp(&normal, &format!("{name}.mlp"))?;
    net.add(&x, &dense, name)
}

fn channel_attention(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let x = net.conv(x, &format!("{name}.0"))?;
    let x = net.gelu(&x);
    let x = net.conv(&x, &format!("{name}.2"))?;
    let gate = net.global_mean(&x);
    let gate = net.conv(&gate, &format!("{name}.3.attention.1"))?;
    let gate = net.activate(&gate, Activation::Relu);
    let gate = net.conv(&gate, &format!("{name}.3.attention.3"))?;
    let gate = net.sigmoid(&gate);
    Ok(net.mul(&x, &gate))
}

/// Attention from the positions of each window to those of a larger one around it, which zeros
/// continue beyond the image; then two dense layers.
fn overlapping(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    windows: Windows,
) -> Result<Features, BuildError> {
    let [side, _] = windows.size;
    let table = format!("{name}.relative_position_bias_table");
    let (values, dims) = net.values(&table)?;
    let &[rows, heads] = dims.as_slice() else { return Err(wrong_shape(&table, &dims)) };
    // Rows: (side + outer − 1)².
    let outer = (rows.isqrt() + 1).saturating_sub(side.into());
    let outer = u32::try_from(outer).unwrap_or(0);
    let is_valid = (u64::from(side + outer).saturating_sub(1)).pow(2) == rows
        && (side..=2 * side).contains(&outer)
        && (outer - side) % 2 == 0;
    if !is_valid {
        return Err(wrong_shape(&table, &dims));
    }
    net.spend_bias(heads, [side; 2], [outer; 2])?;
    let bias = overlapping_bias(&values, heads, side.into(), outer.into())
        .ok_or_else(|| wrong_shape(&table, &dims))?;
    let bias = net.graph.constant(&table, bias);
    let normal = net.layer_norm(x, &format!("{name}.norm1"))?;
    let [query, key, value] = net.query_key_value(&normal, &format!("{name}.qkv"))?;
    let query = net.windowed(&query, windows);
    let margin = (outer - side) / 2;
    let key = net.windows_around(&key, windows, margin);
    let value = net.windows_around(&value, windows, margin);
    let attended = net.attend(&Operands {
        query: &query,
        key: &key,
        value: &value,
        positions: [windows.area(), u64::from(outer) * u64::from(outer)],
        heads,
        similarity: Similarity::product(x.channels, heads),
        bias: Some(&bias),
        mask: None,
    })?;
    let attended = net.unwindowed(&attended, windows, x);
    let attended = net.linear(&attended, &format!("{name}.proj"))?;
    let x = net.add(&attended, x, name)?;
    let normal = net.layer_norm(&x, &format!("{name}.norm2"))?;
    let dense = net.mlp(&normal, &format!("{name}.mlp"))?;
    net.add(&x, &dense, name)
}

/// The position bias heads × positions of the window × positions of the larger one. Upstream's
/// rows of the table can be negative, and then count from its end.
fn overlapping_bias(table: &[f32], heads: u64, side: u64, outer: u64) -> Option<Tensor> {
    let [side, outer, count] = [side, outer, heads].map(|size| i64::try_from(size).unwrap_or(0));
    let width = side + outer - 1;
    let first = side - outer + 1;
    let mut bias = Vec::new();
    for head in 0..count {
        for query in 0..side * side {
            for key in 0..outer * outer {
                let down = key / outer - query / side + first;
                let across = key % outer - query % side + first;
                let row = (down * width + across).rem_euclid(width * width);
                bias.push(*table.get(usize::try_from(row * count + head).ok()?)?);
            }
        }
    }
    let dims = [heads, (side * side).cast_unsigned(), (outer * outer).cast_unsigned()];
    Some(Tensor::from_f32(&dims, &bias))
}

impl Network<'_> {
    /// Tokens N×H×W×C in windows that extend those of `windows` by `margin` positions on each
    /// side: N×R×K×P×C.
    fn windows_around(&mut self, x: &Features, windows: Windows, margin: u32) -> Features {
        let [rows, columns] = windows.size.map(i64::from);
        let margin = i64::from(margin);
        let pads = [0, margin, margin, 0, 0, margin, margin, 0];
        let pads = self.graph.constant_i64("pads", &pads);
        let mode = [("mode", Attribute::Text("constant".into()))];
        let padded = self.graph.push("Pad", &[&x.value, &pads], mode);
        // Each larger window is put together from shifted copies of the small ones.
        let mut bands = Vec::new();
        let channels = x.channels.cast_signed();
        let offsets = |side: i64| {
            let outer = side + 2 * margin;
            let mut parts = Vec::new();
            let mut start = 0;
            while start < outer {
                let length = side.min(outer - start);
                parts.push((start, length));
                start += length;
            }
            parts
        };
        for &(top, height) in &offsets(rows) {
            let mut parts = Vec::new();
            for &(left, width) in &offsets(columns) {
                let moved = self.moved(&padded, [top, left], [2 * margin; 2]);
                let inside = self.windowed(&Features { value: moved, ..*x }, windows);
                let part = self.reshape(&inside.value, &[0, 0, 0, rows, columns, channels]);
                parts.push(self.first_positions(&part, [height, width]));
            }
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            bands.push(self.graph.concat(&parts, 4));
        }
        let bands: Vec<&str> = bands.iter().map(String::as_str).collect();
        let whole = self.graph.concat(&bands, 3);
        let area = (rows + 2 * margin) * (columns + 2 * margin);
        Features { value: self.reshape(&whole, &[0, 0, 0, area, channels]), ..*x }
    }

    /// Tokens that are `extra` positions larger than the image, cut to its size from `offset` on;
    /// beyond the end there are zeros.
    fn moved(&mut self, x: &str, [top, left]: [i64; 2], [down, across]: [i64; 2]) -> String {
        let pads = [0, -top, -left, 0, 0, top - down, left - across, 0];
        let pads = self.graph.constant_i64("pads", &pads);
        let mode = [("mode", Attribute::Text("constant".into()))];
        self.graph.push("Pad", &[x, &pads], mode)
    }

    /// The first rows and columns within each window, of N×R×K×rows×columns×C.
    fn first_positions(&mut self, x: &str, [rows, columns]: [i64; 2]) -> String {
        let start = self.graph.constant_i64("start", &[0, 0]);
        let end = self.graph.constant_i64("end", &[rows, columns]);
        let axes = self.graph.constant_i64("axes", &[3, 4]);
        self.graph.push("Slice", &[x, &start, &end, &axes], [])
    }
}

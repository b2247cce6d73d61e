//! SwinIR (`models/network_swinir.py` of JingyunLiang/SwinIR): residual groups of transformer
//! blocks, whose attention is within windows that every second block shifts by half.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The largest side of a window.
const MAX_WINDOW: u32 = 64;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.residual_group.blocks.0.attn.relative_position_bias_table")
        && has("layers.0.residual_group.blocks.0.attn.qkv.weight")
        && !has("layers.0.residual_group.blocks.0.conv_block.cab.0.weight")
}

/// The side of square windows, from the rows of their table of position biases.
///
/// # Errors
/// [`BuildError`] unless there is such a side.
pub(super) fn window_of_table(weights: &StateDict, table: &str) -> Result<u32, BuildError> {
    let rows = dim(weights, table, 0)?;
    let side = u32::try_from(rows.isqrt().div_ceil(2)).unwrap_or(u32::MAX);
    let differences = u64::from(side).saturating_mul(2).saturating_sub(1);
    if side <= MAX_WINDOW && differences * differences == rows {
        Ok(side)
    } else {
        Err(super::network::wrong_shape(table, &[rows]))
    }
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let table = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table";
    let side = window_of_table(weights, table)?;
    // Networks against JPEG artefacts have windows of 7, and this range.
    let range = if side == 7 { 255.0 } else { 1.0 };
    let first =
        if weights.get("conv_first.1.weight").is_some() { "conv_first.1" } else { "conv_first" };
    let inputs = dim(weights, &format!("{first}.weight"), 1)?;
    let unshuffle = match (first, inputs / 3) {
        ("conv_first", _) => 1,
        (_, area) => area.isqrt(),
    };
    let channels = inputs / (unshuffle * unshuffle).max(1);
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(range);
    let mut x = image.clone();
    if let Ok(factor @ 2..=8) = u32::try_from(unshuffle) {
        let value = net.graph.space_to_depth(&x.value, factor, channels as u32);
        x = Features { value, channels: inputs };
    }
    let shallow = net.conv(&x, first)?;
    let mut x = net.patch_embedding(&shallow)?;
    let windows = Windows::square(side);
    let masks = [None, net.window_mask(&x, windows.shifted(true))];
    for group in net.numbered("layers.{}.residual_group.blocks.0.norm1.weight") {
        let start = x.clone();
        let name = format!("layers.{group}.residual_group.blocks");
        for block in net.numbered(&format!("{name}.{{}}.norm1.weight")) {
            let shifted = block % 2 == 1;
            let mask = masks.get(usize::from(shifted)).and_then(Option::as_deref);
            x = net.swin_block(&x, &format!("{name}.{block}"), windows.shifted(shifted), mask)?;
        }
        x = net.end_group(&x, &start, group)?;
    }
    net.finish_groups(&x, &shallow, &image, range)
}

impl Network<'_> {
    /// A Swin transformer block: attention and two dense layers, each with a residual connection.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn swin_block(
        &mut self,
        x: &Features,
        name: &str,
        windows: Windows,
        mask: Option<&str>,
    ) -> Result<Features, BuildError> {
        self.ignore(&format!("{name}.attn_mask"));
        let normal = self.layer_norm(x, &format!("{name}.norm1"))?;
        let attended = self.window_attention(&normal, &format!("{name}.attn"), windows, mask)?;
        let x = self.add(x, &attended, name)?;
        let normal = self.layer_norm(&x, &format!("{name}.norm2"))?;
        let dense = self.mlp(&normal, &format!("{name}.mlp"))?;
        self.add(&x, &dense, name)
    }

    /// Attention within windows, with the dense layers `name.qkv` and `name.proj` around it.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn window_attention(
        &mut self,
        x: &Features,
        name: &str,
        windows: Windows,
        mask: Option<&str>,
    ) -> Result<Features, BuildError> {
        let table = format!("{name}.relative_position_bias_table");
        let (bias, heads) = self.position_bias(&table, windows.size)?;
        let inside = self.windowed(x, windows);
        let [query, key, value] = &self.query_key_value(&inside, &format!("{name}.qkv"))?;
        let attended = self.attend(&Operands {
            query,
            key,
            value,
            positions: [windows.area(); 2],
            heads,
            similarity: Similarity::product(x.channels, heads),
            bias: Some(&bias),
            mask,
        })?;
        let attended = self.linear(&attended, &format!("{name}.proj"))?;
        Ok(self.unwindowed(&attended, windows, x))
    }
}

//! SCUNet (`models/network_scunet.py` of cszn/SCUNet): a U-Net against unknown noise, with attention
//! within windows for one half of the channels and convolutions for the other.

use super::{
    Hints,
    activation::Activation,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    kair_unet::{Blocks, DEPTH, Place},
    network::{Features, Network, dim, missing, wrong_shape},
    position_bias::expand_bias,
};
use crate::model::{Graph, checkpoint::StateDict};

/// The largest side of a window.
const MAX_WINDOW: u64 = 64;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("m_head.0.weight") && has("m_body.0.trans_block.msa.relative_position_params")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "m_head.0.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.input();
    let start = net.conv(&image, "m_head.0")?;
    let blocks = Blocks { marker: "conv1_1.weight", compute: &block };
    let levels = blocks.descend(&mut net, &start)?;
    let deepest = levels.last().unwrap_or(&start);
    let (x, _) = blocks.run(&mut net, deepest, ("m_body", 0), DEPTH)?;
    let x = blocks.ascend(&mut net, &x, &levels)?;
    let x = net.conv(&x, "m_tail.0")?;
    net.finish(&x)
}

/// Convolutions of one half of the channels and a transformer block of the other, plus the input.
fn block(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    at: Place,
) -> Result<Features, BuildError> {
    let mixed = net.conv(x, &format!("{name}.conv1_1"))?;
    let half = mixed.channels / 2;
    let parts = net.split_at(&mixed.value, 1, &[half, mixed.channels - half]);
    let [first, second] = parts.as_slice() else { return Err(missing(name)) };
    let start = Features { value: first.clone(), channels: half };
    let inner = net.conv(&start, &format!("{name}.conv_block.0"))?;
    let inner = net.activate(&inner, Activation::Relu);
    let inner = net.conv(&inner, &format!("{name}.conv_block.2"))?;
    let convolved = net.add(&inner, &start, name)?;
    let second = Features { value: second.clone(), channels: mixed.channels - half };
    let tokens = net.tokens_of(&second);
    let tokens = transformer(net, &tokens, &format!("{name}.trans_block"), at.index % 2 == 1)?;
    let attended = net.image_of(&tokens);
    let joined = net.concat(&[&convolved, &attended]);
    let joined = net.conv(&joined, &format!("{name}.conv1_2"))?;
    net.add(x, &joined, name)
}

/// Attention within windows and two dense layers, each with a residual connection.
fn transformer(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    is_shifted: bool,
) -> Result<Features, BuildError> {
    let normal = net.layer_norm(x, &format!("{name}.ln1"))?;
    let attended = attention(net, &normal, &format!("{name}.msa"), is_shifted)?;
    let x = net.add(x, &attended, name)?;
    let normal = net.layer_norm(&x, &format!("{name}.ln2"))?;
    let dense = net.linear(&normal, &format!("{name}.mlp.0"))?;
    let dense = net.gelu(&dense);
    let dense = net.linear(&dense, &format!("{name}.mlp.2"))?;
    net.add(&x, &dense, name)
}

fn attention(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    is_shifted: bool,
) -> Result<Features, BuildError> {
    let (bias, heads, windows) = position_bias(net, &format!("{name}.relative_position_params"))?;
    let windows = windows.shifted(is_shifted);
    let mask = net.window_mask(x, windows);
    let inside = net.windowed(x, windows);
    let [query, key, value] = &net.query_key_value(&inside, &format!("{name}.embedding_layer"))?;
    let attended = net.attend(&Operands {
        query,
        key,
        value,
        positions: [windows.area(); 2],
        heads,
        similarity: Similarity::product(x.channels, heads),
        bias: Some(&bias),
        mask: mask.as_deref(),
    })?;
    let attended = net.linear(&attended, &format!("{name}.linear"))?;
    Ok(net.unwindowed(&attended, windows, x))
}

/// The position bias, the number of heads, and the windows, from a table heads × (2·side − 1) ×
/// (2·side − 1).
fn position_bias(net: &mut Network<'_>, table: &str) -> Result<(String, u64, Windows), BuildError> {
    let (values, dims) = net.values(table)?;
    let &[heads, rows, columns] = dims.as_slice() else { return Err(wrong_shape(table, &dims)) };
    let side = rows.div_ceil(2);
    if rows != columns || rows % 2 == 0 || side > MAX_WINDOW {
        return Err(wrong_shape(table, &dims));
    }
    let windows = Windows::square(side as u32);
    net.spend_bias(heads, windows.size, windows.size)?;
    // One row per difference of positions, one column per head.
    let differences = (rows * columns) as usize;
    let by_difference: Vec<f32> = (0..differences)
        .flat_map(|difference| values.iter().skip(difference).step_by(differences).copied())
        .collect();
    let bias = expand_bias(&by_difference, heads, [side as u32; 2], [side as u32; 2])
        .ok_or_else(|| wrong_shape(table, &dims))?;
    Ok((net.graph.constant(table, bias), heads, windows))
}

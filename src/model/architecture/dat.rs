//! DAT (`basicsr/archs/dat_arch.py` of zhengchen1999/DAT): blocks with attention within rectangular
//! windows and blocks with attention between channels, by turns.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
    position_bias::expand_bias,
};
use crate::model::{Border, Graph, Tensor, checkpoint::StateDict};

/// The largest side of a window.
const MAX_WINDOW: u32 = 64;

const FIRST_BIASES: &str = "layers.0.blocks.0.attn.attns.0.rpe_biases";

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.blocks.0.attn.attns.0.pos.pos_proj.weight")
        && has("layers.0.blocks.0.ffn.sg.norm.weight")
}

/// The rows and columns of windows: the largest differences of positions, plus 1.
///
/// # Errors
/// [`BuildError`] if the weights have no such differences.
pub(super) fn window(weights: &StateDict) -> Result<[u32; 2], BuildError> {
    let count = dim(weights, FIRST_BIASES, 0)?;
    let values = weights.get(FIRST_BIASES).and_then(Tensor::to_f32).unwrap_or_default();
    if let &[.., rows, columns] = values.as_slice() {
        let size = [rows, columns].map(|largest| (largest + 1.0).clamp(0.0, 1e6) as u32);
        let [rows, columns] = size.map(|side| (2 * u64::from(side)).saturating_sub(1));
        let is_valid = size.iter().all(|side| (1..=MAX_WINDOW).contains(side));
        if is_valid && rows * columns == count {
            return Ok(size);
        }
    }
    Err(wrong_shape(FIRST_BIASES, &[count]))
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let [rows, columns] = window(weights)?;
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(1.0);
    let shallow = net.conv(&image, "conv_first")?;
    let x = net.tokens_of(&shallow);
    let mut x = net.layer_norm(&x, "before_RG.1")?;
    for group in net.numbered("layers.{}.blocks.0.norm1.weight") {
        let start = x.clone();
        let name = format!("layers.{group}.blocks");
        for block in net.numbered(&format!("{name}.{{}}.norm1.weight")) {
            let windows = windows_of([rows, columns], group, block);
            let name = format!("{name}.{block}");
            let normal = net.layer_norm(&x, &format!("{name}.norm1"))?;
            let attention = format!("{name}.attn");
            let attended = match block % 2 {
                0 => spatial(&mut net, &normal, &attention, windows)?,
                _ => between_channels(&mut net, &normal, &attention)?,
            };
            x = net.add(&x, &attended, &name)?;
            let normal = net.layer_norm(&x, &format!("{name}.norm2"))?;
            let dense = gated(&mut net, &normal, &format!("{name}.ffn"))?;
            x = net.add(&x, &dense, &name)?;
        }
        x = net.end_group(&x, &start, group)?;
    }
    net.finish_groups(&x, &shallow, &image, 1.0)
}

/// The windows of a block: every second block of two shifts them by half.
pub(super) fn windows_of(size: [u32; 2], group: usize, block: usize) -> Windows {
    let is_shifted = match group % 2 {
        0 => block % 4 == 2,
        _ => block.is_multiple_of(4),
    };
    Windows { size, shift: [0; 2] }.shifted(is_shifted)
}

/// Attention of one half of the channels within windows, of the other within turned windows.
fn spatial(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    windows: Windows,
) -> Result<Features, BuildError> {
    for index in 0..2 {
        net.ignore(&format!("{name}.attn_mask_{index}"));
    }
    let parts = net.query_key_value(x, &format!("{name}.qkv"))?;
    let [.., value] = &parts;
    let convolved = convolution(net, value, name)?;
    let attended = halves_attention(net, &parts, name, windows)?;
    // Each side weights the other: by channel, and by position.
    let by_channel = channel_map(net, &convolved, name)?;
    let by_position = position_map(net, &attended, name)?;
    let attended = net.mul(&attended, &by_channel);
    let convolved = net.mul(&convolved, &by_position);
    projected(net, &attended, &convolved, name)
}

/// Attention of one half of the channels within windows, of the other within turned windows: an
/// image. `parts` are query, key and value as tokens.
///
/// # Errors
/// [`BuildError`] if weights are missing or have a wrong shape.
pub(super) fn halves_attention(
    net: &mut Network<'_>,
    parts: &[Features; 3],
    name: &str,
    windows: Windows,
) -> Result<Features, BuildError> {
    let [x, ..] = parts;
    let [rows, columns] = windows.size;
    let half = x.channels / 2;
    // Zeros continue queries, keys and values to whole windows.
    let mut halves: [Vec<Features>; 2] = [Vec::new(), Vec::new()];
    for part in parts {
        let image = net.image_of(part);
        let padded = net.pad_to_multiple(&image, rows.max(columns), 0, Border::Zero);
        let padded = net.tokens_of(&padded);
        let values = net.split_at(&padded.value, 3, &[half, x.channels - half]);
        for ((to, value), channels) in halves.iter_mut().zip(values).zip([half, x.channels - half])
        {
            to.push(Features { value, channels });
        }
    }
    let turned = |[a, b]: [u32; 2]| [b, a];
    let both = [windows, Windows { size: turned(windows.size), shift: turned(windows.shift) }];
    let mut attended = Vec::new();
    for (index, (parts, windows)) in halves.iter().zip(both).enumerate() {
        let [query, key, value] = parts.as_slice() else { continue };
        let (bias, heads) = dynamic_bias(net, &format!("{name}.attns.{index}"), windows.size)?;
        let mask = net.window_mask(query, windows);
        let [inside_query, inside_key, inside_value] =
            [query, key, value].map(|part| net.windowed(part, windows));
        let result = net.attend(&Operands {
            query: &inside_query,
            key: &inside_key,
            value: &inside_value,
            positions: [windows.area(); 2],
            heads,
            similarity: Similarity::product(query.channels, heads),
            bias: Some(&bias),
            mask: mask.as_deref(),
        })?;
        attended.push(net.unwindowed(&result, windows, query));
    }
    let values: Vec<&str> = attended.iter().map(|half| half.value.as_str()).collect();
    let joined = Features { value: net.graph.concat(&values, 3), channels: x.channels };
    let joined = net.image_of(&joined);
    let image = net.image_of(x);
    Ok(net.crop_like(&joined, &image, 1))
}

/// Attention between channels, over the whole image.
fn between_channels(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let parts = net.query_key_value(x, &format!("{name}.qkv"))?;
    let [.., value] = &parts;
    let convolved = convolution(net, value, name)?;
    let attended = net.attend_between_channels(&parts, &format!("{name}.temperature"))?;
    let attended = net.image_of(&attended);
    let by_channel = channel_map(net, &attended, name)?;
    let by_position = position_map(net, &convolved, name)?;
    let attended = net.mul(&attended, &by_position);
    let convolved = net.mul(&convolved, &by_channel);
    projected(net, &attended, &convolved, name)
}

/// The sum of both sides as tokens, through the last dense layer.
fn projected(
    net: &mut Network<'_>,
    attended: &Features,
    convolved: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let sum = net.add(attended, convolved, name)?;
    let sum = net.tokens_of(&sum);
    net.linear(&sum, &format!("{name}.proj"))
}

/// The depthwise convolution of the values: an image.
fn convolution(
    net: &mut Network<'_>,
    value: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let image = net.image_of(value);
    let x = net.depthwise(&image, &format!("{name}.dwconv.0"))?;
    let x = net.batch_norm(&x, &format!("{name}.dwconv.1"), 1e-5)?;
    Ok(net.gelu(&x))
}

/// A weight per channel, from the mean of the image.
fn channel_map(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let mean = net.global_mean(x);
    interaction(net, &mean, &format!("{name}.channel_interaction"), [1, 2, 4])
}

/// A weight per position.
fn position_map(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    interaction(net, x, &format!("{name}.spatial_interaction"), [0, 1, 3])
}

fn interaction(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    [first, norm, last]: [usize; 3],
) -> Result<Features, BuildError> {
    let x = net.conv(x, &format!("{name}.{first}"))?;
    let x = net.batch_norm(&x, &format!("{name}.{norm}"), 1e-5)?;
    let x = net.gelu(&x);
    let x = net.conv(&x, &format!("{name}.{last}"))?;
    Ok(net.sigmoid(&x))
}

/// Two dense layers; a depthwise convolution of one half of the channels between them is a factor
/// of the other.
///
/// # Errors
/// [`BuildError`] if weights are missing or have a wrong shape.
pub(super) fn gated(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let x = net.linear(x, &format!("{name}.fc1"))?;
    let x = net.gelu(&x);
    let half = x.channels / 2;
    let parts = net.split_at(&x.value, 3, &[half, x.channels - half]);
    let [first, second] = parts.as_slice() else {
        return Err(BuildError::Missing(name.to_owned()));
    };
    let second = Features { value: second.clone(), channels: x.channels - half };
    let gate = net.layer_norm(&second, &format!("{name}.sg.norm"))?;
    let gate = net.image_of(&gate);
    let gate = net.depthwise(&gate, &format!("{name}.sg.conv"))?;
    let gate = net.tokens_of(&gate);
    let x = net.mul(&Features { value: first.clone(), channels: half }, &gate);
    net.linear(&x, &format!("{name}.fc2"))
}

/// The position bias that a small network computes from differences of positions, and its heads.
fn dynamic_bias(
    net: &mut Network<'_>,
    name: &str,
    [rows, columns]: [u32; 2],
) -> Result<(String, u64), BuildError> {
    let differences = format!("{name}.rpe_biases");
    let (mut values, dims) = net.values(&differences)?;
    let mut width = 2;
    if dims.get(1) != Some(&width) {
        return Err(wrong_shape(&differences, &dims));
    }
    let mut layers = vec![(None, format!("{name}.pos.pos_proj"))];
    for index in 1..=3 {
        let layer = format!("{name}.pos.pos{index}");
        layers.push((Some(format!("{layer}.0")), format!("{layer}.2")));
    }
    for (norm, layer) in layers {
        if let Some(norm) = norm {
            normalize_rows(net, &mut values, width, &norm)?;
            values.iter_mut().for_each(|value| *value = value.max(0.0));
        }
        (values, width) = net.dense_rows(&values, width, &layer)?;
    }
    net.spend_bias(width, [rows, columns], [rows, columns])?;
    let bias = expand_bias(&values, width, [rows; 2], [columns; 2])
        .ok_or_else(|| wrong_shape(&differences, &dims))?;
    Ok((net.graph.constant(name, bias), width))
}

/// Normalizes each row of `width` values.
fn normalize_rows(
    net: &mut Network<'_>,
    values: &mut [f32],
    width: u64,
    name: &str,
) -> Result<(), BuildError> {
    let weight = net.vector(&format!("{name}.weight"), width)?.to_f32().unwrap_or_default();
    let bias = net.vector(&format!("{name}.bias"), width)?.to_f32().unwrap_or_default();
    for row in values.chunks_exact_mut((width as usize).max(1)) {
        let count = row.len() as f32;
        let mean = row.iter().sum::<f32>() / count;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
        let deviation = (variance + 1e-5).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(&weight).zip(&bias) {
            *value = (*value - mean) / deviation * weight + bias;
        }
    }
    Ok(())
}

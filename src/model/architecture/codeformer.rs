//! CodeFormer (`codeformer_arch.py` of sczhou/CodeFormer): restores one aligned face. An encoder finds
//! features, a transformer chooses an entry of a codebook for each place, and a generator draws the
//! face from the entries and, in part, from the encoder's features.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, missing, wrong_shape},
};
use crate::model::{Attribute, Graph, Tensor, Window, checkpoint::StateDict};

/// How much the encoder's features count, 0..=1: the default of the original program.
const FIDELITY: f32 = 0.5;

/// The groups of all normalizations of images.
const GROUPS: u64 = 32;

/// Added to the variance by normalizations of images.
const EPSILON: f32 = 1e-6;

/// Added to the variances of [`with_statistics_of`].
const STYLE_EPSILON: f32 = 1e-5;

/// The heads of the transformer, which the weights do not determine.
const HEADS: u64 = 8;

/// The maximum number of times that the encoder halves the size.
const MAX_LEVELS: usize = 8;

const LEAKY: Activation = Activation::LeakyRelu(0.2);

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("position_emb") && has("quantize.embedding.weight") && has("encoder.blocks.0.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "encoder.blocks.0.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let encoder = Blocks::of(&net, "encoder.blocks");
    let levels = encoder.count(Block::Resampling);
    let code_side = dim(weights, "position_emb", 0)?.isqrt();
    if levels > MAX_LEVELS || code_side > 1 << MAX_LEVELS {
        return Err(BuildError::TooLarge);
    }
    let side = code_side << levels;
    net.graph.input_dims = vec![None, Some(channels), Some(side), Some(side)];
    let image = net.input();
    let x = net.scale(&image, 2.0);
    let x = Features { value: net.graph.offset(&x.value, &[-1.0]), ..x };
    let (encoded, skips) = encode(&mut net, &encoder, &x, side)?;
    let codes = transform(&mut net, &encoded, code_side)?;
    let codes = with_statistics_of(&mut net, &codes, &encoded, code_side * code_side)?;
    let x = generate(&mut net, &codes, &skips, code_side)?;
    let x = Features { value: net.graph.offset(&x.value, &[1.0]), ..x };
    let x = net.scale(&x, 0.5);
    net.finish(&x)
}

/// The kinds of blocks, which the names of their weights tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Residual,
    Attention,
    /// A convolution with a change of the size.
    Resampling,
    Convolution,
    Normalization,
}

/// The blocks `name.0`, `name.1` and so on.
struct Blocks {
    name: &'static str,
    kinds: Vec<Block>,
}

impl Blocks {
    fn of(net: &Network<'_>, name: &'static str) -> Self {
        const MARKERS: [(&str, Block); 3] = [
            ("norm1.weight", Block::Residual),
            ("q.weight", Block::Attention),
            ("conv.weight", Block::Resampling),
        ];
        let kind = |number: usize| {
            let marked = MARKERS.iter().find(|(end, _)| net.has(&format!("{name}.{number}.{end}")));
            if let Some(&(_, kind)) = marked {
                return Some(kind);
            }
            match net.weights().get(&format!("{name}.{number}.weight"))?.dims.len() {
                1 => Some(Block::Normalization),
                _ => Some(Block::Convolution),
            }
        };
        Self { name, kinds: (0..).map_while(kind).collect() }
    }

    fn count(&self, kind: Block) -> usize {
        self.kinds.iter().filter(|&&own| own == kind).count()
    }

    /// The name and kind of each block.
    fn iter(&self) -> impl Iterator<Item = (String, Block)> + '_ {
        self.kinds
            .iter()
            .enumerate()
            .map(|(number, &kind)| (format!("{}.{number}", self.name), kind))
    }
}

/// The block `name` at this side of the image, except a change of the size.
fn block(
    net: &mut Network<'_>,
    x: &Features,
    (name, kind): (&str, Block),
    side: u64,
) -> Result<Features, BuildError> {
    match kind {
        Block::Residual => residual(net, x, name),
        Block::Attention => attention(net, x, name, side),
        Block::Normalization => net.group_norm_with(x, name, GROUPS, EPSILON),
        Block::Convolution => net.conv(x, name),
        Block::Resampling => Err(missing(name)),
    }
}

/// The features of the image, and those of each size before it is halved, from large to small.
fn encode(
    net: &mut Network<'_>,
    blocks: &Blocks,
    image: &Features,
    side: u64,
) -> Result<(Features, Vec<Features>), BuildError> {
    let (mut x, mut side, mut skips) = (image.clone(), side, Vec::new());
    for (name, kind) in blocks.iter() {
        if kind != Block::Resampling {
            x = block(net, &x, (&name, kind), side)?;
            continue;
        }
        skips.push(x.clone());
        let half = Window { stride: [2; 2], pads: [0, 0, 1, 1], ..Window::default() };
        x = net.conv_window(&x, &format!("{name}.conv"), half)?;
        side /= 2;
    }
    Ok((x, skips))
}

/// The picture, −1..=1. After the first block of each larger size, the encoder's features of that
/// size are mixed in where there are weights for it.
fn generate(
    net: &mut Network<'_>,
    codes: &Features,
    skips: &[Features],
    side: u64,
) -> Result<Features, BuildError> {
    let (mut x, mut side) = (codes.clone(), side);
    let mut skips = skips.iter().rev();
    let mut pending = None;
    for (name, kind) in Blocks::of(net, "generator.blocks").iter() {
        if kind == Block::Resampling {
            let large = net.nearest(&x, 2);
            x = net.conv(&large, &format!("{name}.conv"))?;
            side = side.saturating_mul(2);
            pending = skips.next();
            continue;
        }
        x = block(net, &x, (&name, kind), side)?;
        if let Some(encoded) = pending.take() {
            x = fused(net, &x, encoded, &format!("fuse_convs_dict.{side}"))?;
        }
    }
    Ok(x)
}

/// Two convolutions after a normalization and an activation each, plus the input.
fn residual(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let mut inner = x.clone();
    for number in [1, 2] {
        inner = net.group_norm_with(&inner, &format!("{name}.norm{number}"), GROUPS, EPSILON)?;
        inner = net.activate(&inner, Activation::Silu);
        inner = net.conv(&inner, &format!("{name}.conv{number}"))?;
    }
    let outer = format!("{name}.conv_out");
    let x = if net.has(&format!("{outer}.weight")) { net.conv(x, &outer)? } else { x.clone() };
    net.add(&inner, &x, name)
}

/// Attention between all places of the image, plus the image.
fn attention(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    side: u64,
) -> Result<Features, BuildError> {
    let normal = net.group_norm_with(x, &format!("{name}.norm"), GROUPS, EPSILON)?;
    let channels = x.channels.cast_signed();
    let mut parts = Vec::new();
    for part in ["q", "k", "v"] {
        let part = net.conv(&normal, &format!("{name}.{part}"))?;
        parts.push(net.reshape(&part.value, &[0, channels, -1]));
    }
    let [query, key, value] = parts.as_slice() else { return Err(missing(name)) };
    let query = net.transpose(query, &[0, 2, 1]);
    let scores = net.graph.push("MatMul", &[&query, key], []);
    let scores = net.graph.scale(&scores, (x.channels as f32).powf(-0.5));
    let shares = net.softmax(&scores);
    let shares = net.transpose(&shares, &[0, 2, 1]);
    let mixed = net.graph.push("MatMul", &[value, &shares], []);
    let side = side.cast_signed();
    let mixed = Features { value: net.reshape(&mixed, &[0, channels, side, side]), ..*x };
    let mixed = net.conv(&mixed, &format!("{name}.proj_out"))?;
    net.add(x, &mixed, name)
}

/// The codebook's entry for each place of the features, chosen by a transformer.
fn transform(net: &mut Network<'_>, x: &Features, side: u64) -> Result<Features, BuildError> {
    const POSITION: &str = "position_emb";
    const CODEBOOK: &str = "quantize.embedding.weight";
    let tokens = net.tokens_of(x);
    let mut x = net.linear(&tokens, "feat_emb")?;
    let position = net.tensor(POSITION, 2)?.clone();
    if position.dims != [side * side, x.channels] {
        return Err(wrong_shape(POSITION, &position.dims));
    }
    let dims = vec![1, side, side, x.channels];
    let position = net.graph.constant(POSITION, Tensor { dims, ..position });
    for layer in net.numbered("ft_layers.{}.linear1.weight") {
        let name = format!("ft_layers.{layer}");
        let normal = net.layer_norm(&x, &format!("{name}.norm1"))?;
        let attended = heads(net, &normal, &position, (&format!("{name}.self_attn"), side))?;
        x = net.add(&x, &attended, &name)?;
        let normal = net.layer_norm(&x, &format!("{name}.norm2"))?;
        let hidden = net.linear(&normal, &format!("{name}.linear1"))?;
        let hidden = net.gelu(&hidden);
        let dense = net.linear(&hidden, &format!("{name}.linear2"))?;
        x = net.add(&x, &dense, &name)?;
    }
    let normal = net.layer_norm(&x, "idx_pred_layer.0")?;
    let scores = net.linear(&normal, "idx_pred_layer.1")?;
    let codebook = net.tensor(CODEBOOK, 2)?.clone();
    let &[entries, channels] = codebook.dims.as_slice() else {
        return Err(missing(CODEBOOK));
    };
    if entries != scores.channels {
        return Err(wrong_shape(CODEBOOK, &codebook.dims));
    }
    let codebook = net.graph.constant(CODEBOOK, codebook);
    let graph = &mut net.graph;
    let largest = [("axis", Attribute::Int(-1)), ("keepdims", Attribute::Int(0))];
    let chosen = graph.push("ArgMax", &[&scores.value], largest);
    let value = graph.push("Gather", &[&codebook, &chosen], []);
    Ok(net.image_of(&Features { value, channels }))
}

/// PyTorch's `MultiheadAttention` of all tokens; the position is part of queries and keys only.
fn heads(
    net: &mut Network<'_>,
    x: &Features,
    position: &str,
    (name, side): (&str, u64),
) -> Result<Features, BuildError> {
    let channels = x.channels;
    if !channels.is_multiple_of(HEADS) {
        return Err(BuildError::Indivisible { channels, divisor: HEADS });
    }
    let depth = channels / HEADS;
    let key = format!("{name}.in_proj_weight");
    let weight = net.tensor(&key, 2)?.clone();
    let bias = net.tensor(&format!("{name}.in_proj_bias"), 1)?.clone();
    if weight.dims != [3 * channels, channels] || bias.dims != [3 * channels] {
        return Err(wrong_shape(&key, &weight.dims));
    }
    let placed = Features { value: net.graph.add(&x.value, position), ..*x };
    let (weights, biases) =
        (weight.to_f32().unwrap_or_default(), bias.to_f32().unwrap_or_default());
    let mut parts = Vec::new();
    let rows = weights.chunks_exact((channels * channels).max(1) as usize);
    let biases = biases.chunks_exact(channels.max(1) as usize);
    for ((input, weight), bias) in [&placed, &placed, x].into_iter().zip(rows).zip(biases) {
        let weight = Tensor::from_f32(&[channels, channels], weight);
        let bias = Tensor::from_f32(&[channels], bias);
        let part = net.linear_with(input, &key, &weight, Some(bias))?;
        // N×heads×places×depth
        let split = [0, -1, HEADS.cast_signed(), depth.cast_signed()];
        let part = net.reshape(&part.value, &split);
        parts.push(net.transpose(&part, &[0, 2, 1, 3]));
    }
    let [query, key, value] = parts.as_slice() else { return Err(missing(&key)) };
    let query = net.graph.scale(query, (depth as f32).powf(-0.5));
    let key = net.transpose(key, &[0, 1, 3, 2]);
    let scores = net.graph.push("MatMul", &[&query, &key], []);
    let shares = net.softmax(&scores);
    let mixed = net.graph.push("MatMul", &[&shares, value], []);
    let mixed = net.transpose(&mixed, &[0, 2, 1, 3]);
    let side = side.cast_signed();
    let value = net.reshape(&mixed, &[0, side, side, channels.cast_signed()]);
    net.linear(&Features { value, channels }, &format!("{name}.out_proj"))
}

/// `x` with the mean and deviation of each channel of `of`; both have `places` samples per channel.
fn with_statistics_of(
    net: &mut Network<'_>,
    x: &Features,
    of: &Features,
    places: u64,
) -> Result<Features, BuildError> {
    if x.channels != of.channels {
        let (outputs, expected) = (x.channels, of.channels);
        return Err(BuildError::Outputs { layer: "quantize".into(), outputs, expected });
    }
    let (centred, _, deviation) = statistics(net, x, places);
    let normal = net.graph.push("Div", &[&centred, &deviation], []);
    let (_, mean, deviation) = statistics(net, of, places);
    let scaled = net.graph.mul(&normal, &deviation);
    Ok(Features { value: net.graph.add(&scaled, &mean), ..*x })
}

/// The features minus their mean, the mean, and the unbiased deviation of each channel.
fn statistics(net: &mut Network<'_>, x: &Features, places: u64) -> (String, String, String) {
    let mean = net.global_mean(x).value;
    let graph = &mut net.graph;
    let centred = graph.sub(&x.value, &mean);
    let square = graph.mul(&centred, &centred);
    let variance = graph.push("GlobalAveragePool", &[&square], []);
    let unbiased = places as f32 / places.saturating_sub(1).max(1) as f32;
    let variance = graph.scale(&variance, unbiased);
    let variance = graph.offset(&variance, &[STYLE_EPSILON]);
    let deviation = graph.push("Sqrt", &[&variance], []);
    (centred, mean, deviation)
}

/// The generator's features, changed by the encoder's.
fn fused(
    net: &mut Network<'_>,
    x: &Features,
    encoded: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    if !net.has(&format!("{name}.scale.0.weight")) {
        return Ok(x.clone());
    }
    let both = net.concat(&[encoded, x]);
    let both = residual(net, &both, &format!("{name}.encode_enc"))?;
    let mut parts = Vec::new();
    for part in ["scale", "shift"] {
        let part = format!("{name}.{part}");
        let inner = net.conv(&both, &format!("{part}.0"))?;
        let inner = net.activate(&inner, LEAKY);
        parts.push(net.conv(&inner, &format!("{part}.2"))?);
    }
    let [scale, shift] = parts.as_slice() else { return Err(missing(name)) };
    let changed = net.mul(x, scale);
    let changed = net.add(&changed, shift, name)?;
    let changed = net.scale(&changed, FIDELITY);
    net.add(x, &changed, name)
}

//! SRFormer (`models/network_srformer.py` of HVision-NKU/SRFormer): SwinIR with large windows, whose
//! keys and values are blocks of 2×2 positions with a quarter of the channels each.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
    swinir::window_of_table,
};
use crate::model::{Attribute, Graph, Tensor, checkpoint::StateDict};

/// What is added to the weight of a masked position, before the softmax.
const MASKED: f32 = -100.0;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.residual_group.blocks.0.attn.kv.weight")
        && has("layers.0.residual_group.blocks.0.mlp.dwconv.depthwise_conv.0.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let table = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table";
    let half = window_of_table(weights, table)?;
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(1.0);
    let shallow = net.conv(&image, "conv_first")?;
    let mut x = net.patch_embedding(&shallow)?;
    let shift = Shift::new(&mut net, &x, half);
    for group in net.numbered("layers.{}.residual_group.blocks.0.norm1.weight") {
        let start = x.clone();
        let name = format!("layers.{group}.residual_group.blocks");
        for block in net.numbered(&format!("{name}.{{}}.norm1.weight")) {
            let shift = (block % 2 == 1).then_some(&shift);
            x = permuted(&mut net, &x, &format!("{name}.{block}"), half, shift)?;
        }
        x = net.end_group(&x, &start, group)?;
    }
    net.finish_groups(&x, &shallow, &image, 1.0)
}

/// Windows shifted by half their size, which is `half` positions.
struct Shift {
    windows: Windows,
    /// Whether the image is rolled, as upstream does it: blocks of keys and values join positions
    /// of opposite borders if `half` is odd.
    is_rolled: bool,
    /// N×R×K×1×1×keys or, if rolled, N×R×K×1×positions×keys.
    mask: Option<String>,
}

impl Shift {
    fn new(net: &mut Network<'_>, x: &Features, half: u32) -> Self {
        let square = Windows::square(2 * half);
        if half % 2 == 1 {
            let mask = Some(rolled_mask(net, x, half));
            return Self { windows: square, is_rolled: true, mask };
        }
        let windows = square.shifted(true);
        let mask = net.window_mask(x, windows).map(|mask| {
            // The first position of each block stands for the block.
            let side = i64::from(2 * half);
            let blocks = 0..i64::from(half);
            let first: Vec<i64> = blocks
                .clone()
                .flat_map(|row| blocks.clone().map(move |column| 2 * row * side + 2 * column))
                .collect();
            let first = net.graph.constant_i64("blocks", &first);
            net.graph.push("Gather", &[&mask, &first], [("axis", Attribute::Int(5))])
        });
        Self { windows, is_rolled: false, mask }
    }
}

/// The mask of a rolled image: positions and blocks that the roll brought from the opposite border
/// do not belong to the others.
fn rolled_mask(net: &mut Network<'_>, x: &Features, half: u32) -> String {
    let first = net.graph.slice(&x.value, 3, 0, 1);
    let zeros = net.graph.scale(&first, 0.0);
    let positions = labels(net, &zeros, half.into());
    let positions = Features { value: positions, channels: 1 };
    let positions = net.windowed(&positions, Windows::square(2 * half));
    // Every second row and column.
    let start = net.graph.constant_i64("start", &[0, 0]);
    let end = net.graph.constant_i64("end", &[i64::MAX, i64::MAX]);
    let axes = net.graph.constant_i64("axes", &[1, 2]);
    let step = net.graph.constant_i64("step", &[2, 2]);
    let zeros = net.graph.push("Slice", &[&zeros, &start, &end, &axes, &step], []);
    let blocks = labels(net, &zeros, half.div_ceil(2).into());
    let blocks = Features { value: blocks, channels: 1 };
    let blocks = net.windowed(&blocks, Windows::square(half));
    let blocks = net.transpose(&blocks.value, &[0, 1, 2, 4, 3]);
    let difference = net.graph.sub(&positions.value, &blocks);
    let square = net.graph.mul(&difference, &difference);
    let one = net.graph.constant_f32("one", &[], &[1.0]);
    let differs = net.graph.push("Min", &[&square, &one], []);
    let mask = net.graph.scale(&differs, MASKED);
    let axis = net.graph.constant_i64("axis", &[3]);
    net.graph.push("Unsqueeze", &[&mask, &axis], [])
}

/// 0, plus 1 in the last `count` rows, plus 2 in the last `count` columns.
fn labels(net: &mut Network<'_>, zeros: &str, count: i64) -> String {
    let mut along = |pads: [i64; 2], label: f32| {
        let cut = net.graph.constant_i64("pads", &[0, 0, 0, 0, 0, -pads[0], -pads[1], 0]);
        let rest = net.graph.push("Pad", &[zeros, &cut], []);
        let pads = net.graph.constant_i64("pads", &[0, 0, 0, 0, 0, pads[0], pads[1], 0]);
        let label = net.graph.constant_f32("label", &[], &[label]);
        net.graph.push("Pad", &[&rest, &pads, &label], [])
    };
    let (rows, columns) = (along([count, 0], 1.0), along([0, count], 2.0));
    net.graph.add(&rows, &columns)
}

/// One block: attention, and dense layers with a depthwise convolution between.
fn permuted(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    half: u32,
    shift: Option<&Shift>,
) -> Result<Features, BuildError> {
    net.ignore(&format!("{name}.attn_mask"));
    let normal = net.layer_norm(x, &format!("{name}.norm1"))?;
    let roll = shift.is_some_and(|shift| shift.is_rolled).then(|| i64::from(half));
    let moved = match roll {
        Some(by) => net.rolled(&normal, by),
        None => normal,
    };
    let windows = shift.map_or(Windows::square(2 * half), |shift| shift.windows);
    let mask = shift.and_then(|shift| shift.mask.as_deref());
    let attended = attention(net, &moved, &format!("{name}.attn"), windows, half, mask)?;
    let attended = match roll {
        Some(by) => net.rolled(&attended, -by),
        None => attended,
    };
    let x = net.add(x, &attended, name)?;
    let normal = net.layer_norm(&x, &format!("{name}.norm2"))?;
    let dense = net.conv_mlp(&normal, &format!("{name}.mlp"))?;
    net.add(&x, &dense, name)
}

/// Attention of the positions of a window to its blocks of 2×2 positions.
fn attention(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    windows: Windows,
    half: u32,
    mask: Option<&str>,
) -> Result<Features, BuildError> {
    let table = format!("{name}.relative_position_bias_table");
    let (values, dims) = net.values(&table)?;
    let &[_, heads] = dims.as_slice() else { return Err(wrong_shape(&table, &dims)) };
    net.spend_bias(heads, [2 * half; 2], [half; 2])?;
    let bias = block_bias(&values, heads, half.into()).ok_or_else(|| wrong_shape(&table, &dims))?;
    let bias = net.graph.constant(&table, bias);
    let channels = x.channels;
    if !channels.is_multiple_of(4) {
        return Err(BuildError::Indivisible { channels, divisor: 4 });
    }
    let inside = net.windowed(x, windows);
    let query = net.linear(&inside, &format!("{name}.q"))?;
    let both = net.linear(&inside, &format!("{name}.kv"))?;
    if both.channels * 2 != channels {
        let (outputs, expected) = (both.channels, channels / 2);
        return Err(BuildError::Outputs { layer: format!("{name}.kv"), outputs, expected });
    }
    let side = i64::from(half);
    let quarter = (channels / 4).cast_signed();
    let blocks = net.reshape(&both.value, &[0, 0, 0, side, 2, side, 2, 2, quarter]);
    let blocks = net.transpose(&blocks, &[0, 1, 2, 7, 3, 5, 4, 6, 8]);
    let parts = net.split(&blocks, 3, 2);
    let [key, value] = parts.as_slice() else {
        return Err(BuildError::Missing(format!("{name}.kv")));
    };
    let [key, value] = [key, value].map(|part| Features {
        value: net.reshape(part, &[0, 0, 0, side * side, channels.cast_signed()]),
        channels,
    });
    let attended = net.attend(&Operands {
        query: &query,
        key: &key,
        value: &value,
        positions: [windows.area(), windows.area() / 4],
        heads,
        similarity: Similarity::product(channels, heads),
        bias: Some(&bias),
        mask,
    })?;
    let attended = net.linear(&attended, &format!("{name}.proj"))?;
    Ok(net.unwindowed(&attended, windows, x))
}

/// The position bias heads × positions × blocks: that of the block of the position.
fn block_bias(table: &[f32], heads: u64, half: u64) -> Option<Tensor> {
    let side = 2 * half;
    let mut bias = Vec::new();
    for head in 0..heads {
        for position in 0..side * side {
            for block in 0..half * half {
                let down = position / side / 2 + half - 1 - block / half;
                let across = position % side / 2 + half - 1 - block % half;
                let row = down * (2 * half - 1) + across;
                bias.push(*table.get(usize::try_from(row * heads + head).ok()?)?);
            }
        }
    }
    Some(Tensor::from_f32(&[heads, side * side, half * half], &bias))
}

//! OmniSR (`ops/OSA.py` of Francis0625/Omni-SR): attention within blocks, along a grid over the
//! whole image, and between channels, by turns.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
    swinir::window_of_table,
};
use crate::model::{Attribute, Border, Graph, Window, checkpoint::StateDict};

/// The side of windows, unless a table of position biases tells it.
const SIDE: u32 = 8;

/// The heads of attention between positions, and of attention between channels.
const HEADS: u64 = 4;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("residual_layer.0.residual_layer.0.layer.0.fn.0.weight") && has("up.0.weight")
}

/// Which positions a window holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    /// Neighbours.
    Block,
    /// Positions at equal distances over the whole image.
    Grid,
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let table = "residual_layer.0.residual_layer.0.layer.2.fn.rel_pos_bias.weight";
    let side = match weights.get(table) {
        Some(_) => window_of_table(weights, table)?,
        None => SIDE,
    };
    let channels = dim(weights, "input.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    // Counters of a profiling tool.
    for name in
        weights.names().filter(|name| name.ends_with("total_ops") || name.ends_with("total_params"))
    {
        net.ignore(name);
    }
    let input = net.input();
    let image = net.pad_to_multiple(&input, side, 0, Border::Zero);
    let start = net.conv(&image, "input")?;
    let mut x = start.clone();
    for group in net.numbered("residual_layer.{}.esa.conv1.weight") {
        let name = format!("residual_layer.{group}");
        let group_start = x.clone();
        let blocks = net.numbered(&format!("{name}.residual_layer.{{}}.layer.0.fn.0.weight"));
        for &block in &blocks {
            x = omni(&mut net, &x, &format!("{name}.residual_layer.{block}.layer"), side)?;
        }
        x = net.conv(&x, &format!("{name}.residual_layer.{}", blocks.len()))?;
        x = net.add(&x, &group_start, &name)?;
        x = enhanced(&mut net, &x, &format!("{name}.esa"))?;
    }
    let x = net.conv(&x, "output")?;
    let x = net.add(&x, &start, "output")?;
    let x = net.conv(&x, "up.0")?;
    let factor = shuffle_factor(x.channels, channels, "up.0")?;
    let x = net.shuffle(&x, factor)?;
    let x = net.crop_like(&x, &input, factor);
    net.finish(&x)
}

/// One block: convolution, block attention, channel attention, grid attention, channel attention,
/// with gated convolutions between.
fn omni(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    side: u32,
) -> Result<Features, BuildError> {
    let x = inverted(net, x, &format!("{name}.0.fn"))?;
    let x = positions(net, &x, &format!("{name}.2"), side, Arrangement::Block)?;
    let x = gated(net, &x, &format!("{name}.4"))?;
    let x = channels(net, &x, &format!("{name}.5"), side, Arrangement::Block)?;
    let x = gated(net, &x, &format!("{name}.6"))?;
    let x = positions(net, &x, &format!("{name}.8"), side, Arrangement::Grid)?;
    let x = gated(net, &x, &format!("{name}.10"))?;
    let x = channels(net, &x, &format!("{name}.11"), side, Arrangement::Grid)?;
    gated(net, &x, &format!("{name}.12"))
}

/// Pointwise, depthwise, channel attention, pointwise, plus the input (MBConv).
fn inverted(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let inner = net.conv(x, &format!("{name}.0"))?;
    let inner = net.gelu(&inner);
    let inner = net.depthwise(&inner, &format!("{name}.2"))?;
    let inner = net.gelu(&inner);
    let gate = net.global_mean(&inner);
    let gate = net.tokens_of(&gate);
    let gate = net.linear(&gate, &format!("{name}.4.gate.1"))?;
    let value = net.graph.silu(&gate.value);
    let gate = net.linear(&Features { value, ..gate }, &format!("{name}.4.gate.3"))?;
    let gate = net.sigmoid(&gate);
    let gate = net.image_of(&gate);
    let inner = net.mul(&inner, &gate);
    let inner = net.conv(&inner, &format!("{name}.5"))?;
    net.add(&inner, x, name)
}

/// Gated convolutions of the normalized input, plus the input.
fn gated(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let inner = net.layer_norm_2d(x, &format!("{name}.norm"), 1e-6)?;
    let inner = net.conv(&inner, &format!("{name}.fn.project_in"))?;
    let inner = net.depthwise(&inner, &format!("{name}.fn.dwconv"))?;
    let half = inner.channels / 2;
    let parts = net.split(&inner.value, 1, 2);
    let [first, second] = parts.as_slice() else {
        return Err(BuildError::Missing(name.to_owned()));
    };
    let [first, second] =
        [first, second].map(|value| Features { value: value.clone(), channels: half });
    let gate = net.gelu(&first);
    let inner = net.mul(&gate, &second);
    let inner = net.conv(&inner, &format!("{name}.fn.project_out"))?;
    net.add(&inner, x, name)
}

/// Image N×C×H×W in windows N×R×K×P×C, or along a grid.
fn arranged(net: &mut Network<'_>, x: &Features, side: u32, arrangement: Arrangement) -> Features {
    let tokens = net.tokens_of(x);
    match arrangement {
        Arrangement::Block => net.windowed(&tokens, Windows::square(side)),
        Arrangement::Grid => net.along_grid(&tokens, side),
    }
}

/// The reverse of [`arranged`], for an image of the size of `like`.
fn restored(
    net: &mut Network<'_>,
    x: &Features,
    side: u32,
    arrangement: Arrangement,
    like: &Features,
) -> Features {
    let tokens = match arrangement {
        Arrangement::Block => {
            let like = net.tokens_of(like);
            net.unwindowed(x, Windows::square(side), &like)
        }
        Arrangement::Grid => net.off_grid(x, side, like),
    };
    net.image_of(&tokens)
}

/// Attention between the positions of a window, plus the input.
fn positions(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    side: u32,
    arrangement: Arrangement,
) -> Result<Features, BuildError> {
    let inside = arranged(net, x, side, arrangement);
    let normal = net.layer_norm(&inside, &format!("{name}.norm"))?;
    let [query, key, value] = &net.query_key_value(&normal, &format!("{name}.fn.to_qkv"))?;
    let table = format!("{name}.fn.rel_pos_bias.weight");
    let bias = match net.has(&table) {
        true => Some(net.position_bias(&table, [side; 2])?.0),
        false => None,
    };
    let area = u64::from(side) * u64::from(side);
    let attended = net.attend(&Operands {
        query,
        key,
        value,
        positions: [area; 2],
        heads: HEADS,
        similarity: Similarity::product(x.channels, HEADS),
        bias: bias.as_deref(),
        mask: None,
    })?;
    let attended = net.linear(&attended, &format!("{name}.fn.to_out.0"))?;
    let sum = net.add(&attended, &inside, name)?;
    Ok(restored(net, &sum, side, arrangement, x))
}

/// Attention between the channels of a window, plus the input.
fn channels(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    side: u32,
    arrangement: Arrangement,
) -> Result<Features, BuildError> {
    let normal = net.layer_norm_2d(x, &format!("{name}.norm"), 1e-6)?;
    let all = net.conv(&normal, &format!("{name}.fn.qkv"))?;
    let all = net.depthwise(&all, &format!("{name}.fn.qkv_dwconv"))?;
    let temperature = format!("{name}.fn.temperature");
    let heads = net.heads_of_temperature(&temperature, x.channels)?;
    let depth = (x.channels / heads).cast_signed();
    let area = i64::from(side) * i64::from(side);
    let parts = net.split(&all.value, 1, 3);
    let mut operands = Vec::new();
    let mut shape = String::new();
    for part in &parts {
        let part = Features { value: part.clone(), channels: x.channels };
        let tokens = net.tokens_of(&part);
        let inside = net.windowed(&tokens, Windows::square(side));
        shape = net.graph.push("Shape", &[&inside.value], []);
        // Blocks: each window's positions. Grid: all windows, for each position within them.
        operands.push(match arrangement {
            Arrangement::Block => {
                let parts = [0, 0, 0, area, heads.cast_signed(), depth];
                let split = net.reshape(&inside.value, &parts);
                net.transpose(&split, &[0, 1, 2, 4, 5, 3])
            }
            Arrangement::Grid => {
                let parts = [0, -1, area, heads.cast_signed(), depth];
                let split = net.reshape(&inside.value, &parts);
                net.transpose(&split, &[0, 2, 3, 4, 1])
            }
        });
    }
    let operands: [String; 3] =
        operands.try_into().map_err(|_| BuildError::Missing(format!("{name}.fn.qkv")))?;
    let last_two: &[i64] = match arrangement {
        Arrangement::Block => &[0, 1, 2, 3, 5, 4],
        Arrangement::Grid => &[0, 1, 2, 4, 3],
    };
    let mixed = net.mix_channels(&operands, &temperature, last_two)?;
    let order: &[i64] = match arrangement {
        Arrangement::Block => &[0, 1, 2, 5, 3, 4],
        Arrangement::Grid => &[0, 4, 1, 2, 3],
    };
    let mixed = net.transpose(&mixed, order);
    let value = net.graph.push("Reshape", &[&mixed, &shape], []);
    let mixed = Features { value, channels: x.channels };
    let mixed = restored(net, &mixed, side, Arrangement::Block, x);
    let mixed = net.conv(&mixed, &format!("{name}.fn.project_out"))?;
    net.add(&mixed, x, name)
}

/// A factor per sample, from features at a third of half the size (ESA).
fn enhanced(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let narrow = net.conv(x, &format!("{name}.conv1"))?;
    let strided = Window { stride: [2; 2], ..Window::default() };
    let small = net.conv_window(&narrow, &format!("{name}.conv2"), strided)?;
    let pool =
        [("kernel_shape", Attribute::Ints(vec![7, 7])), ("strides", Attribute::Ints(vec![3, 3]))];
    let value = net.graph.push("MaxPool", &[&small.value], pool);
    let small = net.conv(&Features { value, ..small }, &format!("{name}.conv3"))?;
    let wide = net.resize_like(&small, x);
    let direct = net.conv(&narrow, &format!("{name}.conv_f"))?;
    let sum = net.add(&wide, &direct, name)?;
    let gate = net.conv(&sum, &format!("{name}.conv4"))?;
    let gate = net.sigmoid(&gate);
    Ok(net.mul(x, &gate))
}

impl Network<'_> {
    /// Tokens N×H×W×C along a grid: N×R×K×P×C, where each of the R×K groups takes one position
    /// of each of the side² parts of the image.
    fn along_grid(&mut self, x: &Features, side: u32) -> Features {
        let channels = x.channels.cast_signed();
        let batch = self.lengths(&x.value, 0..1);
        let divisor = self.graph.constant_i64("side", &[side.into()]);
        let mut parts = Vec::new();
        for axis in 1..3 {
            let length = self.lengths(&x.value, axis..axis + 1);
            parts.push(self.graph.push("Div", &[&length, &divisor], []));
        }
        let last = self.graph.constant_i64("channels", &[channels]);
        let [rows, columns] =
            [0, 1].map(|index: usize| parts.get(index).cloned().unwrap_or_default());
        let shape = [&batch, &divisor, &rows, &divisor, &columns, &last].map(String::as_str);
        let shape = self.graph.concat(&shape, 0);
        let value = self.graph.push("Reshape", &[&x.value, &shape], []);
        let value = self.transpose(&value, &[0, 2, 4, 1, 3, 5]);
        let area = i64::from(side) * i64::from(side);
        Features { value: self.reshape(&value, &[0, 0, 0, area, channels]), ..*x }
    }

    /// The reverse of [`Self::along_grid`], for an image N×C×H×W of the size of `like`.
    fn off_grid(&mut self, x: &Features, side: u32, like: &Features) -> Features {
        let channels = x.channels.cast_signed();
        let batch = self.lengths(&like.value, 0..1);
        let size = self.lengths(&like.value, 2..4);
        let divisor = self.graph.constant_i64("side", &[side.into()]);
        let parts = self.graph.push("Div", &[&size, &divisor], []);
        let rest = self.graph.constant_i64("rest", &[side.into(), side.into(), channels]);
        let shape = self.graph.concat(&[&batch, &parts, &rest], 0);
        let value = self.graph.push("Reshape", &[&x.value, &shape], []);
        let value = self.transpose(&value, &[0, 3, 1, 4, 2, 5]);
        let last = self.graph.constant_i64("channels", &[channels]);
        let shape = self.graph.concat(&[&batch, &size, &last], 0);
        Features { value: self.graph.push("Reshape", &[&value, &shape], []), ..*x }
    }

    /// Bilinear resizing to the size of `like`.
    fn resize_like(&mut self, x: &Features, like: &Features) -> Features {
        let first = self.lengths(&x.value, 0..2);
        let size = self.lengths(&like.value, 2..4);
        let sizes = self.graph.concat(&[&first, &size], 0);
        let attributes = [
            ("mode", Attribute::Text("linear".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
        ];
        Features { value: self.graph.push("Resize", &[&x.value, "", "", &sizes], attributes), ..*x }
    }
}

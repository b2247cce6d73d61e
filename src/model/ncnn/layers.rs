//! The layers of ncnn as nodes of a graph. Parameters: ncnn's docs/developer-guide/operators.md.

use super::{
    convolution,
    extent::Extent,
    net::{Blob, Net},
    param::{Layer, UNSET},
    spatial,
};
use crate::model::{Attribute, fault::Fault};

/// How a kind of layer is read.
#[derive(Clone, Copy)]
enum Reader {
    /// A layer with one output.
    One(fn(&Layer, &mut Net) -> Result<Blob, Fault>),
    /// A layer with any number of outputs.
    Many(fn(&Layer, &mut Net) -> Result<Vec<Blob>, Fault>),
}

use Reader::{Many, One};

/// Every supported kind of layer, except [`INPUT`].
const LAYERS: &[(&str, Reader)] = &[
    ("AbsVal", One(|layer, net| net.unary(layer, "Abs"))),
    ("BatchNorm", One(batch_norm)),
    ("Bias", One(bias)),
    ("BinaryOp", One(binary_op)),
    ("Clip", One(clip)),
    ("Concat", One(concat)),
    ("Convolution", One(convolution::convolution)),
    ("ConvolutionDepthWise", One(convolution::convolution)),
    ("Crop", One(spatial::crop)),
    ("Deconvolution", One(convolution::deconvolution)),
    ("DeconvolutionDepthWise", One(convolution::deconvolution)),
    ("Dropout", One(dropout)),
    ("ELU", One(elu)),
    ("Eltwise", One(eltwise)),
    ("Flatten", One(reshape)),
    ("GELU", One(gelu)),
    ("HardSigmoid", One(hard_sigmoid)),
    ("HardSwish", One(hard_swish)),
    ("InnerProduct", One(convolution::inner_product)),
    ("Interp", One(spatial::interp)),
    ("MemoryData", One(memory_data)),
    ("Noop", One(|layer, net| net.input(layer))),
    ("PReLU", One(prelu)),
    ("Padding", One(spatial::padding)),
    ("PixelShuffle", One(spatial::pixel_shuffle)),
    ("Pooling", One(spatial::pooling)),
    ("ReLU", One(relu)),
    ("Reduction", One(spatial::reduction)),
    ("Reorg", One(spatial::reorg)),
    ("Reshape", One(reshape)),
    ("Scale", One(scale)),
    ("Sigmoid", One(|layer, net| net.unary(layer, "Sigmoid"))),
    ("Slice", Many(slice)),
    ("Split", Many(|layer, net| Ok(vec![net.input(layer)?; layer.outputs.len()]))),
    ("Swish", One(swish)),
    ("TanH", One(|layer, net| net.unary(layer, "Tanh"))),
    ("UnaryOp", One(unary_op)),
];

/// The kind of the layer that stands for the input image.
pub(super) const INPUT: &str = "Input";

/// Adds `layer` to `net`.
///
/// # Errors
/// [`Fault::Unsuitable`] for a layer that is not supported; [`Fault::Damaged`] for one that
/// contradicts itself, or whose weights are missing.
pub(super) fn add(layer: &Layer, net: &mut Net) -> Result<(), Fault> {
    let Some((_, reader)) = LAYERS.iter().find(|(kind, _)| *kind == layer.kind) else {
        let kinds: Vec<&str> = LAYERS.iter().map(|(kind, _)| *kind).chain([INPUT]).collect();
        let kinds = kinds.join(", ");
        return Err(layer.unsuitable(format_args!("not supported; expected one of {kinds}")));
    };
    let blobs = match reader {
        One(read) => vec![read(layer, net)?],
        Many(read) => read(layer, net)?,
    };
    if blobs.len() != layer.outputs.len() {
        let (actual, expected) = (layer.outputs.len(), blobs.len());
        return Err(layer.damaged(format_args!("has {actual} outputs; expected {expected}")));
    }
    net.blobs.extend(layer.outputs.iter().cloned().zip(blobs));
    Ok(())
}

fn clip(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const MIN: i32 = 0;
    const MAX: i32 = 1;
    let x = net.input(layer)?;
    let (min, max) = (layer.float(MIN, f32::MIN)?, layer.float(MAX, f32::MAX)?);
    Ok(x.with(net.graph.clip(&x.value, min, max)))
}

fn dropout(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const SCALE: i32 = 0;
    let x = net.input(layer)?;
    Ok(match layer.float(SCALE, 1.0)? {
        1.0 => x,
        factor => net.with_scalar("Mul", &x, factor),
    })
}

fn relu(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const SLOPE: i32 = 0;
    let x = net.input(layer)?;
    Ok(x.with(match layer.float(SLOPE, 0.0)? {
        0.0 => net.graph.relu(&x.value),
        slope => net.graph.leaky_relu(&x.value, slope),
    }))
}

fn elu(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const ALPHA: i32 = 0;
    let x = net.input(layer)?;
    let alpha = Attribute::Float(layer.float(ALPHA, 0.1)?);
    Ok(x.with(net.graph.push("Elu", &[&x.value], [("alpha", alpha)])))
}

fn swish(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let x = net.input(layer)?;
    Ok(x.with(net.graph.silu(&x.value)))
}

/// max(0, min(1, α·x + β)).
fn hard_sigmoid(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const ALPHA: i32 = 0;
    const BETA: i32 = 1;
    let x = net.input(layer)?;
    let attributes = [
        ("alpha", Attribute::Float(layer.float(ALPHA, 0.2)?)),
        ("beta", Attribute::Float(layer.float(BETA, 0.5)?)),
    ];
    Ok(x.with(net.graph.push("HardSigmoid", &[&x.value], attributes)))
}

fn hard_swish(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    let gate = hard_sigmoid(layer, net)?;
    let x = net.input(layer)?;
    Ok(x.with(net.graph.mul(&x.value, &gate.value)))
}

fn unary_op(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const OPERATION: i32 = 0;
    let op = match layer.int(OPERATION, 0)? {
        0 => "Abs",
        1 => "Neg",
        4 => {
            let x = net.input(layer)?;
            return Ok(x.with(net.graph.mul(&x.value, &x.value)));
        }
        5 => "Sqrt",
        7 => "Exp",
        8 => "Log",
        15 => "Reciprocal",
        16 => "Tanh",
        operation => {
            return Err(
                layer.unsuitable(format_args!("the operation {operation} is not supported"))
            );
        }
    };
    net.unary(layer, op)
}

/// x/2 · (1 + erf(x/√2)), or its approximation by tanh.
fn gelu(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const FAST: i32 = 0;
    /// √(2/π).
    const TANH_SCALE: f32 = 0.797_884_6;
    const TANH_CUBIC: f32 = 0.044_715;
    let fast = layer.int(FAST, 0)? != 0;
    let x = net.input(layer)?;
    let graph = &mut net.graph;
    let inner = if fast {
        let square = graph.mul(&x.value, &x.value);
        let cube = graph.mul(&square, &x.value);
        let cubic = graph.scale(&cube, TANH_CUBIC);
        let sum = graph.add(&x.value, &cubic);
        let scaled = graph.scale(&sum, TANH_SCALE);
        graph.tanh(&scaled)
    } else {
        let scaled = graph.scale(&x.value, std::f32::consts::FRAC_1_SQRT_2);
        graph.push("Erf", &[&scaled], [])
    };
    let gate = graph.offset(&inner, &[1.0]);
    let product = graph.mul(&x.value, &gate);
    Ok(x.with(graph.scale(&product, 0.5)))
}

fn prelu(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const COUNT: i32 = 0;
    let x = net.input(layer)?;
    let slopes = per_channel(layer, net, &x, COUNT)?;
    let slopes = net.graph.constant_f32("slope", &[slopes.len() as u64, 1, 1], &slopes);
    Ok(x.with(net.graph.prelu(&x.value, &slopes)))
}

/// As many weights as parameter `id` says: one for each channel of `x`, or one for all.
fn per_channel(layer: &Layer, net: &mut Net, x: &Blob, id: i32) -> Result<Vec<f32>, Fault> {
    let count = layer.size(id, 0)?;
    if count != 1 && count != x.channels {
        let channels = x.channels;
        return Err(layer.damaged(format_args!("has {count} weights for {channels} channels")));
    }
    net.weights.untagged(count as usize)
}

fn bias(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const COUNT: i32 = 0;
    let x = net.input(layer)?;
    let values = per_channel(layer, net, &x, COUNT)?;
    Ok(net.with_channels("Add", &x, &values))
}

fn scale(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const COUNT: i32 = 0;
    const BIAS: i32 = 1;
    // The factors are the second input.
    if layer.int(COUNT, 0)? == UNSET {
        let [x, factors] = net.two_inputs(layer)?;
        return net.pairwise(layer, "Mul", &x, &factors);
    }
    let x = net.input(layer)?;
    let factors = per_channel(layer, net, &x, COUNT)?;
    let scaled = net.with_channels("Mul", &x, &factors);
    if layer.int(BIAS, 0)? == 0 {
        return Ok(scaled);
    }
    let offsets = per_channel(layer, net, &x, COUNT)?;
    Ok(net.with_channels("Add", &scaled, &offsets))
}

fn batch_norm(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const CHANNELS: i32 = 0;
    const EPSILON: i32 = 1;
    let x = net.input(layer)?;
    let epsilon = layer.float(EPSILON, 0.0)?;
    let [slope, mean, variance, bias] = [
        per_channel(layer, net, &x, CHANNELS)?,
        per_channel(layer, net, &x, CHANNELS)?,
        per_channel(layer, net, &x, CHANNELS)?,
        per_channel(layer, net, &x, CHANNELS)?,
    ];
    let factors = slope.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt());
    let factors: Vec<_> = factors.collect();
    let offsets = bias.iter().zip(&mean).zip(&factors).map(|((b, m), f)| b - m * f);
    let offsets: Vec<_> = offsets.collect();
    let scaled = net.with_channels("Mul", &x, &factors);
    Ok(net.with_channels("Add", &scaled, &offsets))
}

fn binary_op(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const OPERATION: i32 = 0;
    const WITH_SCALAR: i32 = 1;
    const SCALAR: i32 = 2;
    // The last three swap the operands.
    let (op, swap) = match layer.int(OPERATION, 0)? {
        0 => ("Add", false),
        1 => ("Sub", false),
        2 => ("Mul", false),
        3 => ("Div", false),
        4 => ("Max", false),
        5 => ("Min", false),
        6 => ("Pow", false),
        7 => ("Sub", true),
        8 => ("Div", true),
        9 => ("Pow", true),
        operation => {
            return Err(
                layer.unsuitable(format_args!("the operation {operation} is not supported"))
            );
        }
    };
    if layer.int(WITH_SCALAR, 0)? != 0 {
        let x = net.input(layer)?;
        let scalar = layer.float(SCALAR, 0.0)?;
        if !swap {
            return Ok(net.with_scalar(op, &x, scalar));
        }
        let scalar = net.graph.constant_f32("scalar", &[], &[scalar]);
        return Ok(x.with(net.graph.push(op, &[&scalar, &x.value], [])));
    }
    let [a, b] = net.two_inputs(layer)?;
    if swap { net.pairwise(layer, op, &b, &a) } else { net.pairwise(layer, op, &a, &b) }
}

fn eltwise(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const OPERATION: i32 = 0;
    const COEFFICIENTS: i32 = 1;
    let mut blobs = net.inputs(layer)?;
    let coefficients = layer.floats(COEFFICIENTS);
    let op = match layer.int(OPERATION, 0)? {
        0 => "Mul",
        1 => "Add",
        2 => "Max",
        operation => {
            return Err(
                layer.unsuitable(format_args!("the operation {operation} is not supported"))
            );
        }
    };
    if op == "Add" && !coefficients.is_empty() {
        if coefficients.len() != blobs.len() {
            return Err(layer.damaged("does not have one coefficient for each input"));
        }
        for (blob, &factor) in blobs.iter_mut().zip(&coefficients) {
            if factor != 1.0 {
                *blob = net.with_scalar("Mul", blob, factor);
            }
        }
    }
    let mut blobs = blobs.into_iter();
    let first = blobs.next().ok_or_else(|| layer.damaged("lacks an input"))?;
    blobs.try_fold(first, |sum, blob| net.pairwise(layer, op, &sum, &blob))
}

/// The values of an axis parameter that mean the channels.
fn is_channel_axis(axis: i32) -> bool {
    matches!(axis, 0 | -3)
}

fn concat(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const AXIS: i32 = 0;
    const MAX_CHANNELS: u32 = 0xffff;
    let blobs = net.inputs(layer)?;
    if !is_channel_axis(layer.int(AXIS, 0)?) {
        return Err(layer.unsuitable("concatenating along height or width is not supported"));
    }
    let [first, ..] = blobs.as_slice() else { return Err(layer.damaged("lacks an input")) };
    if blobs.iter().any(|b| (b.height, b.width) != (first.height, first.width)) {
        return Err(layer.unsuitable("concatenates images of different sizes"));
    }
    let channels = blobs.iter().map(|b| b.channels).fold(0, u32::saturating_add);
    if channels > MAX_CHANNELS {
        return Err(layer.damaged(format_args!("has more than {MAX_CHANNELS} output channels")));
    }
    let values: Vec<&str> = blobs.iter().map(|b| b.value.as_str()).collect();
    let value = net.graph.concat(&values, 1);
    Ok(Blob { value, channels, ..first.clone() })
}

/// Slice: divides the channels among the outputs.
fn slice(layer: &Layer, net: &mut Net) -> Result<Vec<Blob>, Fault> {
    const SIZES: i32 = 0;
    const AXIS: i32 = 1;
    let x = net.input(layer)?;
    let sizes = layer.ints(SIZES)?;
    if !is_channel_axis(layer.int(AXIS, 0)?) || sizes.len() != layer.outputs.len() {
        return Err(layer.unsuitable("only channels can be sliced, with one size for each output"));
    }
    let mut first = 0;
    let mut blobs = Vec::with_capacity(sizes.len());
    for (&size, outputs_left) in sizes.iter().zip((1..=sizes.len() as u32).rev()) {
        let left = x.channels - first;
        let count = match size {
            // An equal share of the remaining channels.
            UNSET => left / outputs_left,
            _ => u32::try_from(size).unwrap_or(0),
        };
        if count == 0 || count > left {
            return Err(layer.damaged("its sizes do not match the channels of its input"));
        }
        let end = first + count;
        let value = net.graph.slice(&x.value, 1, first.into(), end.into());
        blobs.push(Blob { value, channels: count, ..x.clone() });
        first = end;
    }
    Ok(blobs)
}

fn memory_data(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const WIDTH: i32 = 0;
    const HEIGHT: i32 = 1;
    const CHANNELS: i32 = 2;
    const DEPTH: i32 = 11;
    const LOAD_TYPE: i32 = 21;
    /// The load type of weights with a tag.
    const TAGGED: i32 = 0;
    let sizes = (layer.size(WIDTH, 0)?, layer.size(HEIGHT, 0)?, layer.size(CHANNELS, 0)?);
    if layer.int(DEPTH, 0)? != 0 {
        return Err(layer.unsuitable("data with four dimensions are not supported"));
    }
    let [channels, height, width] = match sizes {
        (w @ 1.., 0, 0) => [w, 1, 1],
        (w @ 1.., h @ 1.., c @ 1..) => [c, h, w],
        _ => {
            return Err(layer.unsuitable(format_args!("data of sizes {sizes:?} are not supported")));
        }
    };
    let count =
        [height, width].iter().try_fold(channels as usize, |n, &d| n.checked_mul(d as usize));
    let count = count.ok_or_else(|| layer.damaged("its data are too large"))?;
    let values = match layer.int(LOAD_TYPE, 1)? {
        TAGGED => net.weights.tagged(count)?,
        _ => net.weights.untagged(count)?,
    };
    let dims = [1, channels, height, width].map(u64::from);
    let value = net.graph.constant_f32("data", &dims, &values);
    let (height, width) = (Extent::constant(height), Extent::constant(width));
    Ok(Blob { value, channels, height, width })
}

/// Reshape and Flatten of a vector to a vector: a 1×1 image stays as it is.
fn reshape(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const WIDTH: i32 = 0;
    const HEIGHT: i32 = 1;
    const CHANNELS: i32 = 2;
    let x = net.input(layer)?;
    let shape = [layer.int(WIDTH, UNSET)?, layer.int(HEIGHT, UNSET)?, layer.int(CHANNELS, UNSET)?];
    let is_all = |n: i32| n == -1 || u32::try_from(n) == Ok(x.channels);
    let to_vector = match shape {
        [UNSET, UNSET, UNSET] => true,
        [w, UNSET, UNSET] => is_all(w),
        [1, 1, c] => is_all(c),
        _ => false,
    };
    if !x.is_vector() || !to_vector {
        return Err(layer.unsuitable("reshaping an image is not supported"));
    }
    Ok(x)
}

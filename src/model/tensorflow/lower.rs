//! The operators of TensorFlow as nodes of a graph.
//!
//! TensorFlow's images are N×H×W×C, those of the graph always N×C×H×W, so that a transposition
//! between the two needs no operator.

use std::{collections::HashMap, rc::Rc};

use super::{
    graphdef::{Constant, NodeDef},
    piecewise::Piecewise,
};
use crate::model::{Border, Graph, Shuffle, Window, fault::Fault};

/// The output of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Image(Image),
    Constant(Rc<Constant>),
}

/// An image of the graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Image {
    pub samples: Piecewise,
    pub channels: u64,
}

impl Image {
    /// The value `value` with this many channels.
    pub(crate) fn new(value: String, channels: u64) -> Self {
        Self { samples: Piecewise::identity(value), channels }
    }

    /// Another value with as many channels.
    fn with(&self, value: String) -> Value {
        Value::Image(Self::new(value, self.channels))
    }
}

/// The operators that [`lower`] supports, and Placeholder, for messages.
const SUPPORTED: &[&str] = &[
    "Abs",
    "Add",
    "AddV2",
    "BiasAdd",
    "CheckNumerics",
    "Const",
    "Conv2D",
    "Conv2DBackpropInput",
    "DepthToSpace",
    "Identity",
    "LeakyRelu",
    "Maximum",
    "MirrorPad",
    "Mul",
    "Neg",
    "Pad",
    "Placeholder",
    "Relu",
    "Sigmoid",
    "StopGradient",
    "Sub",
    "Tanh",
    "Transpose",
];

/// The graph, and what adding more nodes needs.
pub(super) struct Lowering {
    pub graph: Graph,
    /// The names of kernels that the graph has: constants shared between nodes stay shared.
    kernels: HashMap<*const Constant, String>,
}

impl Lowering {
    pub(crate) fn new(graph: Graph) -> Self {
        Self { graph, kernels: HashMap::new() }
    }
}

/// The maximum number of channels; published networks have up to 2304 (EDSR ×3).
const MAX_CHANNELS: u64 = 1 << 12;
/// The largest kernel and the largest block of pixels, in samples per side.
const MAX_KERNEL: u32 = 1024;
const MAX_BLOCK: u32 = 64;
/// The largest stride and dilation.
const MAX_STRIDE: u32 = 64;
/// The largest pad on one side.
const MAX_PAD: i64 = 4096;

/// Adds `node`, whose `inputs` have been added before.
///
/// # Errors
/// [`Fault::Unsuitable`] if the operator is not supported; [`Fault::Damaged`] if its inputs do not
/// match it.
pub(super) fn lower(node: &NodeDef, inputs: &[Value], to: &mut Lowering) -> Result<Value, Fault> {
    let graph = &mut to.graph;
    use Value::{Constant as C, Image as I};
    let slopes = |x: &Image, samples: Option<Piecewise>| match samples {
        Some(samples) => Ok(I(Image { samples, ..x.clone() })),
        None => Err(node.damaged("the channels of its constant do not match its input")),
    };
    match (node.op.as_str(), inputs) {
        ("Const", _) => Ok(C(Rc::new(node.constant()?))),
        ("Identity" | "StopGradient" | "CheckNumerics", [value, ..]) => Ok(value.clone()),
        ("Transpose", [I(x), C(order)]) => match order.ints()[..] {
            [0, 3, 1, 2] | [0, 2, 3, 1] => Ok(I(x.clone())),
            _ => Err(node.unsuitable("transposing images is not supported")),
        },
        ("Relu", [I(x)]) => slopes(x, Some(x.samples.clone().relu())),
        ("Abs", [I(x)]) => slopes(x, Some(x.samples.clone().abs())),
        ("Neg", [I(x)]) => slopes(x, x.samples.times(&[-1.0])),
        ("LeakyRelu", [I(x)]) => {
            let (above, slope) = (x.samples.clone().relu(), node.float("alpha").unwrap_or(0.2));
            let below = x.samples.plus(&above, -1.0).and_then(|below| below.times(&[slope]));
            slopes(x, below.and_then(|below| above.plus(&below, 1.0)))
        }
        ("Mul", [I(x), C(factors)] | [C(factors), I(x)]) => {
            slopes(x, factors.per_channel().and_then(|factors| x.samples.times(factors)))
        }
        ("Add" | "AddV2" | "BiasAdd" | "Sub", [I(x), C(terms)] | [C(terms), I(x)]) => {
            let subtracts_image = node.op == "Sub" && matches!(inputs, [C(_), I(_)]);
            let sign = if node.op == "Sub" && !subtracts_image { -1.0 } else { 1.0 };
            let terms = channels(node, terms, x)?.map(|term| sign * term).collect::<Vec<_>>();
            let x = if subtracts_image { negated(x) } else { x.clone() };
            let value = x.samples.emit(graph);
            Ok(x.with(graph.offset(&value, &terms)))
        }
        ("Add" | "AddV2" | "Sub", [I(a), I(b)]) => {
            let sign = if node.op == "Sub" { -1.0 } else { 1.0 };
            if let Some(samples) = a.samples.plus(&b.samples, sign) {
                return slopes(a, Some(samples));
            }
            let op = if node.op == "Sub" { "Sub" } else { "Add" };
            pairwise(node, op, a, b, graph)
        }
        ("Mul", [I(a), I(b)]) => pairwise(node, "Mul", a, b, graph),
        ("Maximum", [I(a), I(b)]) => pairwise(node, "Max", a, b, graph),
        ("Tanh" | "Sigmoid", [I(x)]) => {
            let value = x.samples.emit(graph);
            Ok(x.with(graph.push(&node.op, &[&value], [])))
        }
        ("Conv2D", [I(x), C(kernel)]) => convolution(node, x, kernel, to),
        ("Conv2DBackpropInput", [_, C(kernel), I(x)]) => deconvolution(node, x, kernel, to),
        ("DepthToSpace", [I(x)]) => {
            let size = node.int("block_size").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let area = u64::from(size) * u64::from(size);
            if size > MAX_BLOCK || area == 0 || !x.channels.is_multiple_of(area) {
                let channels = x.channels;
                return Err(node.damaged(format!("cannot divide {channels} channels by {area}")));
            }
            require_channels_last(node)?;
            let value = x.samples.emit(graph);
            let value = graph.depth_to_space(&value, size, Shuffle::Dcr);
            Ok(I(Image::new(value, x.channels / area)))
        }
        ("Pad" | "MirrorPad", [I(x), C(pads)]) => {
            let border = match node.text("mode") {
                None => Border::Zero,
                Some("REFLECT") => Border::Reflect,
                Some(mode) => {
                    return Err(
                        node.unsuitable(format!("the padding mode {mode} is not supported"))
                    );
                }
            };
            let pads = match pads.ints()[..] {
                [0, 0, top, bottom, left, right, 0, 0] => [top, left, bottom, right],
                _ => return Err(node.unsuitable("padding of batch or channels is not supported")),
            };
            if pads.iter().any(|pad| !(0..=MAX_PAD).contains(pad)) {
                return Err(node.damaged(format!("has pads of {pads:?} (maximum {MAX_PAD})")));
            }
            let value = x.samples.emit(graph);
            Ok(x.with(graph.pad(&value, pads, border)))
        }
        (op, _) if SUPPORTED.contains(&op) => {
            Err(node.unsuitable("this combination of images and constants is not supported"))
        }
        _ => {
            let operators = SUPPORTED.join(", ");
            Err(node.unsuitable(format!("not supported; expected one of {operators}")))
        }
    }
}

fn negated(x: &Image) -> Image {
    let samples = x.samples.times(&[-1.0]).unwrap_or_else(|| x.samples.clone());
    Image { samples, ..x.clone() }
}

/// The numbers of `constant`: one for each channel of `x`, or one for all.
fn channels<'a>(
    node: &NodeDef,
    constant: &'a Constant,
    x: &Image,
) -> Result<std::slice::Iter<'a, f32>, Fault> {
    let numbers = constant.per_channel();
    let numbers = numbers.filter(|n| n.len() == 1 || n.len() as u64 == x.channels);
    numbers.map(<[f32]>::iter).ok_or_else(|| {
        node.damaged(format!("has a constant of {:?} for {} channels", constant.dims, x.channels))
    })
}

/// Adds `op` on two images; one channel is broadcast.
fn pairwise(
    node: &NodeDef,
    op: &str,
    a: &Image,
    b: &Image,
    graph: &mut Graph,
) -> Result<Value, Fault> {
    if a.channels != b.channels && a.channels != 1 && b.channels != 1 {
        return Err(node.damaged(format!("combines {} channels with {}", a.channels, b.channels)));
    }
    let (x, y) = (a.samples.emit(graph), b.samples.emit(graph));
    let channels = a.channels.max(b.channels);
    Ok(Value::Image(Image::new(graph.push(op, &[&x, &y], []), channels)))
}

/// Checks that the node's images are N×H×W×C: otherwise its attributes have another meaning.
///
/// # Errors
/// [`Fault::Unsuitable`] for other layouts.
fn require_channels_last(node: &NodeDef) -> Result<(), Fault> {
    match node.text("data_format") {
        None | Some("NHWC") => Ok(()),
        Some(format) => Err(node.unsuitable(format!("the layout {format} is not supported"))),
    }
}

/// (Height, width) of an attribute such as `strides`, which has one number for each of N, H, W, C.
fn sides(node: &NodeDef, name: &str) -> Result<[u32; 2], Fault> {
    let side = |n: i64| u32::try_from(n).ok().filter(|n| (1..=MAX_STRIDE).contains(n));
    match node.ints(name) {
        None => Ok([1; 2]),
        Some(values @ &[1, height, width, 1]) => match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok([height, width]),
            _ => Err(node.damaged(format!("has {name} of {values:?}"))),
        },
        Some(values) => Err(node.unsuitable(format!("the {name} {values:?} are not supported"))),
    }
}

/// The kernel of a convolution in the graph.
struct Kernel {
    /// The name of the constant.
    name: String,
    /// Height, width.
    size: [u32; 2],
    /// The third and the fourth dimension of TensorFlow's order: inputs and outputs of a
    /// convolution, outputs and inputs of a transposed convolution.
    channels: [u64; 2],
}

/// Adds the kernel `constant`, unless the graph has it already.
fn kernel(node: &NodeDef, constant: &Rc<Constant>, to: &mut Lowering) -> Result<Kernel, Fault> {
    let invalid = || node.damaged(format!("has a kernel of {:?}", constant.dims));
    let &[height, width, third, fourth] = constant.dims.as_slice() else { return Err(invalid()) };
    let side = |n: u64| u32::try_from(n).ok().filter(|n| (1..=MAX_KERNEL).contains(n));
    let size = [side(height).ok_or_else(invalid)?, side(width).ok_or_else(invalid)?];
    if third > MAX_CHANNELS || fourth > MAX_CHANNELS {
        return Err(invalid());
    }
    let key = Rc::as_ptr(constant);
    let name = match to.kernels.get(&key) {
        Some(name) => name.clone(),
        None => {
            let (dims, values) = constant.to_onnx_kernel().ok_or_else(invalid)?;
            let name = to.graph.constant_f32("weight", &dims, &values);
            to.kernels.insert(key, name.clone());
            name
        }
    };
    Ok(Kernel { name, size, channels: [third, fourth] })
}

/// # Errors
/// [`Fault::Damaged`] unless `x` has the number of channels that the kernel expects.
fn check_inputs(node: &NodeDef, x: &Image, expected: u64) -> Result<(), Fault> {
    if x.channels == expected {
        return Ok(());
    }
    let actual = x.channels;
    Err(node.damaged(format!("expects {expected} input channels, but gets {actual}")))
}

/// Top, left, bottom, right of `SAME` padding with [height, width] samples in total.
fn same([height, width]: [u32; 2]) -> [u32; 4] {
    [height / 2, width / 2, height - height / 2, width - width / 2]
}

/// Conv2D.
fn convolution(
    node: &NodeDef,
    x: &Image,
    weights: &Rc<Constant>,
    to: &mut Lowering,
) -> Result<Value, Fault> {
    require_channels_last(node)?;
    let (stride, dilation) = (sides(node, "strides")?, sides(node, "dilations")?);
    let Kernel { name, size: [height, width], channels: [inputs, outputs] } =
        kernel(node, weights, to)?;
    check_inputs(node, x, inputs)?;
    let [dilation_height, dilation_width] = dilation;
    let span = [(height - 1) * dilation_height, (width - 1) * dilation_width];
    let pads = match node.text("padding") {
        Some("VALID") => [0; 4],
        Some("SAME") if stride == [1; 2] => same(span),
        padding => {
            return Err(node.unsuitable(format!(
                "the padding {} with strides {stride:?} is not supported",
                padding.unwrap_or("(none)")
            )));
        }
    };
    let value = x.samples.emit(&mut to.graph);
    let window = Window { stride, pads, dilation, group: 1 };
    let value = to.graph.conv(&value, &name, None, window);
    Ok(Value::Image(Image::new(value, outputs)))
}

/// Conv2DBackpropInput, the transposed convolution. Its size input is ignored, since `SAME` means
/// input · stride.
fn deconvolution(
    node: &NodeDef,
    x: &Image,
    weights: &Rc<Constant>,
    to: &mut Lowering,
) -> Result<Value, Fault> {
    require_channels_last(node)?;
    let (stride, dilation) = (sides(node, "strides")?, sides(node, "dilations")?);
    let Kernel { name, size: [height, width], channels: [outputs, inputs] } =
        kernel(node, weights, to)?;
    check_inputs(node, x, inputs)?;
    if dilation != [1; 2] {
        return Err(node.unsuitable(format!("the dilations {dilation:?} are not supported")));
    }
    let [stride_height, stride_width] = stride;
    let (pads, output_pads) = match node.text("padding") {
        Some("VALID") => ([0; 4], [0; 2]),
        Some("SAME") => {
            let excess = [height.saturating_sub(stride_height), width.saturating_sub(stride_width)];
            let missing =
                [stride_height.saturating_sub(height), stride_width.saturating_sub(width)];
            (same(excess), missing)
        }
        padding => {
            let padding = padding.unwrap_or("(none)");
            return Err(node.unsuitable(format!("the padding {padding} is not supported")));
        }
    };
    let value = x.samples.emit(&mut to.graph);
    let window = Window { stride, pads, dilation, group: 1 };
    let value = to.graph.conv_transpose(&value, &name, None, window, output_pads);
    Ok(Value::Image(Image::new(value, outputs)))
}

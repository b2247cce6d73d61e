//! Each of TensorFlow's operators as nodes of the graph.
//!
//! TensorFlow's pictures are N × H × W × C; those of the graph stay N × C × H × W throughout,
//! so that a transposition between the two orders is no operator at all.

use std::{collections::HashMap, rc::Rc};

use super::{
    graphdef::{Constant, NodeDef},
    piecewise::Piecewise,
};
use crate::model::{Border, Graph, Shuffle, Window, fault::Fault};

/// What a node makes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Picture(Picture),
    Constant(Rc<Constant>),
}

/// A picture of so many channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub samples: Piecewise,
    pub channels: u64,
}

impl Picture {
    pub fn new(value: String, channels: u64) -> Self {
        Self { samples: Piecewise::identity(value), channels }
    }

    /// The same picture under another name.
    fn with(&self, value: String) -> Value {
        Value::Picture(Self::new(value, self.channels))
    }
}

/// The kinds that are known, for messages.
const KNOWN: &str = "Abs, Add, BiasAdd, Const, Conv2D, Conv2DBackpropInput, DepthToSpace, \
    Identity, LeakyRelu, Maximum, MirrorPad, Mul, Neg, Pad, Placeholder, Relu, Sigmoid, Sub, Tanh, \
    Transpose";

/// The graph as it grows.
pub struct Lowering {
    pub graph: Graph,
    /// Kernels that are there already: constants shared between nodes stay shared.
    kernels: HashMap<*const Constant, String>,
}

impl Lowering {
    pub fn new(graph: Graph) -> Self {
        Self { graph, kernels: HashMap::new() }
    }
}

/// No published network has more channels (EDSR ×3 has 2304).
const MOST_CHANNELS: u64 = 1 << 12;

/// Adds `node`, whose `inputs` are there already, to `graph`.
///
/// # Errors
/// Where the operator is not known or its inputs do not fit it.
pub fn lower(node: &NodeDef, inputs: &[Value], to: &mut Lowering) -> Result<Value, Fault> {
    let graph = &mut to.graph;
    use Value::{Constant as C, Picture as P};
    let slopes = |x: &Picture, samples: Option<Piecewise>| match samples {
        Some(samples) => Ok(P(Picture { samples, ..x.clone() })),
        None => Err(node.damaged("its constant has another count of channels")),
    };
    match (node.op.as_str(), inputs) {
        ("Const", _) => Ok(C(Rc::new(node.constant()?))),
        ("Identity" | "StopGradient" | "CheckNumerics", [value, ..]) => Ok(value.clone()),
        ("Transpose", [P(x), C(order)]) => match order.ints()[..] {
            [0, 3, 1, 2] | [0, 2, 3, 1] => Ok(P(x.clone())),
            _ => Err(node.unsuitable("turns pictures")),
        },
        ("Relu", [P(x)]) => slopes(x, Some(x.samples.clone().relu())),
        ("Abs", [P(x)]) => slopes(x, Some(x.samples.clone().abs())),
        ("Neg", [P(x)]) => slopes(x, x.samples.times(&[-1.0])),
        ("LeakyRelu", [P(x)]) => {
            let (above, slope) = (x.samples.clone().relu(), node.float("alpha").unwrap_or(0.2));
            let below = x.samples.plus(&above, -1.0).and_then(|below| below.times(&[slope]));
            slopes(x, below.and_then(|below| above.plus(&below, 1.0)))
        }
        ("Mul", [P(x), C(factors)] | [C(factors), P(x)]) => {
            slopes(x, factors.per_channel().and_then(|factors| x.samples.times(factors)))
        }
        ("Add" | "AddV2" | "BiasAdd" | "Sub", [P(x), C(terms)] | [C(terms), P(x)]) => {
            let turned = node.op == "Sub" && matches!(inputs, [C(_), P(_)]);
            let sign = if node.op == "Sub" && !turned { -1.0 } else { 1.0 };
            let terms = channels(node, terms, x)?.map(|term| sign * term).collect::<Vec<_>>();
            let x = if turned { negated(x) } else { x.clone() };
            let value = x.samples.emit(graph);
            Ok(x.with(graph.offset(&value, &terms)))
        }
        ("Add" | "AddV2" | "Sub", [P(a), P(b)]) => {
            let sign = if node.op == "Sub" { -1.0 } else { 1.0 };
            if let Some(samples) = a.samples.plus(&b.samples, sign) {
                return slopes(a, Some(samples));
            }
            let op = if node.op == "Sub" { "Sub" } else { "Add" };
            pairwise(node, op, a, b, graph)
        }
        ("Mul", [P(a), P(b)]) => pairwise(node, "Mul", a, b, graph),
        ("Maximum", [P(a), P(b)]) => pairwise(node, "Max", a, b, graph),
        ("Tanh" | "Sigmoid", [P(x)]) => {
            let value = x.samples.emit(graph);
            Ok(x.with(graph.push(
                if node.op == "Tanh" { "Tanh" } else { "Sigmoid" },
                &[&value],
                [],
            )))
        }
        ("Conv2D", [P(x), C(kernel)]) => convolution(node, x, kernel, to),
        ("Conv2DBackpropInput", [_, C(kernel), P(x)]) => deconvolution(node, x, kernel, to),
        ("DepthToSpace", [P(x)]) => {
            let size = node.int("block_size").and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let area = u64::from(size) * u64::from(size);
            if size > 64 || area == 0 || !x.channels.is_multiple_of(area) {
                return Err(node.damaged(format!("{} channels by blocks of {size}", x.channels)));
            }
            last_channels(node)?;
            let value = x.samples.emit(graph);
            let value = graph.depth_to_space(&value, size, Shuffle::Dcr);
            Ok(P(Picture::new(value, x.channels / area)))
        }
        ("Pad" | "MirrorPad", [P(x), C(pads)]) => {
            let border = match node.text("mode") {
                None => Border::Zero,
                Some("REFLECT") => Border::Reflect,
                Some(mode) => return Err(node.unsuitable(format!("pads by {mode}"))),
            };
            let pads = match pads.ints()[..] {
                [0, 0, top, bottom, left, right, 0, 0] => [top, left, bottom, right],
                _ => return Err(node.unsuitable("pads otherwise than at the sides")),
            };
            if pads.iter().any(|pad| !(0..=4096).contains(pad)) {
                return Err(node.damaged("pads by less than 0 or more than 4096"));
            }
            let value = x.samples.emit(graph);
            Ok(x.with(graph.pad(&value, pads, border)))
        }
        (op, inputs) if KNOWN.split(", ").any(|known| known == op.trim_end_matches("V2")) => {
            Err(node.unsuitable(format!("{} inputs of kinds that it has not here", inputs.len())))
        }
        _ => Err(node.unsuitable(format!("not known here; known are {KNOWN}"))),
    }
}

fn negated(x: &Picture) -> Picture {
    let samples = x.samples.times(&[-1.0]).unwrap_or_else(|| x.samples.clone());
    Picture { samples, ..x.clone() }
}

/// One number of `constant` for each channel of `x`, or one for all.
fn channels<'a>(
    node: &NodeDef,
    constant: &'a Constant,
    x: &Picture,
) -> Result<std::slice::Iter<'a, f32>, Fault> {
    let numbers = constant.per_channel();
    let numbers = numbers.filter(|n| n.len() == 1 || n.len() as u64 == x.channels);
    numbers.map(<[f32]>::iter).ok_or_else(|| {
        node.damaged(format!("a constant of {:?} for {} channels", constant.dims, x.channels))
    })
}

fn pairwise(
    node: &NodeDef,
    op: &str,
    a: &Picture,
    b: &Picture,
    graph: &mut Graph,
) -> Result<Value, Fault> {
    if a.channels != b.channels && a.channels != 1 && b.channels != 1 {
        return Err(node.damaged(format!("joins {} channels with {}", a.channels, b.channels)));
    }
    let (x, y) = (a.samples.emit(graph), b.samples.emit(graph));
    let channels = a.channels.max(b.channels);
    Ok(Value::Picture(Picture::new(graph.push(op, &[&x, &y], []), channels)))
}

/// # Errors
/// Where channels do not come last: then shapes and paddings mean something else.
fn last_channels(node: &NodeDef) -> Result<(), Fault> {
    match node.text("data_format") {
        None | Some("NHWC") => Ok(()),
        Some(format) => Err(node.unsuitable(format!("has pictures of {format}"))),
    }
}

/// Height and width of an attribute such as `strides`, which has one number for each of NHWC.
fn sides(node: &NodeDef, name: &str) -> Result<[u32; 2], Fault> {
    let side = |n: i64| u32::try_from(n).ok().filter(|n| (1..=64).contains(n));
    match node.ints(name) {
        None => Ok([1; 2]),
        Some(&[1, tall, wide, 1]) => match (side(tall), side(wide)) {
            (Some(tall), Some(wide)) => Ok([tall, wide]),
            _ => Err(node.damaged(format!("{name} of {tall} × {wide}"))),
        },
        Some(other) => Err(node.unsuitable(format!("{name} of {other:?}"))),
    }
}

/// The kernel of a convolution: its constant's name, its sides, and its counts of the last
/// and the third dimension in TensorFlow's order, which come first in the graph's.
fn kernel(
    node: &NodeDef,
    constant: &Rc<Constant>,
    to: &mut Lowering,
) -> Result<(String, [u32; 2], [u64; 2]), Fault> {
    let odd = || node.damaged(format!("a kernel of {:?}", constant.dims));
    let &[tall, wide, third, last] = constant.dims.as_slice() else { return Err(odd()) };
    let side = |n: u64| u32::try_from(n).ok().filter(|n| (1..=1024).contains(n));
    let size = [side(tall).ok_or_else(odd)?, side(wide).ok_or_else(odd)?];
    if third > MOST_CHANNELS || last > MOST_CHANNELS {
        return Err(odd());
    }
    let key = Rc::as_ptr(constant);
    let name = match to.kernels.get(&key) {
        Some(name) => name.clone(),
        None => {
            let (dims, values) = constant.permuted([3, 2, 0, 1]).ok_or_else(odd)?;
            let name = to.graph.constant_f32("weight", &dims, &values);
            to.kernels.insert(key, name.clone());
            name
        }
    };
    Ok((name, size, [last, third]))
}

/// Top, left, bottom, right of what `SAME` means for so many samples in all.
fn same(total: [u32; 2]) -> [u32; 4] {
    let [tall, wide] = total;
    [tall / 2, wide / 2, tall - tall / 2, wide - wide / 2]
}

/// Conv2D: the kernel is height × width × inputs × outputs.
fn convolution(
    node: &NodeDef,
    x: &Picture,
    weights: &Rc<Constant>,
    to: &mut Lowering,
) -> Result<Value, Fault> {
    last_channels(node)?;
    let (stride, dilation) = (sides(node, "strides")?, sides(node, "dilations")?);
    let (weight, size, [outputs, inputs]) = kernel(node, weights, to)?;
    if inputs != x.channels {
        return Err(node.damaged(format!("its kernel is for {inputs} channels of {}", x.channels)));
    }
    let span = [(size[0] - 1) * dilation[0], (size[1] - 1) * dilation[1]];
    let pads = match node.text("padding") {
        Some("VALID") => [0; 4],
        Some("SAME") if stride == [1; 2] => same(span),
        other => return Err(node.unsuitable(format!("padding {other:?}, strides {stride:?}"))),
    };
    let value = x.samples.emit(&mut to.graph);
    let window = Window { stride, pads, dilation, group: 1 };
    let value = to.graph.conv(&value, &weight, None, window);
    Ok(Value::Picture(Picture::new(value, outputs)))
}

/// Conv2DBackpropInput, the transposed convolution: the kernel is height × width × outputs ×
/// inputs. Its size input is left alone, for `SAME` means input · stride.
fn deconvolution(
    node: &NodeDef,
    x: &Picture,
    weights: &Rc<Constant>,
    to: &mut Lowering,
) -> Result<Value, Fault> {
    last_channels(node)?;
    let (stride, dilation) = (sides(node, "strides")?, sides(node, "dilations")?);
    let (weight, size, [inputs, outputs]) = kernel(node, weights, to)?;
    if inputs != x.channels || dilation != [1; 2] {
        return Err(node.damaged(format!("its kernel is for {inputs} channels of {}", x.channels)));
    }
    let (pads, more) = match node.text("padding") {
        Some("VALID") => ([0; 4], [0; 2]),
        Some("SAME") => {
            let over = std::array::from_fn(|i| size[i].saturating_sub(stride[i]));
            (same(over), std::array::from_fn(|i| stride[i].saturating_sub(size[i])))
        }
        other => return Err(node.unsuitable(format!("padding {other:?}"))),
    };
    let value = x.samples.emit(&mut to.graph);
    let window = Window { stride, pads, dilation, group: 1 };
    let value = to.graph.conv_transpose(&value, &weight, None, window, more);
    Ok(Value::Picture(Picture::new(value, outputs)))
}

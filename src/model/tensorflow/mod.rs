//! TensorFlow's frozen graphs, such as those of OpenCV's `dnn_superres`: EDSR, ESPCN, FSRCNN and
//! LapSRN.

mod graphdef;
mod lower;
mod piecewise;

use std::{collections::HashSet, path::Path};

use bytes::Bytes;

use self::{
    graphdef::{NodeDef, Nodes},
    lower::{Image, Lowering, Value, lower},
};
use super::{Error, Graph, Window, bounded_file, fault::Fault, order};

/// The largest file in bytes; EDSR's published graphs have up to 173 MB.
const MAX_SIZE: u64 = 1 << 30;

/// The mean B, G, R, in 0..=255, of EDSR's training images. dnn_superres.cpp subtracts it before
/// the network and adds it after.
const EDSR_MEAN: [f32; 3] = [103.154_58, 111.561_55, 114.356_3];

/// The transposed convolution, whose first input, the size of its output, is never computed.
const DECONVOLUTION: &str = "Conv2DBackpropInput";

/// Reads the frozen graph at `path`.
///
/// # Errors
/// [`Error::Unsuitable`] if an operator is not supported; [`Error::Damaged`] if the file is not a
/// graph or contradicts itself; [`Error::Io`].
pub(crate) fn read(path: &Path) -> Result<Graph, Error> {
    parse(bounded_file::read(path, MAX_SIZE)?).map_err(|fault| fault.at(path))
}

/// Reads a frozen graph from the content of a file. The result follows the contract of
/// [`crate::model`].
///
/// A graph of one channel takes Y′ of 0..=1 as it is; a graph of three channels is EDSR, which
/// takes B, G, R of 0..=255 minus their mean.
///
/// # Errors
/// [`Fault`], as [`Error`] in [`Model::open`](super::Model::open).
pub fn parse(bytes: Bytes) -> Result<Graph, Fault> {
    let nodes = Nodes::decode(bytes)?;
    let output = output(&nodes)?;
    let order = order(&nodes, output)?;
    let channels = input_channels(&nodes, &order)?;
    let mut graph = Graph::new(channels);
    let mut input = graph.input.clone();
    if channels == 3 {
        let weights = [[0.0, 0.0, 255.0], [0.0, 255.0, 0.0], [255.0, 0.0, 0.0]];
        input = mix(&mut graph, &input, weights, EDSR_MEAN.map(|mean| -mean));
    }
    let mut lowering = Lowering::new(graph);
    let mut values: Vec<Option<Value>> = vec![None; nodes.list.len()];
    let mut inputs = 0;
    for &index in &order {
        let node = nodes.get(index)?;
        let value = if matches!(node.op.as_str(), "Placeholder" | "PlaceholderV2") {
            inputs += 1;
            Value::Image(Image::new(input.clone(), channels))
        } else {
            let operands = dependencies(&nodes, node)?.into_iter();
            let operands = operands.map(|input| values.get(input).cloned().flatten());
            // Stands for the size input.
            let unused = (node.op == DECONVOLUTION)
                .then(|| Some(Value::Image(Image::new(String::new(), 0))));
            let operands: Option<Vec<Value>> = unused.into_iter().chain(operands).collect();
            let operands = operands.ok_or_else(|| node.damaged("lacks an input"))?;
            lower(node, &operands, &mut lowering)?
        };
        if let Some(slot) = values.get_mut(index) {
            *slot = Some(value);
        }
    }
    let Some(Some(Value::Image(image))) = values.get(output) else {
        return Err(Fault::unsuitable("its output is a constant"));
    };
    if inputs != 1 {
        return Err(Fault::unsuitable(format!("it has {inputs} inputs; expected 1")));
    }
    if image.channels != channels {
        let outputs = image.channels;
        return Err(Fault::unsuitable(format!(
            "it has {channels} input channels, but {outputs} output channels"
        )));
    }
    let mut graph = lowering.graph;
    let mut last = image.samples.emit(&mut graph);
    if channels == 3 {
        let scale = 1.0 / 255.0;
        let weights = [[0.0, 0.0, scale], [0.0, scale, 0.0], [scale, 0.0, 0.0]];
        let [b, g, r] = EDSR_MEAN.map(|mean| mean * scale);
        last = mix(&mut graph, &last, weights, [r, g, b]);
    }
    graph.set_output(&last);
    Ok(graph)
}

/// Multiplies the three channels by a matrix and adds an offset.
fn mix(graph: &mut Graph, x: &str, weights: [[f32; 3]; 3], offset: [f32; 3]) -> String {
    let weights = graph.constant_f32("mix", &[3, 3, 1, 1], weights.as_flattened());
    let offset = graph.constant_f32("mix.offset", &[3], &offset);
    graph.conv(x, &weights, Some(&offset), Window::default())
}

/// The index of the output node. LapSRN's ×4 graph has several, `NCHW_output_2x` and
/// `NCHW_output_4x`: the one with the largest number is the output, or else the one named
/// `NCHW_output`, or else the last.
fn output(nodes: &Nodes) -> Result<usize, Fault> {
    let mut used = HashSet::new();
    for node in &nodes.list {
        used.extend(nodes.inputs(node)?);
    }
    let ends = nodes.list.iter().enumerate().filter(|(index, node)| {
        !used.contains(index) && !matches!(node.op.as_str(), "Const" | "Placeholder" | "NoOp")
    });
    let factor = |node: &NodeDef| -> Option<u32> {
        node.name.strip_suffix('x')?.rsplit('_').next()?.parse().ok()
    };
    let last = ends.max_by_key(|&(index, node)| (factor(node), node.name == "NCHW_output", index));
    last.map(|(index, _)| index).ok_or_else(|| Fault::damaged("it has no output"))
}

/// The indices of the nodes that `node` needs to be computed.
fn dependencies(nodes: &Nodes, node: &NodeDef) -> Result<Vec<usize>, Fault> {
    let mut inputs = nodes.inputs(node)?;
    if node.op == DECONVOLUTION && !inputs.is_empty() {
        inputs.remove(0);
    }
    Ok(inputs)
}

/// The indices of the nodes that `output` depends on, each after its inputs.
fn order(nodes: &Nodes, output: usize) -> Result<Vec<usize>, Fault> {
    let mut needed = HashSet::from([output]);
    let mut lists = vec![Vec::new(); nodes.list.len()];
    let mut stack = vec![output];
    while let Some(index) = stack.pop() {
        let list = dependencies(nodes, nodes.get(index)?)?;
        stack.extend(list.iter().copied().filter(|&input| needed.insert(input)));
        if let Some(slot) = lists.get_mut(index) {
            *slot = list;
        }
    }
    let mut order =
        order::topological(&lists).ok_or_else(|| Fault::damaged("the graph has a cycle"))?;
    order.retain(|index| needed.contains(index));
    Ok(order)
}

/// The input channels, 1 or 3, that the first kernel expects.
fn input_channels(nodes: &Nodes, order: &[usize]) -> Result<u64, Fault> {
    for &index in order {
        let node = nodes.get(index)?;
        let axis = match node.op.as_str() {
            "Conv2D" => 2,
            DECONVOLUTION => 3,
            _ => continue,
        };
        let Some(&kernel) = nodes.inputs(node)?.get(1) else {
            return Err(node.damaged("lacks its kernel"));
        };
        let mut kernel = nodes.get(kernel)?;
        if kernel.op == "Identity"
            && let Some(&inner) = nodes.inputs(kernel)?.first()
        {
            kernel = nodes.get(inner)?;
        }
        return match kernel.constant()?.dims.get(axis) {
            Some(&channels @ (1 | 3)) => Ok(channels),
            Some(other) => {
                Err(node.unsuitable(format!("has {other} input channels; expected 1 or 3")))
            }
            None => Err(node.damaged("its kernel has too few dimensions")),
        };
    }
    Err(Fault::unsuitable("it has no convolution, so it is not an upscaler"))
}

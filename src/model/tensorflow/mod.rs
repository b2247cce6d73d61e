//! TensorFlow's frozen graphs, such as those of OpenCV's `dnn_superres`: EDSR, ESPCN, FSRCNN
//! and LapSRN.

mod graphdef;
mod lower;
mod piecewise;

use std::{collections::HashSet, path::Path};

use bytes::Bytes;

use self::{
    graphdef::{NodeDef, Nodes},
    lower::{Lowering, Picture, Value},
};
use super::{Error, Graph, Window, fault::Fault};

/// EDSR's published graphs have up to 173 MB.
const MOST: u64 = 1 << 30;

/// Mean of the pictures that EDSR was trained on, B, G, R of 0..255: dnn_superres.cpp takes
/// it off ahead of the network and adds it after.
const EDSR_MEAN: [f32; 3] = [103.154_58, 111.561_55, 114.356_3];

/// Reads the frozen graph at `path`.
///
/// # Errors
/// [`Error::Unsuitable`] where an operator is not known; [`Error::Damaged`] where the file is
/// no graph or contradicts itself.
pub fn read(path: &Path) -> Result<Graph, Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MOST {
        return Err(Fault::damaged(format!("{size} bytes: {MOST} is the most")).at(path));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    parse(bytes.into()).map_err(|fault| fault.at(path))
}

/// The graph from the file's bytes, in the contract's form.
///
/// A graph of one channel takes Y′ of 0..1 as it is; one of three is EDSR, which wants B, G, R
/// of 0..255 less their mean.
///
/// # Errors
/// See [`read`].
pub fn parse(bytes: Bytes) -> Result<Graph, Fault> {
    let nodes = Nodes::decode(bytes)?;
    let output = output(&nodes)?;
    let order = order(&nodes, output)?;
    let channels = input_channels(&nodes, &order)?;
    let mut graph = Graph::new(channels);
    let mut first = graph.input.clone();
    if channels == 3 {
        let weights = [[0.0, 0.0, 255.0], [0.0, 255.0, 0.0], [255.0, 0.0, 0.0]];
        first = mix(&mut graph, &first, weights, EDSR_MEAN.map(|mean| -mean));
    }
    let mut lowering = Lowering::new(graph);
    let mut values: Vec<Option<Value>> = vec![None; nodes.list.len()];
    let mut pictures = 0;
    for &place in &order {
        let node = &nodes.list[place];
        let inputs = inputs(&nodes, node)?;
        let ready = inputs.iter().map(|&input| values[input].clone());
        let value = match node.op.as_str() {
            "Placeholder" | "PlaceholderV2" => {
                pictures += 1;
                Value::Picture(Picture::new(first.clone(), channels))
            }
            // Its size input is never computed.
            "Conv2DBackpropInput" => {
                let nothing = Value::Picture(Picture::new(String::new(), 0));
                let rest: Option<Vec<_>> = ready.skip(1).collect();
                let rest = rest.ok_or_else(|| node.damaged("lacks an input"))?;
                lower::lower(node, &[vec![nothing], rest].concat(), &mut lowering)?
            }
            _ => {
                let ready: Option<Vec<_>> = ready.collect();
                let ready = ready.ok_or_else(|| node.damaged("lacks an input"))?;
                lower::lower(node, &ready, &mut lowering)?
            }
        };
        values[place] = Some(value);
    }
    let Some(Some(Value::Picture(picture))) = values.get(output) else {
        return Err(Fault::unsuitable("its output is a constant"));
    };
    if pictures != 1 || picture.channels != channels {
        return Err(Fault::unsuitable(format!(
            "it makes {} channels from {pictures} pictures of {channels}",
            picture.channels
        )));
    }
    let mut graph = lowering.graph;
    let mut last = picture.samples.emit(&mut graph);
    if channels == 3 {
        let part = 1.0 / 255.0;
        let weights = [[0.0, 0.0, part], [0.0, part, 0.0], [part, 0.0, 0.0]];
        let [b, g, r] = EDSR_MEAN.map(|mean| mean * part);
        last = mix(&mut graph, &last, weights, [r, g, b]);
    }
    graph.set_output(&last);
    Ok(graph)
}

/// Each channel as a sum of all three: a matrix and an offset.
fn mix(graph: &mut Graph, x: &str, weights: [[f32; 3]; 3], offset: [f32; 3]) -> String {
    let weights = graph.constant_f32("mix", &[3, 3, 1, 1], weights.as_flattened());
    let offset = graph.constant_f32("mix.offset", &[3], &offset);
    graph.conv(x, &weights, Some(&offset), Window::default())
}

/// The node whose picture is the result. Of several (LapSRN's ×4 graph gives ×2 too, and calls
/// them `NCHW_output_2x` and `NCHW_output_4x`) it is the one with the largest number, else the
/// one called `NCHW_output`, else the last.
fn output(nodes: &Nodes) -> Result<usize, Fault> {
    let mut used = HashSet::new();
    for node in &nodes.list {
        used.extend(inputs(nodes, node)?);
    }
    let ends = nodes.list.iter().enumerate().filter(|(place, node)| {
        !used.contains(place) && !matches!(node.op.as_str(), "Const" | "Placeholder" | "NoOp")
    });
    let factor = |node: &NodeDef| -> Option<u32> {
        node.name.strip_suffix('x')?.rsplit('_').next()?.parse().ok()
    };
    let last = ends.max_by_key(|&(place, node)| (factor(node), node.name == "NCHW_output", place));
    last.map(|(place, _)| place).ok_or_else(|| Fault::damaged("it ends nowhere"))
}

/// The places of a node's inputs.
fn inputs(nodes: &Nodes, node: &NodeDef) -> Result<Vec<usize>, Fault> {
    node.data_inputs().map(|input| nodes.place(input)).collect()
}

/// The nodes that `output` needs, each behind its inputs.
fn order(nodes: &Nodes, output: usize) -> Result<Vec<usize>, Fault> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut states = vec![State::New; nodes.list.len()];
    let mut order = Vec::new();
    let mut stack = vec![output];
    while let Some(&place) = stack.last() {
        let node = &nodes.list[place];
        match states[place] {
            State::New => {
                states[place] = State::Open;
                let skipped = usize::from(node.op == "Conv2DBackpropInput");
                for input in inputs(nodes, node)?.into_iter().skip(skipped) {
                    match states[input] {
                        State::New => stack.push(input),
                        State::Open => return Err(node.damaged("is its own input")),
                        State::Done => {}
                    }
                }
            }
            State::Open => {
                states[place] = State::Done;
                order.push(place);
                stack.pop();
            }
            State::Done => {
                stack.pop();
            }
        }
    }
    Ok(order)
}

/// 1 or 3: what the first kernel is for.
fn input_channels(nodes: &Nodes, order: &[usize]) -> Result<u64, Fault> {
    for &place in order {
        let node = &nodes.list[place];
        let axis = match node.op.as_str() {
            "Conv2D" => 2,
            "Conv2DBackpropInput" => 3,
            _ => continue,
        };
        let kernel = match inputs(nodes, node)?.get(1) {
            Some(&kernel) => &nodes.list[kernel],
            None => return Err(node.damaged("lacks its kernel")),
        };
        let kernel = match (kernel.op.as_str(), inputs(nodes, kernel)?.as_slice()) {
            ("Identity", &[inner, ..]) => &nodes.list[inner],
            _ => kernel,
        };
        return match kernel.constant()?.dims.get(axis) {
            Some(&channels @ (1 | 3)) => Ok(channels),
            other => Err(node.unsuitable(format!("takes {other:?} channels, not 1 or 3"))),
        };
    }
    Err(Fault::unsuitable("it has no convolution: it is no upscaler"))
}

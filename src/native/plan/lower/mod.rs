//! From the model's graph to layers, node by node.

mod channels;
mod convolution;
mod pointwise;
mod space;
mod value;

use std::collections::HashMap;

use super::{
    super::{
        Error,
        kernels::{Activation, LANES},
    },
    Block, Layer, Plan, PlaneId, Root, Size, Step, blocks,
    operands::{Constants, float, per_channel, unsupported},
};
use crate::model::{Graph, Node};
use value::Value;

struct Lowering<'a> {
    constants: Constants<'a>,
    values: HashMap<&'a str, Value>,
    layers: Vec<Layer>,
    planes: Vec<Size>,
}

pub(crate) fn lower(graph: &Graph) -> Result<Plan, Error> {
    let channels = graph.input_dims.get(1).copied().flatten().unwrap_or(3);
    let channels = usize::try_from(channels).ok().filter(|count| (1..=LANES).contains(count));
    let no_input = || Error::Operator {
        operator: "input".into(),
        why: format!("it takes {:?} channels", graph.input_dims.get(1)),
    };
    let channels = channels.ok_or_else(no_input)?;
    let mut lowering = Lowering {
        constants: Constants::new(graph),
        values: HashMap::new(),
        layers: Vec::new(),
        planes: Vec::new(),
    };
    let input = Value {
        size: Size::INPUT,
        blocks: vec![Block::Input { factor: 1, first: 0 }],
        lanes: (0..channels).collect(),
        shuffle: 1,
    };
    lowering.values.insert(&graph.input, input);
    for node in &graph.nodes {
        if !lowering.constants.take(node) {
            lowering.node(node, graph.opset)?;
        }
    }
    let no_output = |why: &str| Error::Operator { operator: "output".into(), why: why.into() };
    let output = lowering.values.get(graph.output.as_str()).cloned();
    let output = output.ok_or_else(|| no_output("it does not depend on the input"))?;
    let (outputs, shuffle) = (output.channels(), output.shuffle);
    // The last layer writes the picture and nothing else.
    lowering.push(Root::Copy(output.picks()), Vec::new(), output.lanes.len(), output.size);
    Ok(Plan { layers: lowering.layers, planes: lowering.planes, channels, outputs, shuffle })
}

impl<'a> Lowering<'a> {
    /// Adds a layer of this many channels.
    fn push(&mut self, root: Root, steps: Vec<Step>, channels: usize, size: Size) -> Value {
        let blocks = blocks(channels);
        let first = self.planes.len();
        let outputs: Vec<PlaneId> = (first..first + blocks).collect();
        self.planes.resize(first + blocks, size);
        let value = Value {
            size,
            blocks: outputs.iter().map(|&plane| Block::Plane(plane)).collect(),
            lanes: (0..channels).collect(),
            shuffle: 1,
        };
        self.layers.push(Layer { root, steps, outputs, blocks, size });
        value
    }

    /// Arithmetic on each sample of a value.
    fn pointwise(&mut self, value: &Value, steps: Vec<Step>) -> Value {
        let root = Root::Copy(value.picks());
        let made = self.push(root, steps, value.lanes.len(), value.size);
        Value { shuffle: value.shuffle, ..made }
    }

    /// The value without a shuffle that is yet to be done.
    fn plain(&mut self, node: &Node, value: Value) -> Result<Value, Error> {
        if value.shuffle == 1 {
            return Ok(value);
        }
        let size = value.size().ok_or_else(|| unsupported(node, "its scale is too large"))?;
        let (factor, channels) = (value.shuffle, value.channels());
        let area = factor * factor;
        // For each output vector, and each place of a cell, the lanes.
        let picks = (0..blocks(channels)).map(|block| {
            let own = block * LANES..((block + 1) * LANES).min(channels);
            let place = |place: usize| {
                let lanes: Vec<usize> = own
                    .clone()
                    .filter_map(|channel| value.lanes.get(channel * area + place).copied())
                    .collect();
                value.pick(&lanes).pop()
            };
            (0..area).filter_map(place).collect()
        });
        let root = Root::Shuffle { factor, picks: picks.collect() };
        Ok(self.push(root, Vec::new(), channels, size))
    }

    fn operand(&self, node: &Node, index: usize) -> Result<Value, Error> {
        let value = node.input(index).and_then(|name| self.values.get(name)).cloned();
        value.ok_or_else(|| unsupported(node, format!("its operand {index} is not a picture")))
    }

    fn node(&mut self, node: &'a Node, opset: i64) -> Result<(), Error> {
        let result = match node.op.as_str() {
            "Identity" | "Dropout" => self.operand(node, 0)?,
            "Cast" if node.int("to") == Some(1) => self.operand(node, 0)?,
            "Conv" => self.convolution(node)?,
            "ConvTranspose" => self.transposed(node)?,
            "Relu" => self.leaky(node, |_| Some(0.0))?,
            "LeakyRelu" => {
                let slope = float(node, "alpha", 0.01);
                self.leaky(node, |_| Some(slope))?
            }
            "PRelu" => {
                let x = self.operand(node, 0)?;
                let slopes = self.constants.get(node.input(1));
                let slopes = slopes.and_then(|slopes| per_channel(slopes, x.channels()));
                let slopes =
                    slopes.ok_or_else(|| unsupported(node, "its slopes are not per channel"))?;
                self.leaky(node, |channel| slopes.get(channel).copied())?
            }
            "Sigmoid" => self.activation(node, Activation::Sigmoid)?,
            "Tanh" => self.activation(node, Activation::Tanh)?,
            "Clip" => self.clip(node, opset)?,
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "Concat" => self.concat(node)?,
            "Split" => return self.split(node),
            "Slice" => self.slice(node)?,
            "Gather" => self.gather(node)?,
            "DepthToSpace" => self.depth_to_space(node)?,
            "SpaceToDepth" => self.space_to_depth(node)?,
            "Resize" | "Upsample" => self.resize(node)?,
            "Pad" => self.pad(node)?,
            _ => return Err(unsupported(node, "the engine does not have it")),
        };
        if let Some(name) = node.outputs.first() {
            self.values.insert(name, result);
        }
        Ok(())
    }

    /// Whole numbers of an input that is constant, or of the attribute of the same meaning.
    fn list(&self, node: &Node, index: usize, name: &str) -> Option<Vec<i64>> {
        match node.input(index) {
            Some(input) => self.constants.get(Some(input))?.to_i64(),
            None => node.ints(name).map(<[i64]>::to_vec),
        }
    }
}

//! From the model's graph to layers, node by node.

use std::collections::HashMap;

use super::{
    super::{
        Error,
        kernels::{Activation, LANES, Lanes, Taps},
    },
    Block, Border, Convolution, Layer, Pick, Plan, PlaneId, Root, Size, Step, blocks,
    deconvolution::Transposed,
    operands::{Constants, float, per_channel, sizes, unsupported},
};
use crate::model::{Attribute, Graph, Node};

/// A tensor of the graph: where its channels are.
#[derive(Clone, Debug)]
struct Value {
    /// The size of the blocks.
    size: Size,
    blocks: Vec<Block>,
    /// For each channel, and each place of a cell of `shuffle` × `shuffle` in turn, the lane
    /// that holds it, counted through all of `blocks`.
    lanes: Vec<usize>,
    /// The tensor is the blocks after a pixel shuffle by this; 1 is none.
    shuffle: usize,
}

impl Value {
    fn channels(&self) -> usize {
        self.lanes.len() / (self.shuffle * self.shuffle)
    }

    /// The size of the tensor.
    fn size(&self) -> Option<Size> {
        self.size.times(self.shuffle)
    }

    fn place(&self, lane: usize) -> Option<(Block, usize)> {
        Some((*self.blocks.get(lane / LANES)?, lane % LANES))
    }

    /// Where vectors come from whose lanes are these.
    fn pick(&self, lanes: &[usize]) -> Vec<Pick> {
        let pick = |lanes: &[usize]| {
            let places: Vec<_> = lanes.iter().filter_map(|&lane| self.place(lane)).collect();
            let first = places.first().map(|(block, _)| *block);
            let in_place = places
                .iter()
                .enumerate()
                .all(|(lane, place)| Some(place.0) == first && place.1 == lane);
            match first {
                Some(block) if in_place => Pick::Whole(block),
                _ => Pick::Lanes(places),
            }
        };
        lanes.chunks(LANES).map(pick).collect()
    }

    fn picks(&self) -> Vec<Pick> {
        self.pick(&self.lanes)
    }

    /// Some of the channels, in any order.
    fn select(&self, channels: impl IntoIterator<Item = usize>) -> Option<Self> {
        let area = self.shuffle * self.shuffle;
        let mut lanes = Vec::new();
        for channel in channels {
            lanes.extend(self.lanes.get(channel * area..(channel + 1) * area)?);
        }
        Some(Self { lanes, ..self.clone() })
    }
}

/// The most weights of one convolution, as it is run.
const MOST_WEIGHTS: usize = 1 << 27;

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

    fn convolution(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let mut x = self.plain(node, operand)?;
        let wrong = |why: &str| unsupported(node, why);
        let weight = self.constants.get(node.input(1));
        let weight = weight.ok_or_else(|| wrong("its weights are not constant"))?;
        let (Some(weights), [outputs, inputs, height, width]) =
            (weight.to_f32(), weight.dims.as_slice())
        else {
            return Err(wrong("its weights are not four-dimensional floats"));
        };
        let [outputs, inputs, height, width] =
            [outputs, inputs, height, width].map(|&dim| usize::try_from(dim).unwrap_or(0));
        let group = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        if x.channels().checked_div(group).is_none_or(|own| own != inputs)
            || outputs % group != 0
            || weight.count() != Some(weights.len() as u64)
            || weights.is_empty()
        {
            return Err(wrong("its weights do not fit"));
        }
        padding_is_explicit(node)?;
        let [top, left, bottom, right] = sizes(node, "pads", [0; 4])?;
        let strides: [usize; 2] = sizes(node, "strides", [1; 2])?;
        let dilations: [usize; 2] = sizes(node, "dilations", [1; 2])?;
        let [stride, other] = strides;
        if stride != other || !(1..=8).contains(&stride) || dilations.contains(&0) {
            return Err(wrong("its strides are not equal and at most 8"));
        }
        let bias = match node.input(2) {
            Some(name) => self.constants.get(Some(name)).and_then(|bias| bias.to_f32()),
            None => Some(vec![0.0; outputs]),
        };
        let bias = bias.filter(|bias| bias.len() == outputs);
        let bias = bias.ok_or_else(|| wrong("its bias does not fit"))?;
        // One tap after another: of which unshuffled channel, at which offset.
        let tap = |tap: usize, dilation: usize, before: usize| {
            let at = (tap * dilation) as i64 - before as i64;
            (at.div_euclid(stride as i64), at.rem_euclid(stride as i64) as usize)
        };
        let reach = |count: usize, dilation: usize, before: usize| {
            let cells = (0..count).map(|at| tap(at, dilation, before).0);
            (cells.clone().min().unwrap_or(0), cells.max().unwrap_or(0))
        };
        let (low_y, high_y) = reach(height, dilations[0], top);
        let (low_x, high_x) = reach(width, dilations[1], left);
        let taps =
            Taps { height: (high_y - low_y + 1) as usize, width: (high_x - low_x + 1) as usize };
        if taps.height > 64 || taps.width > 64 {
            return Err(wrong("its window is larger than 64"));
        }
        let cells = stride * stride;
        let area = taps.height * taps.width;
        let all = x.channels() * cells;
        let count = all.checked_mul(outputs).and_then(|count| count.checked_mul(area));
        let count = count.filter(|&count| count <= MOST_WEIGHTS);
        let mut packed = vec![0.0; count.ok_or_else(|| wrong("it has too many weights"))?];
        for (output, kernels) in weights.chunks_exact(inputs * height * width).enumerate() {
            let first = output / (outputs / group) * inputs;
            for (index, value) in kernels.iter().enumerate() {
                let (input, place) = (index / (height * width), index % (height * width));
                let (y, row) = tap(place / width, dilations[0], top);
                let (x, column) = tap(place % width, dilations[1], left);
                let channel = (first + input) * cells + row * stride + column;
                let at = (y - low_y) as usize * taps.width + (x - low_x) as usize;
                if let Some(to) = packed.get_mut((output * all + channel) * area + at) {
                    *to = *value;
                }
            }
        }
        if stride > 1 {
            x = self.unshuffle(node, &x, stride)?;
        }
        // (side + pads − extent) / stride + 1, from the size of the unshuffled picture.
        let more = |pads: usize, count: usize, dilation: usize| {
            let extent = ((count - 1) * dilation + 1) as i64;
            (pads as i64 - extent).div_euclid(stride as i64) + 1
        };
        let size = x.size.plus([
            more(top + bottom, height, dilations[0]),
            more(left + right, width, dilations[1]),
        ]);
        let root = Root::Convolution(Convolution {
            source: x.blocks,
            lanes: x.lanes,
            taps,
            before: [-low_y, -low_x],
            outputs,
            weights: packed,
            bias,
            slope: vec![1.0; outputs],
        });
        Ok(self.push(root, Vec::new(), outputs, size))
    }

    fn transposed(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let x = self.plain(node, operand)?;
        let wrong = |why: &str| unsupported(node, why);
        let weight = self.constants.get(node.input(1));
        let weight = weight.ok_or_else(|| wrong("its weights are not constant"))?;
        let (Some(weights), [inputs, outputs, height, width]) =
            (weight.to_f32(), weight.dims.as_slice())
        else {
            return Err(wrong("its weights are not four-dimensional floats"));
        };
        let [inputs, outputs, height, width] =
            [inputs, outputs, height, width].map(|&dim| usize::try_from(dim).unwrap_or(0));
        padding_is_explicit(node)?;
        let dilations: [usize; 2] = sizes(node, "dilations", [1; 2])?;
        let [stride, other]: [usize; 2] = sizes(node, "strides", [1; 2])?;
        let fits = inputs == x.channels() && weight.count() == Some(weights.len() as u64);
        if node.int("group").unwrap_or(1) != 1
            || node.ints("output_shape").is_some()
            || dilations != [1, 1]
            || stride != other
            || !(1..=8).contains(&stride)
            || !fits
            || weights.is_empty()
            || height > 64
            || width > 64
        {
            return Err(wrong("it has groups, a dilation or unequal strides, or does not fit"));
        }
        let [top, left, bottom, right] = sizes(node, "pads", [0; 4])?;
        let [tall, wide]: [usize; 2] = sizes(node, "output_padding", [0; 2])?;
        let job = Transposed {
            inputs,
            outputs,
            kernel: [height, width],
            stride,
            before: [top, left],
            behind: [bottom as i64 - tall as i64, right as i64 - wide as i64],
            weights: &weights,
        };
        let found = job.equivalent(x.size);
        let found = found.ok_or_else(|| wrong("its result is not a whole number of cells"))?;
        let bias = match node.input(2) {
            Some(name) => self.constants.get(Some(name)).and_then(|bias| bias.to_f32()),
            None => Some(vec![0.0; outputs]),
        };
        let bias = bias.filter(|bias| bias.len() == outputs);
        let bias = bias.ok_or_else(|| wrong("its bias does not fit"))?;
        let cells = stride * stride;
        let root = Root::Convolution(Convolution {
            source: x.blocks,
            lanes: x.lanes,
            taps: found.taps,
            before: found.before,
            outputs: outputs * cells,
            weights: found.weights,
            bias: bias.iter().flat_map(|&bias| vec![bias; cells]).collect(),
            slope: vec![1.0; outputs * cells],
        });
        let made = self.push(root, Vec::new(), outputs * cells, found.size);
        Ok(Value { shuffle: stride, ..made })
    }

    fn leaky(&mut self, node: &Node, slope: impl Fn(usize) -> Option<f32>) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let slopes = spread(&x, slope).into_iter().map(Activation::Leaky).collect();
        Ok(self.pointwise(&x, vec![Step::Activate { to: 0, activations: slopes }]))
    }

    fn activation(&mut self, node: &Node, activation: Activation) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let activations = vec![activation; blocks(x.lanes.len())];
        Ok(self.pointwise(&x, vec![Step::Activate { to: 0, activations }]))
    }

    fn clip(&mut self, node: &Node, opset: i64) -> Result<Value, Error> {
        let bound = |index: usize, name: &str, default: f32| {
            if opset < 11 {
                return Some(float(node, name, default));
            }
            match node.input(index) {
                None => Some(default),
                Some(input) => {
                    self.constants.get(Some(input)).and_then(|t| t.to_f32()?.first().copied())
                }
            }
        };
        let low = bound(1, "min", f32::MIN);
        let high = bound(2, "max", f32::MAX);
        let (Some(low), Some(high)) = (low, high) else {
            return Err(unsupported(node, "its bounds are not constant"));
        };
        self.activation(node, Activation::Clip { low, high })
    }

    fn arithmetic(&mut self, node: &Node) -> Result<Value, Error> {
        let is_value =
            |index: usize| node.input(index).is_some_and(|name| self.values.contains_key(name));
        match (is_value(0), is_value(1)) {
            (true, true) => self.combine(node),
            (true, false) => self.with_constant(node, 0),
            (false, true) => self.with_constant(node, 1),
            (false, false) => Err(unsupported(node, "it is arithmetic on constants")),
        }
    }

    fn with_constant(&mut self, node: &Node, picture: usize) -> Result<Value, Error> {
        let x = self.operand(node, picture)?;
        let numbers = self.constants.get(node.input(1 - picture));
        let numbers = numbers.and_then(|numbers| per_channel(numbers, x.channels()));
        let numbers = numbers.ok_or_else(|| {
            unsupported(node, "its other operand is neither a picture nor one number per channel")
        })?;
        let number = |channel: usize| numbers.get(channel).copied();
        let (scale, offset): (Vec<Lanes>, Vec<Lanes>) = match (node.op.as_str(), picture) {
            ("Add", _) => (spread(&x, |_| Some(1.0)), spread(&x, number)),
            ("Sub", 0) => (spread(&x, |_| Some(1.0)), spread(&x, |c| number(c).map(|v| -v))),
            ("Sub", _) => (spread(&x, |_| Some(-1.0)), spread(&x, number)),
            ("Mul", _) => (spread(&x, number), spread(&x, |_| Some(0.0))),
            ("Div", 0) => (spread(&x, |c| number(c).map(|v| 1.0 / v)), spread(&x, |_| Some(0.0))),
            _ => return Err(unsupported(node, "it divides by a picture")),
        };
        Ok(self.pointwise(&x, vec![Step::Affine { to: 0, scale, offset }]))
    }

    fn combine(&mut self, node: &Node) -> Result<Value, Error> {
        let (mut a, mut b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        if a.shuffle != b.shuffle {
            (a, b) = (self.plain(node, a)?, self.plain(node, b)?);
        }
        if a.size != b.size || a.lanes.len() != b.lanes.len() {
            return Err(unsupported(node, "its operands differ in shape"));
        }
        let step = match node.op.as_str() {
            "Add" => Step::Add { to: 0, from: 1 },
            "Sub" => Step::Subtract { to: 0, from: 1 },
            "Mul" => Step::Multiply { to: 0, from: 1 },
            _ => return Err(unsupported(node, "it divides by a picture")),
        };
        Ok(self.pointwise(&a, vec![Step::Load { to: 1, picks: b.picks() }, step]))
    }

    fn concat(&mut self, node: &Node) -> Result<Value, Error> {
        let mut parts = Vec::new();
        for index in 0..node.inputs.len() {
            parts.push(self.operand(node, index)?);
        }
        if !matches!(node.int("axis"), Some(1 | -3)) {
            return Err(unsupported(node, "it joins along an axis other than the channels"));
        }
        let mixed = parts.windows(2).any(|pair| match pair {
            [a, b] => a.shuffle != b.shuffle,
            _ => false,
        });
        if mixed {
            let plain = parts.into_iter().map(|part| self.plain(node, part));
            parts = plain.collect::<Result<_, _>>()?;
        }
        let mut parts = parts.into_iter();
        let mut all = parts.next().ok_or_else(|| unsupported(node, "it joins nothing"))?;
        for part in parts {
            if part.size != all.size {
                return Err(unsupported(node, "its operands differ in size"));
            }
            let first = all.blocks.len() * LANES;
            all.blocks.extend(part.blocks);
            all.lanes.extend(part.lanes.iter().map(|lane| lane + first));
        }
        Ok(all)
    }

    fn split(&mut self, node: &'a Node) -> Result<(), Error> {
        let x = self.operand(node, 0)?;
        if !matches!(node.int("axis"), Some(1 | -3)) {
            return Err(unsupported(node, "it splits along an axis other than the channels"));
        }
        let (channels, parts) = (x.channels(), node.outputs.len().max(1));
        let given = match node.input(1) {
            Some(name) => self.constants.get(Some(name)).and_then(|t| t.to_i64()),
            None => node.ints("split").map(<[i64]>::to_vec),
        };
        let size = channels.div_ceil(parts);
        let counts: Vec<usize> = match given {
            Some(counts) => counts.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect(),
            None => (0..parts).map(|p| size.min(channels.saturating_sub(p * size))).collect(),
        };
        let mut first = 0usize;
        for (name, count) in node.outputs.iter().zip(counts) {
            let part = x.select(first..first.saturating_add(count)).filter(|_| count > 0);
            let part = part.ok_or_else(|| unsupported(node, "its sizes do not fit"))?;
            first += count;
            self.values.insert(name, part);
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

    fn slice(&mut self, node: &Node) -> Result<Value, Error> {
        let mut x = self.operand(node, 0)?;
        let unknown = || unsupported(node, "its bounds are not constant");
        let starts = self.list(node, 1, "starts").ok_or_else(unknown)?;
        let ends = self.list(node, 2, "ends").ok_or_else(unknown)?;
        let axes = self.list(node, 3, "axes");
        let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.list(node, 4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
        if steps.iter().any(|&step| step != 1)
            || [ends.len(), axes.len(), steps.len()] != [starts.len(); 3]
        {
            return Err(unsupported(node, "it has steps, or its bounds do not fit"));
        }
        let (mut before, mut behind) = ([0; 2], [0; 2]);
        for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&axes) {
            match if axis < 0 { axis + 4 } else { axis } {
                1 => {
                    let count = x.channels() as i64;
                    let at = |at: i64| (if at < 0 { at + count } else { at }).clamp(0, count);
                    let part = x.select(at(start) as usize..at(end) as usize);
                    let part = part.filter(|part| !part.lanes.is_empty());
                    x = part.ok_or_else(|| unsupported(node, "it leaves no channel"))?;
                }
                axis @ 2..=3 => {
                    // An end that is counted from the start would need the size.
                    let end = if end >= i64::from(i32::MAX) { 0 } else { end };
                    if start < 0 || end > 0 || start > 1 << 16 || end < -(1 << 16) {
                        return Err(unsupported(node, "its bounds depend on the size"));
                    }
                    let axis = axis as usize - 2;
                    if let (Some(before), Some(behind)) =
                        (before.get_mut(axis), behind.get_mut(axis))
                    {
                        (*before, *behind) = (-start, end);
                    }
                }
                _ => return Err(unsupported(node, "it cuts the batch")),
            }
        }
        self.padded(node, x, before, behind, Border::Zero)
    }

    fn gather(&mut self, node: &Node) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let indices = self.constants.get(node.input(1));
        let one = indices.is_some_and(|indices| indices.dims.len() == 1);
        let (Some(1 | -3), Some(indices), true) =
            (node.int("axis"), indices.and_then(|indices| indices.to_i64()), one)
        else {
            return Err(unsupported(node, "it does not gather channels by a constant list"));
        };
        let count = x.channels() as i64;
        let channel = |&at: &i64| usize::try_from(if at < 0 { at + count } else { at }).ok();
        let channels: Option<Vec<usize>> = indices.iter().map(channel).collect();
        let taken = channels.and_then(|channels| x.select(channels));
        taken.ok_or_else(|| unsupported(node, "its indices do not fit"))
    }

    fn depth_to_space(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let x = self.plain(node, operand)?;
        let factor = factor(node)?;
        let area = factor * factor;
        let channels = x.channels() / area;
        if channels * area != x.channels() || channels == 0 {
            return Err(unsupported(node, "its channels do not divide"));
        }
        let shuffled = match node.text("mode").unwrap_or("DCR") {
            "CRD" => Some(x),
            // Places first: from channel `place · channels + channel`.
            "DCR" => x.select((0..x.channels()).map(|to| to % area * channels + to / area)),
            _ => None,
        };
        let shuffled = shuffled.ok_or_else(|| unsupported(node, "it has an unknown mode"))?;
        Ok(Value { shuffle: factor, ..shuffled })
    }

    fn space_to_depth(&mut self, node: &Node) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let factor = factor(node)?;
        let deep = self.unshuffle(node, &x, factor)?;
        // ONNX has the places first.
        let (channels, area) = (x.channels(), factor * factor);
        let order = (0..channels * area).map(|to| to % channels * area + to / channels);
        deep.select(order).ok_or_else(|| unsupported(node, "its channels do not divide"))
    }

    /// The value after a pixel unshuffle, channel by channel.
    fn unshuffle(&mut self, node: &Node, x: &Value, factor: usize) -> Result<Value, Error> {
        if x.shuffle == factor {
            return Ok(Value { shuffle: 1, ..x.clone() });
        }
        let x = self.plain(node, x.clone())?;
        let size = x.size.over(factor);
        let size = size.ok_or_else(|| unsupported(node, "its size does not divide"))?;
        let area = factor * factor;
        let count = x.channels() * area;
        let input = Block::Input { factor: 1, first: 0 };
        if x.blocks == [input] && x.lanes.iter().copied().eq(0..x.channels()) {
            let firsts = (0..count).step_by(LANES);
            return Ok(Value {
                size,
                blocks: firsts.map(|first| Block::Input { factor, first }).collect(),
                lanes: (0..count).collect(),
                shuffle: 1,
            });
        }
        let lanes: Vec<_> = (0..count)
            .filter_map(|to| {
                let (block, lane) = x.place(*x.lanes.get(to / area)?)?;
                Some((block, lane, [to % area / factor, to % factor]))
            })
            .collect();
        let picks = lanes.chunks(LANES).map(<[_]>::to_vec).collect();
        Ok(self.push(Root::Unshuffle { factor, picks }, Vec::new(), count, size))
    }

    fn resize(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let index = if node.op == "Upsample" { 1 } else { 2 };
        let scales = match node.attributes.get("scales") {
            Some(Attribute::Floats(scales)) => Some(scales.clone()),
            _ => self.constants.get(node.input(index)).and_then(|scales| scales.to_f32()),
        };
        let factor = match scales.as_deref() {
            Some([1.0, 1.0, tall, wide])
                if tall == wide && tall.fract() == 0.0 && (1.0..=16.0).contains(tall) =>
            {
                *tall as usize
            }
            _ => return Err(unsupported(node, "it does not enlarge by a whole constant factor")),
        };
        if factor == 1 {
            return Ok(operand);
        }
        let x = self.plain(node, operand)?;
        let places = match node.text("coordinate_transformation_mode") {
            _ if node.op == "Upsample" => "asymmetric",
            places => places.unwrap_or("half_pixel"),
        };
        let centred = matches!(places, "half_pixel" | "pytorch_half_pixel");
        let rounding = match node.text("nearest_mode") {
            _ if node.op == "Upsample" => "floor",
            rounding => rounding.unwrap_or("round_prefer_floor"),
        };
        match node.text("mode").unwrap_or("nearest") {
            "nearest"
                if places == "asymmetric" && rounding == "floor"
                    || places == "asymmetric"
                        && rounding == "round_prefer_floor"
                        && factor == 2
                    || centred && rounding.starts_with("round_prefer") =>
            {
                let area = factor * factor;
                let lanes = x.lanes.iter().flat_map(|&lane| vec![lane; area]).collect();
                Ok(Value { lanes, shuffle: factor, ..x })
            }
            "linear" if centred => {
                let channels = x.channels();
                let count = channels * factor * factor;
                let vectors = blocks(channels);
                let root = Root::Bilinear { factor, picks: x.picks() };
                let made = self.push(root, Vec::new(), vectors * LANES * factor * factor, x.size);
                // Place after place; of each all vectors.
                let place =
                    |to: usize| to % (factor * factor) * vectors * LANES + to / (factor * factor);
                Ok(Value { lanes: (0..count).map(place).collect(), shuffle: factor, ..made })
            }
            mode => Err(unsupported(node, format!("mode {mode}, {places}, {rounding}"))),
        }
    }

    fn pad(&mut self, node: &Node) -> Result<Value, Error> {
        let x = self.operand(node, 0)?;
        let pads = self.list(node, 1, "pads");
        let pads = pads.ok_or_else(|| unsupported(node, "its pads are not constant"))?;
        let [0, 0, top, left, 0, 0, bottom, right] = pads[..] else {
            return Err(unsupported(node, format!("its pads are {pads:?}")));
        };
        if pads.iter().any(|pad| pad.abs() > 1 << 12) {
            return Err(unsupported(node, "its pads are larger than 4096"));
        }
        let value = match node.input(2) {
            Some(name) => self.constants.get(Some(name)).and_then(|t| t.to_f32()?.first().copied()),
            None => Some(float(node, "value", 0.0)),
        };
        let border = match node.text("mode").unwrap_or("constant") {
            "constant" if value == Some(0.0) => Border::Zero,
            "edge" => Border::Edge,
            "reflect" => Border::Reflect,
            mode => return Err(unsupported(node, format!("mode {mode} with {value:?}"))),
        };
        self.padded(node, x, [top, left], [bottom, right], border)
    }

    fn padded(
        &mut self,
        node: &Node,
        x: Value,
        before: [i64; 2],
        behind: [i64; 2],
        border: Border,
    ) -> Result<Value, Error> {
        if before == [0; 2] && behind == [0; 2] {
            return Ok(x);
        }
        let x = self.plain(node, x)?;
        let size = x.size.plus([before[0] + behind[0], before[1] + behind[1]]);
        let root = Root::Pad { before, border, inner: x.size, picks: x.picks() };
        Ok(self.push(root, Vec::new(), x.channels(), size))
    }
}

/// Numbers per channel as vectors in the order of a value's lanes.
fn spread(value: &Value, number: impl Fn(usize) -> Option<f32>) -> Vec<Lanes> {
    let area = value.shuffle * value.shuffle;
    let numbers: Vec<f32> =
        (0..value.lanes.len()).map(|lane| number(lane / area).unwrap_or(0.0)).collect();
    let vector = |numbers: &[f32]| {
        let mut lanes = Lanes::default();
        lanes.0.iter_mut().zip(numbers).for_each(|(to, from)| *to = *from);
        lanes
    };
    numbers.chunks(LANES).map(vector).collect()
}

fn factor(node: &Node) -> Result<usize, Error> {
    let factor = node.int("blocksize").and_then(|factor| usize::try_from(factor).ok());
    let factor = factor.filter(|factor| (1..=16).contains(factor));
    factor.ok_or_else(|| unsupported(node, "its block is not 1 to 16"))
}

fn padding_is_explicit(node: &Node) -> Result<(), Error> {
    match node.text("auto_pad") {
        None | Some("NOTSET") => Ok(()),
        Some(kind) => Err(unsupported(node, format!("auto_pad {kind}"))),
    }
}

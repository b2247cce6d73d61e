//! Convolutions, plain and transposed.

use super::{
    super::{
        super::{
            Error,
            kernels::{LANES, Taps},
        },
        Convolution, Root,
        deconvolution::Transposed,
        operands::{sizes, unsupported},
    },
    Lowering,
    value::Value,
};
use crate::model::Node;

/// The most weights of one convolution as the engine runs it.
const MOST_WEIGHTS: usize = 1 << 27;

/// A convolution as ONNX has it.
pub(super) struct Kernel {
    /// Outputs × inputs × rows × columns.
    pub weights: Vec<f32>,
    pub outputs: usize,
    /// Of each group.
    pub inputs: usize,
    /// Rows, columns.
    pub size: [usize; 2],
    pub group: usize,
    pub stride: usize,
    pub dilations: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    pub bias: Vec<f32>,
}

/// Where the taps of a kernel are along one axis, in cells of `stride` samples.
struct Axis {
    dilation: usize,
    before: usize,
    stride: usize,
    /// The first cell.
    low: i64,
    /// How many cells.
    count: usize,
}

impl Axis {
    fn new(taps: usize, dilation: usize, before: usize, stride: usize) -> Self {
        let mut axis = Self { dilation, before, stride, low: 0, count: 1 };
        let [low, high] = [0, taps.saturating_sub(1)].map(|tap| axis.place(tap).0);
        axis.low = low;
        axis.count = (high - low + 1) as usize;
        axis
    }

    /// The cell of a tap, and the sample in it.
    fn place(&self, tap: usize) -> (i64, usize) {
        let at = (tap * self.dilation) as i64 - self.before as i64;
        let stride = self.stride as i64;
        (at.div_euclid(stride), at.rem_euclid(stride) as usize)
    }
}

impl Kernel {
    /// How many groups to run as one convolution: the fewest whose channels, `cells` of the
    /// unshuffled picture for each of their inputs, fill vectors; all if there is no such number.
    fn together(&self, cells: usize) -> usize {
        let outputs = self.outputs / self.group;
        let fills = |count: &usize| {
            self.group.is_multiple_of(*count)
                && (count * self.inputs * cells).is_multiple_of(LANES)
                && (count * outputs).is_multiple_of(LANES)
        };
        (1..self.group).find(fills).unwrap_or(self.group)
    }
}

impl Lowering<'_> {
    pub(super) fn convolution(&mut self, node: &Node) -> Result<Value, Error> {
        let operand = self.operand(node, 0)?;
        let x = self.plain(node, operand)?;
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
        let pads = sizes(node, "pads", [0; 4])?;
        let [stride, other]: [usize; 2] = sizes(node, "strides", [1; 2])?;
        let dilations: [usize; 2] = sizes(node, "dilations", [1; 2])?;
        if stride != other || !(1..=8).contains(&stride) || dilations.contains(&0) {
            return Err(wrong("its strides are not equal and at most 8"));
        }
        let bias = self.bias(node, outputs)?;
        let size = [height, width];
        let kernel =
            Kernel { weights, outputs, inputs, size, group, stride, dilations, pads, bias };
        self.convolve(node, x, &kernel)
    }

    fn bias(&self, node: &Node, outputs: usize) -> Result<Vec<f32>, Error> {
        let bias = match node.input(2) {
            Some(name) => self.constants.get(Some(name)).and_then(|bias| bias.to_f32()),
            None => Some(vec![0.0; outputs]),
        };
        let bias = bias.filter(|bias| bias.len() == outputs);
        bias.ok_or_else(|| unsupported(node, "its bias does not fit"))
    }

    /// Adds a convolution of a value without a pending shuffle.
    pub(super) fn convolve(
        &mut self,
        node: &Node,
        mut x: Value,
        kernel: &Kernel,
    ) -> Result<Value, Error> {
        let wrong = |why: &str| unsupported(node, why);
        let Kernel { inputs, size: [height, width], stride, dilations, .. } = *kernel;
        let [top, left, bottom, right] = kernel.pads;
        let rows = Axis::new(height, dilations[0], top, stride);
        let columns = Axis::new(width, dilations[1], left, stride);
        let taps = Taps { height: rows.count, width: columns.count };
        if taps.height > 64 || taps.width > 64 {
            return Err(wrong("its window is larger than 64"));
        }
        let cells = stride * stride;
        let area = taps.height * taps.width;
        let together = kernel.together(cells);
        // Channels of the unshuffled picture, and outputs, of one of the convolutions.
        let all = together * inputs * cells;
        let outputs = together * (kernel.outputs / kernel.group);
        let count = all.checked_mul(outputs).and_then(|count| count.checked_mul(area));
        let count = count.filter(|&count| count <= MOST_WEIGHTS);
        let count = count.ok_or_else(|| wrong("it has too many weights"))?;
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
        let own = inputs * height * width;
        let mut made: Option<Value> = None;
        for part in 0..kernel.group / together {
            let mut packed = vec![0.0; count];
            let kernels = kernel.weights.chunks_exact(own).skip(part * outputs).take(outputs);
            for (output, kernels) in kernels.enumerate() {
                let first = output / (kernel.outputs / kernel.group) * inputs;
                for (index, value) in kernels.iter().enumerate() {
                    let (input, place) = (index / (height * width), index % (height * width));
                    let (y, row) = rows.place(place / width);
                    let (x, column) = columns.place(place % width);
                    let channel = (first + input) * cells + row * stride + column;
                    let at = (y - rows.low) as usize * taps.width + (x - columns.low) as usize;
                    if let Some(to) = packed.get_mut((output * all + channel) * area + at) {
                        *to = *value;
                    }
                }
            }
            let source = x.select(part * all..(part + 1) * all);
            let source = source.ok_or_else(|| wrong("its weights do not fit"))?.trimmed();
            let bias = kernel.bias.iter().skip(part * outputs).take(outputs);
            let root = Root::Convolution(Convolution {
                source: source.blocks,
                lanes: source.lanes,
                taps,
                before: [-rows.low, -columns.low],
                outputs,
                weights: packed,
                bias: bias.copied().collect(),
                slope: vec![1.0; outputs],
            });
            let value = self.push(root, Vec::new(), outputs, size);
            made = Some(match made {
                Some(made) => made.joined(value),
                None => value,
            });
        }
        made.ok_or_else(|| wrong("it has no groups"))
    }

    pub(super) fn transposed(&mut self, node: &Node) -> Result<Value, Error> {
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
        let group = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        let fits = inputs == x.channels()
            && weight.count() == Some(weights.len() as u64)
            && inputs.checked_rem(group) == Some(0);
        if node.ints("output_shape").is_some()
            || dilations != [1, 1]
            || stride != other
            || !(1..=8).contains(&stride)
            || !fits
            || weights.is_empty()
            || height > 64
            || width > 64
        {
            return Err(wrong(
                "it has a dilation, an output shape or unequal strides, or does not fit",
            ));
        }
        let [top, left, bottom, right] = sizes(node, "pads", [0; 4])?;
        let [tall, wide]: [usize; 2] = sizes(node, "output_padding", [0; 2])?;
        // Groups become one group, with zeros between the channels of different groups.
        let (own, area) = (outputs, height * width);
        let outputs = own * group;
        let count = outputs.checked_mul(inputs).and_then(|count| count.checked_mul(area));
        let count = count.filter(|&count| count <= MOST_WEIGHTS);
        let mut dense = vec![0.0; count.ok_or_else(|| wrong("it has too many weights"))?];
        for (input, kernels) in weights.chunks_exact(own * area).enumerate() {
            let first = input * outputs + input / (inputs / group) * own;
            let to = dense.get_mut(first * area..).unwrap_or_default();
            to.iter_mut().zip(kernels).for_each(|(to, from)| *to = *from);
        }
        let job = Transposed {
            inputs,
            outputs,
            kernel: [height, width],
            stride,
            before: [top, left],
            behind: [bottom as i64 - tall as i64, right as i64 - wide as i64],
            weights: &dense,
        };
        let found = job.equivalent(x.size);
        let found = found.ok_or_else(|| wrong("its result is not a whole number of cells"))?;
        let bias = self.bias(node, outputs)?;
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
}

fn padding_is_explicit(node: &Node) -> Result<(), Error> {
    match node.text("auto_pad") {
        None | Some("NOTSET") => Ok(()),
        Some(kind) => Err(unsupported(node, format!("auto_pad {kind}"))),
    }
}

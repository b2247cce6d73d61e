//! Building a graph from weights, layer by layer.

use std::collections::BTreeSet;

use super::{Hints, MAX_QUOTED, activation::Activation, error::BuildError};
use crate::model::{Attribute, Graph, Shuffle, Tensor, Window, checkpoint::StateDict};

/// Y′ of R′G′B′ as in PIL and OpenCV, BT.601.
const BT601: [f32; 3] = [0.299, 0.587, 0.114];

/// How many numbers may be computed from the weights. HAT-L, with the largest windows, needs a
/// sixth of that.
const BUDGET: u64 = 1 << 28;

/// The noise to remove unless the hints state it, as a standard deviation where white is 255: the
/// value of KAIR's examples.
const NOISE: f32 = 15.0;

/// The maximum number of multiply-adds for merging all branches; SPAN with 96 channels needs 1e9.
const MAX_WORK: u64 = 4_000_000_000;

/// The maximum number of blocks of one kind.
const MAX_BLOCKS: usize = 256;

/// The largest kernel, in samples per side.
const MAX_KERNEL: u64 = 63;

/// A value of the graph and its number of channels.
#[derive(Clone, Debug)]
pub(super) struct Features {
    pub value: String,
    pub channels: u64,
}

/// A graph, and the weights that it is built from.
pub(super) struct Network<'a> {
    pub graph: Graph,
    weights: &'a StateDict,
    hints: &'a Hints,
    input: Features,
    /// The channels of the network's output.
    outputs: u64,
    /// The names of weights that the graph contains or ignores.
    used: BTreeSet<String>,
    /// How many more numbers may be computed from the weights.
    budget: u64,
    /// How many more multiply-adds may be spent on merging branches.
    work: u64,
}

impl<'a> Network<'a> {
    /// An empty graph for images of `channels` channels.
    ///
    /// # Errors
    /// [`BuildError::Channels`] unless that is 1, 3 or 4.
    pub(crate) fn new(
        weights: &'a StateDict,
        hints: &'a Hints,
        channels: u64,
    ) -> Result<Self, BuildError> {
        Self::between(weights, hints, channels, channels)
    }

    /// An empty graph for a network with `input` and `output` channels. The graph's own ends are
    /// Y′ or R′G′B′: a fourth channel is an opaque alpha, and a single one of a colour model is Y′.
    ///
    /// # Errors
    /// [`BuildError::Channels`] unless both are 1, 3 or 4.
    pub(crate) fn between(
        weights: &'a StateDict,
        hints: &'a Hints,
        input: u64,
        output: u64,
    ) -> Result<Self, BuildError> {
        if ![input, output].iter().all(|channels| matches!(channels, 1 | 3 | 4)) {
            return Err(BuildError::Channels { input, output });
        }
        let mut graph = Graph::new(if (input, output) == (1, 1) { 1 } else { 3 });
        let value = match (input, output) {
            (1, 1) | (3, _) => graph.input.clone(),
            (1, _) => {
                let luma = graph.constant_f32("luma", &[1, 3, 1, 1], &BT601);
                graph.conv("input", &luma, None, Window::default())
            }
            _ => {
                let first = graph.slice("input", 1, 0, 1);
                let zero = graph.scale(&first, 0.0);
                let opaque = graph.offset(&zero, &[1.0]);
                graph.concat(&["input", &opaque], 1)
            }
        };
        let input = Features { value, channels: input };
        Ok(Self {
            graph,
            weights,
            hints,
            input,
            outputs: output,
            used: BTreeSet::new(),
            budget: BUDGET,
            work: MAX_WORK,
        })
    }

    /// Takes `count` from the numbers that may be computed from the weights, such as the position
    /// biases of attention.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] if fewer are left.
    pub(crate) fn spend(&mut self, count: u64) -> Result<(), BuildError> {
        self.budget = self.budget.checked_sub(count).ok_or(BuildError::TooLarge)?;
        Ok(())
    }

    /// Takes `count` from the multiply-adds that may be spent on merging branches.
    ///
    /// # Errors
    /// [`BuildError::BranchesTooLarge`] if fewer are left.
    pub(crate) fn spend_work(&mut self, count: u64) -> Result<(), BuildError> {
        self.work = self.work.checked_sub(count).ok_or(BuildError::BranchesTooLarge)?;
        Ok(())
    }

    /// The input of the network.
    pub(crate) fn input(&self) -> Features {
        self.input.clone()
    }

    /// The input image, enlarged by bicubic interpolation (a = −0.5, as in PIL and MATLAB) by the
    /// factor of the hints: for networks that only sharpen.
    ///
    /// # Errors
    /// [`BuildError::Factor`] if the hints have none.
    pub(crate) fn enlarged_input(&mut self) -> Result<Features, BuildError> {
        let input = self.input();
        let factor = self.hinted_factor().ok_or(BuildError::Factor)? as f32;
        if factor == 1.0 {
            return Ok(input);
        }
        let attributes = [
            ("mode", Attribute::Text("cubic".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
            ("cubic_coeff_a", Attribute::Float(-0.5)),
        ];
        Ok(Features { value: self.graph.resize(&input.value, [factor; 2], attributes), ..input })
    }

    /// The standard deviation of the noise that the network is to remove, where white is 1.
    pub(crate) fn noise_level(&self) -> f32 {
        self.hints.noise.unwrap_or(NOISE) / 255.0
    }

    /// The factor of the hints.
    pub(crate) fn hinted_factor(&self) -> Option<u32> {
        self.hints.factor
    }

    /// All tensors.
    pub(crate) fn weights(&self) -> &'a StateDict {
        self.weights
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.get(name).is_some()
    }

    /// The tensor `name`, which has `rank` dimensions.
    ///
    /// # Errors
    /// [`BuildError`] if it is missing, is empty, or has another rank.
    pub(crate) fn tensor(&mut self, name: &str, rank: usize) -> Result<&'a Tensor, BuildError> {
        let tensor = tensor(self.weights, name)?;
        if tensor.dims.len() != rank {
            return Err(wrong_shape(name, &tensor.dims));
        }
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    /// The tensor `name`, of any rank.
    ///
    /// # Errors
    /// [`BuildError`] if it is missing or is empty.
    pub(crate) fn any_tensor(&mut self, name: &str) -> Result<&'a Tensor, BuildError> {
        let tensor = tensor(self.weights, name)?;
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    /// The channels that the network's output must have.
    pub(crate) fn output_channels(&self) -> u64 {
        self.outputs
    }

    /// The numbers from 0 for which there is a tensor with the name `pattern`, with the number in
    /// the place of its braces.
    pub(crate) fn numbered(&self, pattern: &str) -> Vec<usize> {
        let exists = |number: &usize| self.has(&pattern.replacen("{}", &number.to_string(), 1));
        (0..MAX_BLOCKS).take_while(exists).collect()
    }

    /// Marks a tensor as one that the graph does not need.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// The convolution `name`: `name.weight` with an odd kernel size and, if present, `name.bias`.
    /// The image keeps its size.
    ///
    /// # Errors
    /// [`BuildError`] if the weight is missing or has a wrong shape.
    pub(crate) fn conv(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let key = format!("{name}.weight");
        let weight = self.tensor(&key, 4)?;
        let bias = self.bias(name, dim(self.weights, &key, 0)?)?;
        self.conv_with(x, &key, weight.clone(), bias)
    }

    /// [`Self::conv`] with other weights than those of the file; `name` is for messages.
    pub(crate) fn conv_with(
        &mut self,
        x: &Features,
        name: &str,
        weight: Tensor,
        bias: Option<Tensor>,
    ) -> Result<Features, BuildError> {
        let &[outputs, inputs, height, width] = weight.dims.as_slice() else {
            return Err(wrong_shape(name, &weight.dims));
        };
        let is_valid = |side: u64| side % 2 == 1 && side <= MAX_KERNEL;
        if inputs != x.channels || !is_valid(height) || !is_valid(width) {
            let (name, dims) = (name.to_owned(), weight.dims.clone());
            return Err(BuildError::Kernel { name, dims, channels: x.channels });
        }
        let [vertical, horizontal] = [height, width].map(|side| (side / 2) as u32);
        let pads = [vertical, horizontal, vertical, horizontal];
        let window = Window { pads, ..Window::default() };
        let weight = self.graph.constant(name, weight);
        let bias = bias.map(|bias| self.graph.constant(&format!("{name}:bias"), bias));
        let value = self.graph.conv(&x.value, &weight, bias.as_deref(), window);
        Ok(Features { value, channels: outputs })
    }

    /// `name.bias`, which has `count` elements; `None` if there is none.
    pub(crate) fn bias(&mut self, name: &str, count: u64) -> Result<Option<Tensor>, BuildError> {
        let key = format!("{name}.bias");
        if !self.has(&key) {
            return Ok(None);
        }
        let bias = self.tensor(&key, 1)?;
        if bias.dims != [count] {
            return Err(wrong_shape(&key, &bias.dims));
        }
        Ok(Some(bias.clone()))
    }

    /// The PReLU `name`: `name.weight` has one slope for each channel, or one for all.
    pub(crate) fn prelu(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let key = format!("{name}.weight");
        let slope = self.tensor(&key, 1)?;
        let &[count] = slope.dims.as_slice() else { return Err(missing(&key)) };
        if count != 1 && count != x.channels {
            let channels = x.channels;
            return Err(BuildError::Slopes { name: key, slopes: count, channels });
        }
        let slope = Tensor { dims: vec![count, 1, 1], ..slope.clone() };
        let slope = self.graph.constant(&key, slope);
        Ok(Features { value: self.graph.prelu(&x.value, &slope), ..*x })
    }

    /// Applies an activation.
    pub(crate) fn activate(&mut self, x: &Features, activation: Activation) -> Features {
        let value = match activation {
            Activation::Relu => self.graph.relu(&x.value),
            Activation::LeakyRelu(slope) => self.graph.leaky_relu(&x.value, slope),
            Activation::Mish => self.mish(x).value,
            Activation::Silu => self.graph.silu(&x.value),
            Activation::Tanh => self.graph.tanh(&x.value),
        };
        Features { value, ..*x }
    }

    /// a + b; `name` is for messages.
    ///
    /// # Errors
    /// [`BuildError`] if their numbers of channels differ.
    pub(crate) fn add(
        &mut self,
        a: &Features,
        b: &Features,
        name: &str,
    ) -> Result<Features, BuildError> {
        if a.channels != b.channels {
            let (outputs, expected) = (a.channels, b.channels);
            return Err(BuildError::Outputs { layer: name.to_owned(), outputs, expected });
        }
        Ok(Features { value: self.graph.add(&a.value, &b.value), ..*a })
    }

    /// x·factor.
    pub(crate) fn scale(&mut self, x: &Features, factor: f32) -> Features {
        Features { value: self.graph.scale(&x.value, factor), ..*x }
    }

    /// Concatenates channels.
    pub(crate) fn concat(&mut self, parts: &[&Features]) -> Features {
        let values: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let channels = parts.iter().map(|part| part.channels).fold(0, u64::saturating_add);
        Features { value: self.graph.concat(&values, 1), channels }
    }

    /// PyTorch's `PixelShuffle(r)`.
    ///
    /// # Errors
    /// [`BuildError`] unless the channels are a multiple of r².
    pub(crate) fn shuffle(&mut self, x: &Features, r: u64) -> Result<Features, BuildError> {
        let area = r.saturating_mul(r);
        let r = u32::try_from(r).ok().filter(|&r| (1..=64).contains(&r));
        let r = r
            .filter(|_| x.channels.is_multiple_of(area))
            .ok_or(BuildError::Indivisible { channels: x.channels, divisor: area })?;
        if r == 1 {
            return Ok(x.clone());
        }
        let value = self.graph.depth_to_space(&x.value, r, Shuffle::Crd);
        Ok(Features { value, channels: x.channels / area })
    }

    /// Nearest-neighbour upsampling.
    pub(crate) fn nearest(&mut self, x: &Features, factor: u64) -> Features {
        if factor <= 1 {
            return x.clone();
        }
        Features { value: self.graph.resize_nearest(&x.value, [factor as f32; 2]), ..*x }
    }

    /// The graph with the output `output`.
    ///
    /// # Errors
    /// [`BuildError`] if the output does not have its channels, or if weights are not used: it is another network, whose results would be wrong.
    pub(crate) fn finish(mut self, output: &Features) -> Result<Graph, BuildError> {
        if output.channels != self.outputs {
            let (outputs, expected) = (output.channels, self.outputs);
            return Err(BuildError::Outputs { layer: "output".into(), outputs, expected });
        }
        let unused = self.weights.names().filter(|&name| !self.used.contains(name));
        let unused: Vec<String> = unused.take(MAX_QUOTED).map(str::to_owned).collect();
        if !unused.is_empty() {
            return Err(BuildError::Unused(unused));
        }
        let image = match (output.channels, self.graph.input_dims.get(1).copied().flatten()) {
            (4, _) => self.graph.slice(&output.value, 1, 0, 3),
            (1, Some(3)) => self.graph.concat(&[output.value.as_str(); 3], 1),
            _ => output.value.clone(),
        };
        self.graph.set_output(&image);
        Ok(self.graph)
    }
}

/// The tensor `name`.
///
/// # Errors
/// [`BuildError`] if it is missing or empty.
fn tensor<'a>(weights: &'a StateDict, name: &str) -> Result<&'a Tensor, BuildError> {
    let tensor = weights.get(name).ok_or_else(|| missing(name))?;
    if tensor.dims.contains(&0) {
        return Err(BuildError::Empty(name.to_owned()));
    }
    Ok(tensor)
}

/// Dimension `axis` of the tensor `name`.
///
/// # Errors
/// [`BuildError`] if it is missing or has no such dimension.
pub(super) fn dim(weights: &StateDict, name: &str, axis: usize) -> Result<u64, BuildError> {
    let tensor = tensor(weights, name)?;
    tensor.dims.get(axis).copied().ok_or_else(|| wrong_shape(name, &tensor.dims))
}

/// A weight that the architecture needs is missing.
pub(super) fn missing(name: &str) -> BuildError {
    BuildError::Missing(name.to_owned())
}

/// A weight has a shape that does not match the architecture.
pub(super) fn wrong_shape(name: &str, dims: &[u64]) -> BuildError {
    BuildError::Shape { name: name.to_owned(), dims: dims.to_vec() }
}

/// r for `outputs` = `channels`·r²; `name` is for messages.
///
/// # Errors
/// [`BuildError`] if there is no such r.
pub(super) fn shuffle_factor(outputs: u64, channels: u64, name: &str) -> Result<u64, BuildError> {
    let factor = (outputs / channels.max(1)).isqrt();
    match factor.checked_mul(factor).and_then(|area| area.checked_mul(channels)) {
        Some(product) if product == outputs && factor > 0 => Ok(factor),
        _ => Err(BuildError::NotSquare { layer: name.to_owned(), outputs, channels }),
    }
}

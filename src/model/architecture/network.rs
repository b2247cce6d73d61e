//! Laying a network's weights out as a graph, layer by layer.

use std::collections::BTreeSet;

use super::Hints;
use crate::model::{
    Attribute, Graph, Shuffle, Tensor, Window, checkpoint::StateDict, fault::Fault,
};

/// A value of the graph and how many channels it has.
#[derive(Clone, Debug)]
pub(super) struct Features {
    pub value: String,
    pub channels: u64,
}

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activation {
    Relu,
    LeakyRelu(f32),
    Silu,
    Tanh,
}

/// A graph that grows, and the weights that it grows from.
pub(super) struct Network<'a> {
    pub graph: Graph,
    weights: &'a StateDict,
    pub hints: &'a Hints,
    used: BTreeSet<String>,
}

impl<'a> Network<'a> {
    /// For pictures of `channels`.
    ///
    /// # Errors
    /// Where that is neither 1 nor 3.
    pub fn new(weights: &'a StateDict, hints: &'a Hints, channels: u64) -> Result<Self, Fault> {
        if !matches!(channels, 1 | 3) {
            return Err(Fault::unsuitable(format!("it takes {channels} channels, not 1 or 3")));
        }
        Ok(Self { graph: Graph::new(channels), weights, hints, used: BTreeSet::new() })
    }

    /// The picture that goes in.
    pub fn input(&self) -> Features {
        let channels = self.graph.input_dims.get(1).copied().flatten().unwrap_or(3);
        Features { value: self.graph.input.clone(), channels }
    }

    /// The picture that goes in, enlarged by bicubic interpolation (a = −0.5, as PIL and MATLAB
    /// have it) by the factor that the hints tell, else 2: for networks that only sharpen.
    pub fn enlarged_input(&mut self) -> Features {
        let input = self.input();
        let factor = self.hints.factor.unwrap_or(2) as f32;
        if factor == 1.0 {
            return input;
        }
        let attributes = [
            ("mode", Attribute::Text("cubic".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
            ("cubic_coeff_a", Attribute::Float(-0.5)),
        ];
        Features { value: self.graph.resize(&input.value, [factor; 2], attributes), ..input }
    }

    pub fn has(&self, name: &str) -> bool {
        self.weights.get(name).is_some()
    }

    /// The tensor of this name and number of dimensions.
    ///
    /// # Errors
    /// Where it is missing, has another number of them, or is empty.
    pub fn tensor(&mut self, name: &str, rank: usize) -> Result<&'a Tensor, Fault> {
        let tensor = tensor(self.weights, name)?;
        if tensor.dims.len() != rank {
            let dims = &tensor.dims;
            return Err(Fault::unsuitable(format!(
                "{name:?} is {dims:?}, not of {rank} dimensions"
            )));
        }
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    /// Says of these weights that they are rightly not looked at.
    pub fn ignore(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// Convolution `name`: `name.weight` of any odd size and, where it is there, `name.bias`;
    /// the picture keeps its size.
    ///
    /// # Errors
    /// Names what is missing or does not fit.
    pub fn conv(&mut self, x: &Features, name: &str) -> Result<Features, Fault> {
        let key = format!("{name}.weight");
        let weight = self.tensor(&key, 4)?;
        let bias = self.bias(name, weight.dims[0])?;
        self.conv_with(x, &key, weight.clone(), bias)
    }

    /// The same with weights of one's own; `name` is for messages.
    pub fn conv_with(
        &mut self,
        x: &Features,
        name: &str,
        weight: Tensor,
        bias: Option<Tensor>,
    ) -> Result<Features, Fault> {
        let &[outputs, inputs, height, width] = weight.dims.as_slice() else {
            return Err(Fault::unsuitable(format!("{name:?} is no convolution")));
        };
        let odd = |side: u64| side % 2 == 1 && side < 64;
        if inputs != x.channels || !odd(height) || !odd(width) {
            return Err(Fault::unsuitable(format!(
                "{name:?} is {:?}: a convolution of {} channels of odd size fits there",
                weight.dims, x.channels
            )));
        }
        let [tall, wide] = [height, width].map(|side| (side / 2) as u32);
        let window = Window { pads: [tall, wide, tall, wide], ..Window::default() };
        let weight = self.graph.constant(name, weight);
        let bias = bias.map(|bias| self.graph.constant(&format!("{name}:bias"), bias));
        let value = self.graph.conv(&x.value, &weight, bias.as_deref(), window);
        Ok(Features { value, channels: outputs })
    }

    /// `name.bias`, if it is there, of this many numbers.
    pub fn bias(&mut self, name: &str, count: u64) -> Result<Option<Tensor>, Fault> {
        let key = format!("{name}.bias");
        if !self.has(&key) {
            return Ok(None);
        }
        let bias = self.tensor(&key, 1)?;
        if bias.dims != [count] {
            let dims = &bias.dims;
            return Err(Fault::unsuitable(format!("{key:?} is {dims:?}: [{count}] fits there")));
        }
        Ok(Some(bias.clone()))
    }

    /// PReLU `name`: `name.weight`, one slope a channel or one for all.
    pub fn prelu(&mut self, x: &Features, name: &str) -> Result<Features, Fault> {
        let key = format!("{name}.weight");
        let slope = self.tensor(&key, 1)?;
        let &[count] = slope.dims.as_slice() else { return Err(missing(&key)) };
        if count != 1 && count != x.channels {
            return Err(Fault::unsuitable(format!(
                "{key:?} has {count} slopes for {} channels",
                x.channels
            )));
        }
        let slope = Tensor { dims: vec![count, 1, 1], ..slope.clone() };
        let slope = self.graph.constant(&key, slope);
        Ok(Features { value: self.graph.prelu(&x.value, &slope), ..*x })
    }

    pub fn activate(&mut self, x: &Features, activation: Activation) -> Features {
        let value = match activation {
            Activation::Relu => self.graph.relu(&x.value),
            Activation::LeakyRelu(slope) => self.graph.leaky_relu(&x.value, slope),
            Activation::Silu => self.graph.silu(&x.value),
            Activation::Tanh => self.graph.tanh(&x.value),
        };
        Features { value, ..*x }
    }

    /// # Errors
    /// Where they have different numbers of channels; `name` is for that message.
    pub fn add(&mut self, a: &Features, b: &Features, name: &str) -> Result<Features, Fault> {
        if a.channels != b.channels {
            return Err(Fault::unsuitable(format!(
                "{name:?} makes {} channels, and {} are wanted there",
                a.channels, b.channels
            )));
        }
        Ok(Features { value: self.graph.add(&a.value, &b.value), ..*a })
    }

    pub fn scale(&mut self, x: &Features, factor: f32) -> Features {
        Features { value: self.graph.scale(&x.value, factor), ..*x }
    }

    pub fn concat(&mut self, parts: &[&Features]) -> Features {
        let values: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let channels = parts.iter().map(|part| part.channels).fold(0, u64::saturating_add);
        Features { value: self.graph.concat(&values, 1), channels }
    }

    /// PyTorch's `PixelShuffle(r)`.
    ///
    /// # Errors
    /// Where the channels do not go into r².
    pub fn shuffle(&mut self, x: &Features, r: u64) -> Result<Features, Fault> {
        let places = r.saturating_mul(r);
        let r = u32::try_from(r).ok().filter(|&r| (1..=64).contains(&r));
        let r = r.filter(|_| x.channels.is_multiple_of(places)).ok_or_else(|| {
            Fault::unsuitable(format!("{} channels cannot become pixels", x.channels))
        })?;
        if r == 1 {
            return Ok(x.clone());
        }
        let value = self.graph.depth_to_space(&x.value, r, Shuffle::Crd);
        Ok(Features { value, channels: x.channels / places })
    }

    /// Repeats each pixel.
    pub fn nearest(&mut self, x: &Features, factor: u64) -> Features {
        if factor <= 1 {
            return x.clone();
        }
        Features { value: self.graph.resize_nearest(&x.value, [factor as f32; 2]), ..*x }
    }

    /// The graph, ended by `output`.
    ///
    /// # Errors
    /// Where `output` is no picture like the input, or weights are left over: then this is
    /// another network than it seemed, and its pictures would be wrong.
    pub fn finish(mut self, output: &Features) -> Result<Graph, Fault> {
        let input = self.input();
        if output.channels != input.channels {
            return Err(Fault::unsuitable(format!(
                "it makes {} channels of {}",
                output.channels, input.channels
            )));
        }
        let over: Vec<&str> =
            self.weights.names().filter(|&name| !self.used.contains(name)).take(8).collect();
        if !over.is_empty() {
            return Err(Fault::unsuitable(format!(
                "it has weights that its architecture has no place for: {over:?}"
            )));
        }
        self.graph.set_output(&output.value);
        Ok(self.graph)
    }
}

/// The tensor of this name.
///
/// # Errors
/// Where it is missing or empty.
pub(super) fn tensor<'a>(weights: &'a StateDict, name: &str) -> Result<&'a Tensor, Fault> {
    let tensor = weights.get(name).ok_or_else(|| missing(name))?;
    match tensor.dims.contains(&0) {
        true => Err(Fault::unsuitable(format!("{name:?} is empty"))),
        false => Ok(tensor),
    }
}

/// One dimension of the tensor of this name.
///
/// # Errors
/// Where it is missing or has no such dimension.
pub(super) fn dim(weights: &StateDict, name: &str, axis: usize) -> Result<u64, Fault> {
    let tensor = tensor(weights, name)?;
    let dim = tensor.dims.get(axis).copied();
    dim.ok_or_else(|| {
        Fault::unsuitable(format!("{name:?} is {:?}: it has too few dimensions", tensor.dims))
    })
}

pub(super) fn missing(name: &str) -> Fault {
    Fault::unsuitable(format!("{name:?} is missing among its weights"))
}

/// r where `outputs` = `channels`·r².
///
/// # Errors
/// Where there is none; `name` is whose channels they are.
pub(super) fn shuffle_factor(outputs: u64, channels: u64, name: &str) -> Result<u64, Fault> {
    let factor = (outputs / channels.max(1)).isqrt();
    match factor.checked_mul(factor).and_then(|places| places.checked_mul(channels)) {
        Some(whole) if whole == outputs && factor > 0 => Ok(factor),
        _ => Err(Fault::unsuitable(format!(
            "{name:?} makes {outputs} channels: no square times {channels}"
        ))),
    }
}

//! GFPGAN (`gfpganv1_clean_arch.py` of TencentARC/GFPGAN, versions 1.2 to 1.4): restores one aligned
//! face. A U-Net extracts features of the face, which control a StyleGAN2 generator.
//!
//! The generator's noise is the one in the weights, so that a face always gives the same picture.
//! A modulated convolution scales its weights by a style; this graph scales the channels of its
//! input and output instead, which is the same product.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
};
use crate::model::{Graph, Tensor, Window, checkpoint::StateDict};

const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Added to the sum of the squared weights.
const EPSILON: f32 = 1e-8;

/// The side of the generator's first features, in samples.
const FIRST_SIDE: u64 = 4;

/// The maximum number of times that the generator doubles the size: up to 4096 pixels.
const MAX_LEVELS: usize = 10;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("conv_body_first.weight") && has("stylegan_decoder.constant_input.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "conv_body_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let levels = net.numbered("conv_body_down.{}.conv1.weight").len();
    if levels > MAX_LEVELS {
        return Err(BuildError::TooLarge);
    }
    let side = FIRST_SIDE << levels;
    net.graph.input_dims = vec![None, Some(channels), Some(side), Some(side)];
    let image = net.input();
    let centred = net.scale(&image, 2.0);
    let value = net.graph.offset(&centred.value, &[-1.0]);
    let (style, conditions) = encode(&mut net, &Features { value, ..image }, levels)?;
    let face = generate(&mut net, &style, &conditions)?;
    ignore_training_parts(&mut net);
    let value = net.graph.offset(&face.value, &[1.0]);
    let face = net.scale(&Features { value, ..face }, 0.5);
    net.finish(&face)
}

/// The factor and the offset of the generator's features at one size.
struct Condition {
    factor: Features,
    offset: Features,
}

/// The style, N×C×1×1, and the conditions from small to large sizes.
fn encode(
    net: &mut Network<'_>,
    image: &Features,
    levels: usize,
) -> Result<(Features, Vec<Condition>), BuildError> {
    let x = net.conv(image, "conv_body_first")?;
    let mut x = net.activate(&x, LEAKY);
    let mut skips = Vec::new();
    for level in 0..levels {
        x = resized_block(net, &x, &format!("conv_body_down.{level}"), 0.5)?;
        skips.push(x.clone());
    }
    x = net.conv(&x, "final_conv")?;
    x = net.activate(&x, LEAKY);
    let style = style(net, &x)?;
    let mut conditions = Vec::new();
    for (level, skip) in skips.iter().rev().enumerate() {
        x = net.add(&x, skip, "conv_body_up")?;
        x = resized_block(net, &x, &format!("conv_body_up.{level}"), 2.0)?;
        let factor = two_convolutions(net, &x, &format!("condition_scale.{level}"))?;
        let offset = two_convolutions(net, &x, &format!("condition_shift.{level}"))?;
        conditions.push(Condition { factor, offset });
    }
    Ok((style, conditions))
}

/// Two convolutions with a change of the size between them, plus the resized input.
fn resized_block(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    scale: f32,
) -> Result<Features, BuildError> {
    let inner = net.conv(x, &format!("{name}.conv1"))?;
    let inner = net.activate(&inner, LEAKY);
    let inner = resized(net, &inner, scale);
    let inner = net.conv(&inner, &format!("{name}.conv2"))?;
    let inner = net.activate(&inner, LEAKY);
    let outer = resized(net, x, scale);
    let outer = net.conv(&outer, &format!("{name}.skip"))?;
    net.add(&inner, &outer, name)
}

fn resized(net: &mut Network<'_>, x: &Features, scale: f32) -> Features {
    Features { value: net.graph.resize_linear(&x.value, [scale; 2]), ..*x }
}

fn two_convolutions(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let x = net.conv(x, &format!("{name}.0"))?;
    let x = net.activate(&x, LEAKY);
    net.conv(&x, &format!("{name}.2"))
}

/// The dense layer `final_linear` of all samples of `x`, 4×4, as a convolution.
fn style(net: &mut Network<'_>, x: &Features) -> Result<Features, BuildError> {
    const NAME: &str = "final_linear.weight";
    let weight = net.tensor(NAME, 2)?.clone();
    let &[outputs, inputs] = weight.dims.as_slice() else {
        return Err(wrong_shape(NAME, &weight.dims));
    };
    if x.channels.checked_mul(FIRST_SIDE * FIRST_SIDE) != Some(inputs) {
        return Err(wrong_shape(NAME, &weight.dims));
    }
    let bias = net.bias("final_linear", outputs)?;
    let dims = vec![outputs, x.channels, FIRST_SIDE, FIRST_SIDE];
    let weight = net.graph.constant(NAME, Tensor { dims, ..weight });
    let bias = bias.map(|bias| net.graph.constant("final_linear.bias", bias));
    let value = net.graph.conv(&x.value, &weight, bias.as_deref(), Window::default());
    Ok(Features { value, channels: outputs })
}

/// The generator: from a learned constant to the picture in −1..=1, doubling the size.
fn generate(
    net: &mut Network<'_>,
    style: &Features,
    conditions: &[Condition],
) -> Result<Features, BuildError> {
    const FIRST: &str = "stylegan_decoder.constant_input.weight";
    let constant = net.tensor(FIRST, 4)?.clone();
    let &[1, channels, FIRST_SIDE, FIRST_SIDE] = constant.dims.as_slice() else {
        return Err(wrong_shape(FIRST, &constant.dims));
    };
    let x = Features { value: net.graph.constant(FIRST, constant), channels };
    let mut styles = Styles::new(net, style, 2 + 2 * conditions.len() as u64)?;
    let style = styles.next(net)?;
    let mut x = styled(net, &x, &style, ("style_conv1", 0))?;
    let style = styles.next(net)?;
    let mut picture = to_rgb(net, &x, &style, "to_rgb1")?;
    // The style of each conversion to RGB is that of the next convolution, too.
    let mut style = style;
    for (level, condition) in conditions.iter().enumerate() {
        let large = resized(net, &x, 2.0);
        let first = 2 * level;
        x = styled(net, &large, &style, (&format!("style_convs.{first}"), first + 1))?;
        x = conditioned(net, &x, condition, &format!("condition_scale.{level}"))?;
        let second = styles.next(net)?;
        x = styled(net, &x, &second, (&format!("style_convs.{}", first + 1), first + 2))?;
        style = styles.next(net)?;
        let detail = to_rgb(net, &x, &style, &format!("to_rgbs.{level}"))?;
        let large = resized(net, &picture, 2.0);
        picture = net.add(&detail, &large, "to_rgbs")?;
    }
    Ok(picture)
}

/// The styles of the generator's layers, in order.
struct Styles {
    all: Features,
    /// The number of channels of one style.
    width: u64,
    next: u64,
}

impl Styles {
    /// `all` has one style for each of `count` layers, or one for all of them.
    fn new(net: &Network<'_>, all: &Features, count: u64) -> Result<Self, BuildError> {
        let name = "stylegan_decoder.style_conv1.modulated_conv.modulation.weight";
        let width = dim(net.weights(), name, 1)?;
        if all.channels != width && width.checked_mul(count) != Some(all.channels) {
            return Err(BuildError::Outputs {
                layer: "final_linear".into(),
                outputs: all.channels,
                expected: width.saturating_mul(count),
            });
        }
        Ok(Self { all: all.clone(), width, next: 0 })
    }

    fn next(&mut self, net: &mut Network<'_>) -> Result<Features, BuildError> {
        if self.all.channels == self.width {
            return Ok(self.all.clone());
        }
        let [start, end] = [self.next, self.next + 1].map(|at| (at * self.width).cast_signed());
        self.next += 1;
        Ok(Features {
            value: net.graph.slice(&self.all.value, 1, start, end),
            channels: self.width,
        })
    }
}

/// A modulated convolution with noise, bias and activation; `noise` is the number of its noise.
fn styled(
    net: &mut Network<'_>,
    x: &Features,
    style: &Features,
    (name, noise): (&str, usize),
) -> Result<Features, BuildError> {
    let name = format!("stylegan_decoder.{name}");
    let x = modulated(net, x, style, &name, Demodulation::On)?;
    let x = net.scale(&x, std::f32::consts::SQRT_2);
    let noise = scaled_noise(net, &name, noise)?;
    let x = Features { value: net.graph.add(&x.value, &noise), ..x };
    let x = with_bias(net, &x, &name)?;
    Ok(net.activate(&x, LEAKY))
}

/// The noise of the weights times its learned strength, as a constant.
fn scaled_noise(net: &mut Network<'_>, name: &str, number: usize) -> Result<String, BuildError> {
    let strength = format!("{name}.weight");
    let (values, dims) = net.values(&strength)?;
    let &[factor] = values.as_slice() else { return Err(wrong_shape(&strength, &dims)) };
    let name = format!("stylegan_decoder.noises.noise{number}");
    let (mut noise, dims) = net.values(&name)?;
    if dims.len() != 4 || dims.iter().take(2).any(|&count| count != 1) {
        return Err(wrong_shape(&name, &dims));
    }
    net.spend(noise.len() as u64)?;
    noise.iter_mut().for_each(|sample| *sample *= factor);
    Ok(net.graph.constant_f32(&name, &dims, &noise))
}

/// The picture of features, in −1..=1.
fn to_rgb(
    net: &mut Network<'_>,
    x: &Features,
    style: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let name = format!("stylegan_decoder.{name}");
    let x = modulated(net, x, style, &name, Demodulation::Off)?;
    with_bias(net, &x, &name)
}

/// Whether a convolution's outputs are divided by the norm of their scaled weights.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Demodulation {
    Off,
    On,
}

/// The convolution `name.modulated_conv`, whose weights a style scales.
fn modulated(
    net: &mut Network<'_>,
    x: &Features,
    style: &Features,
    name: &str,
    demodulation: Demodulation,
) -> Result<Features, BuildError> {
    let name = format!("{name}.modulated_conv");
    let key = format!("{name}.weight");
    let weight = net.tensor(&key, 5)?.clone();
    let &[1, outputs, inputs, height, width] = weight.dims.as_slice() else {
        return Err(wrong_shape(&key, &weight.dims));
    };
    let scale = dense(net, style, &format!("{name}.modulation"))?;
    if scale.channels != inputs {
        return Err(wrong_shape(&key, &weight.dims));
    }
    let values = weight.to_f32().unwrap_or_default();
    let scaled = net.mul(x, &scale);
    let scaled = Features { channels: x.channels, ..scaled };
    let weight = Tensor { dims: vec![outputs, inputs, height, width], ..weight };
    let x = net.conv_with(&scaled, &key, weight, None)?;
    if demodulation == Demodulation::Off {
        return Ok(x);
    }
    // Σ (w·s)² over inputs and kernel = Σ over inputs of s² · Σ over the kernel of w².
    net.spend(values.len() as u64)?;
    let area = (height * width).max(1) as usize;
    let squares: Vec<f32> =
        values.chunks(area).map(|kernel| kernel.iter().map(|w| w * w).sum()).collect();
    let graph = &mut net.graph;
    let squares =
        graph.constant_f32(&format!("{name}:squares"), &[outputs, inputs, 1, 1], &squares);
    let square = graph.mul(&scale.value, &scale.value);
    let sum = graph.conv(&square, &squares, None, Window::default());
    let sum = graph.offset(&sum, &[EPSILON]);
    let norm = graph.push("Sqrt", &[&sum], []);
    Ok(Features { value: graph.push("Div", &[&x.value, &norm], []), ..x })
}

/// The dense layer `name` on N×C×1×1.
fn dense(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let key = format!("{name}.weight");
    let weight = net.tensor(&key, 2)?.clone();
    let &[outputs, inputs] = weight.dims.as_slice() else {
        return Err(wrong_shape(&key, &weight.dims));
    };
    let bias = net.bias(name, outputs)?;
    net.conv_with(x, &key, Tensor { dims: vec![outputs, inputs, 1, 1], ..weight }, bias)
}

/// x plus `name.bias`, 1×C×1×1.
fn with_bias(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let key = format!("{name}.bias");
    let bias = net.tensor(&key, 4)?.clone();
    if bias.dims != [1, x.channels, 1, 1] {
        return Err(wrong_shape(&key, &bias.dims));
    }
    let bias = net.graph.constant(&key, bias);
    Ok(Features { value: net.graph.add(&x.value, &bias), ..*x })
}

/// Features times a factor plus an offset, which apply to all channels or to their second half.
fn conditioned(
    net: &mut Network<'_>,
    x: &Features,
    condition: &Condition,
    name: &str,
) -> Result<Features, BuildError> {
    let Condition { factor, offset } = condition;
    let kept = x.channels.saturating_sub(factor.channels);
    if kept != 0 && kept != factor.channels || offset.channels != factor.channels {
        let (outputs, expected) = (factor.channels, x.channels);
        return Err(BuildError::Outputs { layer: name.to_owned(), outputs, expected });
    }
    let slice = |net: &mut Network<'_>, start: u64, end: u64| Features {
        value: net.graph.slice(&x.value, 1, start.cast_signed(), end.cast_signed()),
        channels: end - start,
    };
    let changed = if kept == 0 { x.clone() } else { slice(net, kept, x.channels) };
    let changed = net.mul(&changed, factor);
    let changed = net.add(&changed, offset, name)?;
    if kept == 0 {
        return Ok(changed);
    }
    let same = slice(net, 0, kept);
    Ok(net.concat(&[&same, &changed]))
}

/// Weights that only training uses: the intermediate pictures of the U-Net, and the layers that map
/// random numbers to styles.
fn ignore_training_parts(net: &mut Network<'_>) {
    let weights = net.weights();
    for name in weights.names() {
        if name.starts_with("toRGB.") || name.starts_with("stylegan_decoder.style_mlp.") {
            net.ignore(name);
        }
    }
}

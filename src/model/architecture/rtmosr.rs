//! RTMoSR (`rtmosr_arch.py` of rewaifu/RTMoSR, `archs/rtmosr` of umzi2/resselt): gated convolutions at
//! half the size, whose branches are merged.

use super::{
    Hints,
    activation::Activation,
    conv3xc::Layer,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor, wrong_shape},
};
use crate::model::{Attribute, Border, Graph, Tensor, checkpoint::StateDict};

/// The samples per side that a block unshuffles.
const DOWN: u32 = 2;

/// The channels of images.
const CHANNELS: u64 = 3;

/// The factor of the last layer of networks that first make the image smaller.
const UNSHUFFLED_FACTOR: u64 = 4;

/// The side of the largest depthwise kernel.
const SIDE: usize = 5;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("body.0.norm.scale") && has("body.0.conv.0.poll.1.alpha") && has("to_img.0.alpha")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let unshuffles = weights.get("to_feat.1.alpha").is_some();
    let first = if unshuffles { "to_feat.1" } else { "to_feat" };
    let inputs = dim(weights, &format!("{first}.conv2.weight"), 1)?;
    let unshuffle = if unshuffles { (inputs / CHANNELS).isqrt() } else { 1 };
    let mut net = Network::new(weights, hints, CHANNELS)?;
    let image = net.input();
    let unshuffle_by = u32::try_from(unshuffle).ok().filter(|by| matches!(by, 1 | 2 | 4));
    let by = unshuffle_by.ok_or_else(|| wrong_shape(first, &[inputs]))?;
    let mut x = net.pad_to_multiple(&image, by * DOWN, 0, Border::Reflect);
    if by > 1 {
        let value = net.graph.space_to_depth(&x.value, by, CHANNELS as u32);
        x = Features { value, channels: inputs };
    }
    x = net.rep_conv(&x, first)?;
    for block in net.numbered("body.{}.norm.scale") {
        x = gated(&mut net, &x, &format!("body.{block}"))?;
    }
    x = net.rep_conv(&x, "to_img.0")?;
    let factor = shuffle_factor(x.channels, CHANNELS, "to_img.0")?;
    x = net.shuffle(&x, factor)?;
    let factor = if by > 1 { UNSHUFFLED_FACTOR / unshuffle } else { factor };
    let x = net.crop_like(&x, &image, factor);
    let enlarged = net.nearest(&image, factor);
    let x = net.add(&x, &enlarged, "to_img")?;
    net.finish(&x)
}

/// A gate, and convolutions of a part of the channels at half the size.
fn gated(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let normal = net.rms_norm_2d(x, &format!("{name}.norm"), 1e-6)?;
    let all = net.rep_conv(&normal, &format!("{name}.fc1"))?;
    let (gate, kept, filtered) = net.gate_and_parts(&all, x.channels, name)?;
    let filtered = at_half_size(net, &filtered, &format!("{name}.conv"))?;
    let values = match kept {
        Some(kept) => net.concat(&[&kept, &filtered]),
        None => filtered,
    };
    let gate = net.mish(&gate);
    let mixed = net.mul(&gate, &values);
    let last = format!("{name}.fc2");
    let mixed = match net.has(&format!("{last}.alpha")) {
        true => net.rep_conv(&mixed, &last)?,
        false => net.conv(&mixed, &last)?,
    };
    let mixed = net.mish(&mixed);
    net.add(&mixed, x, name)
}

/// The unshuffled features plus a convolution of their maxima, through a depthwise convolution and
/// channel attention, shuffled back.
fn at_half_size(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let area = u64::from(DOWN * DOWN);
    let channels = u32::try_from(x.channels).unwrap_or(u32::MAX);
    let value = net.graph.space_to_depth(&x.value, DOWN, channels);
    let unshuffled = Features { value, channels: x.channels * area };
    let sides = Attribute::Ints(vec![DOWN.into(); 2]);
    let window = [("kernel_shape", sides.clone()), ("strides", sides)];
    let value = net.graph.push("MaxPool", &[&x.value], window);
    let maxima = net.rep_conv(&Features { value, ..*x }, &format!("{name}.0.poll.1"))?;
    let deep = net.add(&unshuffled, &maxima, name)?;
    let mut deep = net.omni_shift(&deep, &format!("{name}.1"))?;
    let attention = format!("{name}.2.squeezing");
    if net.has(&format!("{attention}.0.weight")) {
        let mean = net.global_mean(&deep);
        let weight = net.conv(&mean, &format!("{attention}.0"))?;
        let weight = net.activate(&weight, Activation::Relu);
        let weight = net.conv(&weight, &format!("{attention}.2"))?;
        let form = [("alpha", Attribute::Float(1.0 / 6.0)), ("beta", Attribute::Float(0.5))];
        let value = net.graph.push("HardSigmoid", &[&weight.value], form);
        deep = net.mul(&deep, &Features { value, ..weight });
    }
    net.shuffle(&deep, DOWN.into())
}

impl Network<'_> {
    /// Three weighted branches as one convolution (RepConv): 1×1 and 3×3 in sequence, 3×3, and
    /// [`Self::merged_conv3xc`].
    fn rep_conv(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let merged = format!("{name}.conv_3x3_rep");
        self.ignore(&format!("{merged}.weight"));
        self.ignore(&format!("{merged}.bias"));
        let part = |part: &str| format!("{name}.conv1.{part}");
        let inner = self.layer_of(&part("k0"), &part("b0"), 1)?;
        let outer = self.layer_of(&part("k1"), &part("b1"), 3)?;
        let branches = [
            self.in_sequence(&outer, &inner, name)?,
            self.layer(&format!("{name}.conv2"), 3)?,
            self.merged_conv3xc(&format!("{name}.conv3"))?,
        ];
        let shares = self.vector(&format!("{name}.alpha"), branches.len() as u64)?;
        let shares = shares.to_f32().unwrap_or_default();
        let sum = weighted_sum(&branches, &shares)
            .ok_or_else(|| BuildError::Branches(name.to_owned()))?;
        self.conv_layer(x, &merged, &sum)
    }

    /// Depthwise kernels of 1×1, 3×3 and 5×5 and the input itself as one convolution (OmniShift).
    fn omni_shift(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let merged = format!("{name}.conv5x5_reparam");
        self.ignore(&format!("{merged}.weight"));
        self.ignore(&format!("{merged}.bias"));
        let channels = x.channels as usize;
        let mut kernels = vec![0.0; channels * SIDE * SIDE];
        let mut bias = vec![0.0; channels];
        for (index, layer) in
            [None, Some("conv1x1"), Some("conv3x3"), Some("conv5x5")].iter().enumerate()
        {
            let share = format!("{name}.alpha{}", index + 1);
            let (shares, dims) = self.values(&share)?;
            if dims != [1, x.channels, 1, 1] {
                return Err(wrong_shape(&share, &dims));
            }
            let (side, own, own_bias) = match layer {
                None => (1, vec![1.0; channels], vec![0.0; channels]),
                Some(layer) => {
                    let key = format!("{name}.{layer}");
                    let side = 2 * index - 1;
                    let layer = self.layer(&key, side as u64)?;
                    if (layer.outputs, layer.inputs) != (channels, 1) {
                        return Err(BuildError::Branches(key));
                    }
                    (side, layer.kernels, layer.bias)
                }
            };
            let margin = (SIDE - side) / 2;
            let sources = own.chunks_exact(side * side).zip(&own_bias).zip(&shares);
            let targets = kernels.chunks_exact_mut(SIDE * SIDE).zip(&mut bias);
            for ((kernel, bias), ((source, own_bias), share)) in targets.zip(sources) {
                *bias += share * own_bias;
                let rows = kernel.chunks_exact_mut(SIDE).skip(margin);
                for (row, source) in rows.zip(source.chunks_exact(side)) {
                    let places = row.iter_mut().skip(margin).zip(source);
                    places.for_each(|(to, value)| *to += share * value);
                }
            }
        }
        let side = SIDE as u64;
        let weight = Tensor::from_f32(&[x.channels, 1, side, side], &kernels);
        let bias = Tensor::from_f32(&[x.channels], &bias);
        let weight = self.graph.constant(&format!("{merged}.weight"), weight);
        let bias = self.graph.constant(&format!("{merged}.bias"), bias);
        let group = u32::try_from(x.channels).unwrap_or(u32::MAX);
        let window =
            crate::model::Window { pads: [(SIDE / 2) as u32; 4], group, ..Default::default() };
        Ok(Features { value: self.graph.conv(&x.value, &weight, Some(&bias), window), ..*x })
    }
}

/// The sum of layers times their shares; `None` if their shapes differ.
fn weighted_sum(layers: &[Layer], shares: &[f32]) -> Option<Layer> {
    let first = layers.first()?;
    let mut sum = Layer {
        kernels: vec![0.0; first.kernels.len()],
        bias: vec![0.0; first.bias.len()],
        ..*first
    };
    for (layer, share) in layers.iter().zip(shares) {
        if (layer.outputs, layer.inputs) != (sum.outputs, sum.inputs) {
            return None;
        }
        let pairs = sum.kernels.iter_mut().zip(&layer.kernels);
        pairs.for_each(|(to, value)| *to += share * value);
        let pairs = sum.bias.iter_mut().zip(&layer.bias);
        pairs.for_each(|(to, value)| *to += share * value);
    }
    Some(sum)
}

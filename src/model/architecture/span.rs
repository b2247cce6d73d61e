//! SPAN (`basicsr/archs/span_arch.py` of hongyuanyu/SPAN), with merged branches.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor, wrong_shape},
};
use crate::model::{Graph, Tensor, checkpoint::StateDict};

/// The mean R′G′B′, which is subtracted unless there is a weight `no_norm`.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// The maximum number of multiply-adds for merging all branches; 96 channels need 1e9.
const MAX_WORK: u64 = 4_000_000_000;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("conv_cat.weight")
        && (has("block_1.c1_r.sk.weight") || has("block_1.c1_r.eval_conv.weight"))
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let first = ["conv_1.sk.weight", "conv_1.eval_conv.weight"];
    let first = first.into_iter().find(|name| weights.get(name).is_some()).unwrap_or(first[0]);
    let channels = dim(weights, first, 1)?;
    let mut net = Span { net: Network::new(weights, hints, channels)?, work: 0 };
    let mut x = net.net.input();
    if net.net.has("no_norm") {
        net.net.ignore("no_norm");
    } else if channels == 3 {
        let value = net.net.graph.offset(&x.value, &MEAN.map(|mean| -mean));
        x = net.net.scale(&Features { value, channels }, 255.0);
    } else {
        return Err(BuildError::MeanNeedsColour);
    }
    let first = net.conv(&x, "conv_1")?;
    let (first_block, mut inner) = net.block(&first, "block_1")?;
    let mut x = first_block.clone();
    for block in 2..=6 {
        (x, inner) = net.block(&x, &format!("block_{block}"))?;
    }
    let last = net.conv(&x, "conv_2")?;
    let mut net = net.net;
    let all = net.concat(&[&first, &last, &first_block, &inner]);
    let x = net.conv(&all, "conv_cat")?;
    let x = net.conv(&x, "upsampler.0")?;
    let factor = shuffle_factor(x.channels, channels, "upsampler.0.weight")?;
    let x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

/// The network while it is built.
struct Span<'a> {
    net: Network<'a>,
    /// The multiply-adds spent on merging branches.
    work: u64,
}

impl Span<'_> {
    /// The output of a block, and the output of its first convolution, after the activation:
    /// upstream applies that in place.
    fn block(&mut self, x: &Features, name: &str) -> Result<(Features, Features), BuildError> {
        let first = self.conv(x, &format!("{name}.c1_r"))?;
        let first = self.net.activate(&first, Activation::Silu);
        let second = self.conv(&first, &format!("{name}.c2_r"))?;
        let second = self.net.activate(&second, Activation::Silu);
        let third = self.conv(&second, &format!("{name}.c3_r"))?;
        let attention = self.net.graph.sigmoid(&third.value);
        let attention = self.net.graph.offset(&attention, &[-0.5]);
        let sum = self.net.add(&third, x, name)?;
        let value = self.net.graph.mul(&sum.value, &attention);
        Ok((Features { value, ..sum }, first))
    }

    /// Conv3XC as one 3×3 convolution: a sequence of 1×1, 3×3 and 1×1, plus a parallel 1×1. Files
    /// contain a merged convolution too (`eval_conv`), but in checkpoints of a training run it is
    /// out of date.
    fn conv(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let merged = format!("{name}.eval_conv");
        if !self.net.has(&format!("{name}.sk.weight")) {
            return self.net.conv(x, &merged);
        }
        self.net.ignore(&format!("{merged}.weight"));
        self.net.ignore(&format!("{merged}.bias"));
        let inner = self.layer(&format!("{name}.conv.0"), 1)?;
        let middle = self.layer(&format!("{name}.conv.1"), 3)?;
        let outer = self.layer(&format!("{name}.conv.2"), 1)?;
        let parallel = self.layer(&format!("{name}.sk"), 1)?;
        let matches = inner.outputs == middle.inputs
            && middle.outputs == outer.inputs
            && [parallel.inputs, parallel.outputs] == [inner.inputs, outer.outputs];
        if !matches {
            return Err(BuildError::Branches(name.to_owned()));
        }
        let work = |outputs: usize, between: usize| {
            let sizes = [outputs, between, inner.inputs, 9];
            sizes.iter().fold(1u64, |all, &size| all.saturating_mul(size as u64))
        };
        let merging =
            work(middle.outputs, middle.inputs).saturating_add(work(outer.outputs, outer.inputs));
        self.work = self.work.saturating_add(merging);
        if self.work > MAX_WORK {
            return Err(BuildError::BranchesTooLarge);
        }
        let mut whole = outer.after(&middle.after(&inner));
        // The 1×1 kernel is the centre of a 3×3 kernel.
        let (kernels, _) = whole.kernels.as_chunks_mut::<9>();
        for (kernel, value) in kernels.iter_mut().zip(&parallel.kernels) {
            kernel[4] += value;
        }
        whole.bias.iter_mut().zip(&parallel.bias).for_each(|(to, value)| *to += value);
        let [outputs, inputs] = [whole.outputs, whole.inputs].map(|size| size as u64);
        let weight = Tensor::from_f32(&[outputs, inputs, 3, 3], &whole.kernels);
        let bias = Tensor::from_f32(&[outputs], &whole.bias);
        self.net.conv_with(x, &merged, weight, Some(bias))
    }

    /// The convolution `name` with a kernel of `side`×`side`.
    fn layer(&mut self, name: &str, side: u64) -> Result<Layer, BuildError> {
        let key = format!("{name}.weight");
        let weight = self.net.tensor(&key, 4)?;
        let &[outputs, inputs, height, width] = weight.dims.as_slice() else {
            return Err(wrong_shape(&key, &weight.dims));
        };
        if [height, width] != [side; 2] {
            return Err(wrong_shape(&key, &weight.dims));
        }
        let bias = self.net.bias(name, outputs)?.and_then(|bias| bias.to_f32());
        Ok(Layer {
            outputs: outputs as usize,
            inputs: inputs as usize,
            kernels: weight.to_f32().unwrap_or_default(),
            bias: bias.unwrap_or_else(|| vec![0.0; outputs as usize]),
        })
    }
}

/// A convolution: its kernels have the shape outputs × inputs × side × side.
struct Layer {
    outputs: usize,
    inputs: usize,
    kernels: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    /// `first` followed by this layer, as one layer. One of the two is 1×1, and there is no padding
    /// between them, so that the result is a product of matrices.
    #[allow(clippy::indexing_slicing, reason = "indices are reduced modulo the lengths")]
    fn after(&self, first: &Layer) -> Layer {
        let side = |layer: &Layer| layer.kernels.len() / (layer.outputs * layer.inputs).max(1);
        let (own, other) = (side(self), side(first));
        let area = own * other;
        let mut kernels = vec![0.0; self.outputs * first.inputs * area];
        let mut bias = self.bias.clone();
        let rows = kernels.chunks_exact_mut((first.inputs * area).max(1));
        for ((output, row), bias) in rows.enumerate().zip(&mut bias) {
            let mixes = self.kernels.chunks_exact(own).skip(output * self.inputs);
            let sources = first.kernels.chunks_exact((first.inputs * other).max(1));
            for ((mix, source), inner) in mixes.zip(sources).zip(&first.bias) {
                *bias += mix.iter().sum::<f32>() * inner;
                for (to, from) in row.chunks_exact_mut(area).zip(source.chunks_exact(other)) {
                    for (index, to) in to.iter_mut().enumerate() {
                        *to += mix[index % own] * from[index % other];
                    }
                }
            }
        }
        Layer { outputs: self.outputs, inputs: first.inputs, kernels, bias }
    }
}

//! SPAN (`basicsr/archs/span_arch.py` of hongyuanyu/SPAN), its branches merged.

use super::{
    Hints,
    network::{Activation, Features, Network, dim, shuffle_factor},
};
use crate::model::{Graph, Tensor, checkpoint::StateDict, fault::Fault};

/// Means of R′G′B′ that are taken off, unless a weight `no_norm` says not to.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// Multiply-adds for merging all branches; 96 channels need 1e9.
const MOST_WORK: u64 = 4_000_000_000;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("conv_cat.weight")
        && (has("block_1.c1_r.sk.weight") || has("block_1.c1_r.eval_conv.weight"))
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, Fault> {
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
        return Err(Fault::unsuitable("its mean is only known for three channels"));
    }
    let first = net.conv(&x, "conv_1")?;
    let mut outputs = Vec::new();
    let mut x = first.clone();
    let mut inner = x.clone();
    for block in 1..=6 {
        (x, inner) = net.block(&x, &format!("block_{block}"))?;
        outputs.push(x.clone());
    }
    let last = net.conv(&x, "conv_2")?;
    let mut net = net.net;
    let all = net.concat(&[&first, &last, &outputs[0], &inner]);
    let x = net.conv(&all, "conv_cat")?;
    let x = net.conv(&x, "upsampler.0")?;
    let factor = shuffle_factor(x.channels, channels, "upsampler.0.weight")?;
    let x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

struct Span<'a> {
    net: Network<'a>,
    work: u64,
}

impl Span<'_> {
    /// A block's output, and what its first convolution found: after the activation, which
    /// upstream does in place.
    fn block(&mut self, x: &Features, name: &str) -> Result<(Features, Features), Fault> {
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

    /// Conv3XC: 1×1, 3×3 and 1×1 one after the other, and a 1×1 beside them, as one 3×3. Files
    /// hold that one too (`eval_conv`), but in training it lags behind its branches, which win.
    fn conv(&mut self, x: &Features, name: &str) -> Result<Features, Fault> {
        let merged = format!("{name}.eval_conv");
        if !self.net.has(&format!("{name}.sk.weight")) {
            return self.net.conv(x, &merged);
        }
        self.net.ignore(&format!("{merged}.weight"));
        self.net.ignore(&format!("{merged}.bias"));
        let inner = self.layer(&format!("{name}.conv.0"), 1)?;
        let middle = self.layer(&format!("{name}.conv.1"), 3)?;
        let outer = self.layer(&format!("{name}.conv.2"), 1)?;
        let beside = self.layer(&format!("{name}.sk"), 1)?;
        let fits = inner.outputs == middle.inputs
            && middle.outputs == outer.inputs
            && [beside.inputs, beside.outputs] == [inner.inputs, outer.outputs];
        if !fits {
            return Err(Fault::unsuitable(format!("the branches of {name:?} do not fit together")));
        }
        let work = |outputs: usize, between: usize| {
            let sizes = [outputs, between, inner.inputs, 9];
            sizes.iter().fold(1u64, |all, &size| all.saturating_mul(size as u64))
        };
        let merging =
            work(middle.outputs, middle.inputs).saturating_add(work(outer.outputs, outer.inputs));
        self.work = self.work.saturating_add(merging);
        if self.work > MOST_WORK {
            return Err(Fault::unsuitable("its branches are too large to merge"));
        }
        let mut whole = middle.after(&inner);
        whole = outer.after(&whole);
        for (kernel, value) in whole.kernels.chunks_exact_mut(9).zip(&beside.kernels) {
            kernel[4] += value;
        }
        whole.bias.iter_mut().zip(&beside.bias).for_each(|(to, value)| *to += value);
        let sizes = [whole.outputs, whole.inputs, 3, 3].map(|size| size as u64);
        let weight = Tensor::from_f32(&sizes, &whole.kernels);
        let bias = Tensor::from_f32(&sizes[..1], &whole.bias);
        self.net.conv_with(x, &merged, weight, Some(bias))
    }

    fn layer(&mut self, name: &str, side: u64) -> Result<Layer, Fault> {
        let key = format!("{name}.weight");
        let weight = self.net.tensor(&key, 4)?;
        let &[outputs, inputs, height, width] = weight.dims.as_slice() else {
            return Err(Fault::unsuitable(format!("{key:?} is no convolution")));
        };
        if [height, width] != [side; 2] {
            return Err(Fault::unsuitable(format!(
                "{key:?} is {:?}, not {side}×{side}",
                weight.dims
            )));
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

/// A convolution's numbers; kernels of outputs × inputs × side².
struct Layer {
    outputs: usize,
    inputs: usize,
    kernels: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    /// `first` and then this as one layer. One of the two is 1×1, and there is no padding
    /// between them, so that their kernels multiply like matrices.
    fn after(&self, first: &Layer) -> Layer {
        let side = |layer: &Layer| layer.kernels.len() / (layer.outputs * layer.inputs).max(1);
        let (own, other) = (side(self), side(first));
        let places = own * other;
        let mut kernels = vec![0.0; self.outputs * first.inputs * places];
        let mut bias = self.bias.clone();
        let rows = kernels.chunks_exact_mut((first.inputs * places).max(1));
        for (output, row) in rows.enumerate() {
            let mixes = self.kernels.chunks_exact(own).skip(output * self.inputs);
            let sources = first.kernels.chunks_exact((first.inputs * other).max(1));
            for ((mix, source), inner) in mixes.zip(sources).zip(&first.bias) {
                bias[output] += mix.iter().sum::<f32>() * inner;
                for (to, from) in row.chunks_exact_mut(places).zip(source.chunks_exact(other)) {
                    for (place, to) in to.iter_mut().enumerate() {
                        *to += mix[place % own] * from[place % other];
                    }
                }
            }
        }
        Layer { outputs: self.outputs, inputs: first.inputs, kernels, bias }
    }
}

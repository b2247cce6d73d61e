//! Convolutions that training divides into branches (`Conv3XC` of hongyuanyu/SPAN), merged into one.

use super::{
    error::BuildError,
    network::{Features, Network, wrong_shape},
};
use crate::model::Tensor;

/// The side of the merged kernel.
const SIDE: u64 = 3;

impl Network<'_> {
    /// The convolution `name`: a sequence of 1×1, 3×3 and 1×1, plus a parallel 1×1. Files contain a
    /// merged convolution too (`eval_conv`), but in checkpoints of a training run it is out of date.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn conv3xc(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let merged = format!("{name}.eval_conv");
        if !self.has(&format!("{name}.sk.weight")) {
            return self.conv(x, &merged);
        }
        let layer = self.merged_conv3xc(name)?;
        self.conv_layer(x, &merged, &layer)
    }

    /// The branches of [`Self::conv3xc`] as one layer.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn merged_conv3xc(&mut self, name: &str) -> Result<Layer, BuildError> {
        self.ignore(&format!("{name}.eval_conv.weight"));
        self.ignore(&format!("{name}.eval_conv.bias"));
        let inner = self.layer(&format!("{name}.conv.0"), 1)?;
        let middle = self.layer(&format!("{name}.conv.1"), SIDE)?;
        let outer = self.layer(&format!("{name}.conv.2"), 1)?;
        let parallel = self.layer(&format!("{name}.sk"), 1)?;
        let first = self.in_sequence(&middle, &inner, name)?;
        let mut whole = self.in_sequence(&outer, &first, name)?;
        if [parallel.inputs, parallel.outputs] != [whole.inputs, whole.outputs] {
            return Err(BuildError::Branches(name.to_owned()));
        }
        // The 1×1 kernel is the centre of a 3×3 kernel.
        let (kernels, _) = whole.kernels.as_chunks_mut::<9>();
        for (kernel, value) in kernels.iter_mut().zip(&parallel.kernels) {
            kernel[4] += value;
        }
        whole.bias.iter_mut().zip(&parallel.bias).for_each(|(to, value)| *to += value);
        Ok(whole)
    }

    /// `last` after `first`, as one layer. One of the two is 1×1.
    ///
    /// # Errors
    /// [`BuildError`] if their channels do not match, or merging takes too long.
    pub(crate) fn in_sequence(
        &mut self,
        last: &Layer,
        first: &Layer,
        name: &str,
    ) -> Result<Layer, BuildError> {
        if first.outputs != last.inputs {
            return Err(BuildError::Branches(name.to_owned()));
        }
        let sizes = [last.outputs, last.inputs, first.inputs, 9];
        self.spend_work(sizes.iter().fold(1u64, |all, &size| all.saturating_mul(size as u64)))?;
        Ok(last.after(first))
    }

    /// The convolution with the weights of a merged layer; `name` is for messages.
    ///
    /// # Errors
    /// [`BuildError`] if it does not take the channels of `x`.
    pub(crate) fn conv_layer(
        &mut self,
        x: &Features,
        name: &str,
        layer: &Layer,
    ) -> Result<Features, BuildError> {
        let [outputs, inputs] = [layer.outputs, layer.inputs].map(|size| size as u64);
        let weight = Tensor::from_f32(&[outputs, inputs, SIDE, SIDE], &layer.kernels);
        let bias = Tensor::from_f32(&[outputs], &layer.bias);
        self.conv_with(x, name, weight, Some(bias))
    }

    /// The convolution `name` with a kernel of `side`×`side`.
    ///
    /// # Errors
    /// [`BuildError`] if it is missing or has a wrong shape.
    pub(crate) fn layer(&mut self, name: &str, side: u64) -> Result<Layer, BuildError> {
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
        self.layer_of(&weight, &bias, side)
    }

    /// The convolution with these weights and, if present, this bias.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn layer_of(
        &mut self,
        weight: &str,
        bias: &str,
        side: u64,
    ) -> Result<Layer, BuildError> {
        let kernels = self.tensor(weight, 4)?;
        let &[outputs, inputs, height, width] = kernels.dims.as_slice() else {
            return Err(wrong_shape(weight, &kernels.dims));
        };
        if [height, width] != [side; 2] {
            return Err(wrong_shape(weight, &kernels.dims));
        }
        let bias = match self.has(bias) {
            true => self.vector(bias, outputs)?.to_f32().unwrap_or_default(),
            false => vec![0.0; outputs as usize],
        };
        Ok(Layer {
            outputs: outputs as usize,
            inputs: inputs as usize,
            kernels: kernels.to_f32().unwrap_or_default(),
            bias,
        })
    }
}

/// A convolution: its kernels have the shape outputs × inputs × side × side.
pub(super) struct Layer {
    pub outputs: usize,
    pub inputs: usize,
    pub kernels: Vec<f32>,
    pub bias: Vec<f32>,
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

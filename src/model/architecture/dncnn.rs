//! DnCNN and FDnCNN (`models/network_dncnn.py` of cszn/KAIR; `models.py` of SaoYan/DnCNN-PyTorch):
//! a plain stack of convolutions against noise and JPEG artefacts.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, missing, wrong_shape},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The name of the stack of layers in each project, and the ε of its batch normalization.
const STACKS: [(&str, f32); 2] = [("model", 1e-4), ("dncnn", 1e-5)];

/// The maximum number of layers, activations included.
const MAX_LAYERS: usize = 256;

/// Other networks have fewer convolutions under these names.
const MIN_CONVOLUTIONS: usize = 5;

/// Its first layers are a convolution, an activation and a convolution.
fn stack(weights: &StateDict) -> Option<(&'static str, f32)> {
    let has = |name: String| weights.get(&name).is_some();
    STACKS.into_iter().find(|(name, _)| {
        has(format!("{name}.0.weight"))
            && has(format!("{name}.2.weight"))
            && !has(format!("{name}.1.weight"))
    })
}

pub(super) fn matches(weights: &StateDict) -> bool {
    stack(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let (name, epsilon) = stack(weights).ok_or_else(|| missing("model.0.weight"))?;
    let has = |layer: usize, part: &str| weights.get(&format!("{name}.{layer}.{part}")).is_some();
    let last = (0..MAX_LAYERS).rev().find(|&layer| has(layer, "weight")).unwrap_or(0);
    let inputs = dim(weights, &format!("{name}.0.weight"), 1)?;
    let outputs = dim(weights, &format!("{name}.{last}.weight"), 0)?;
    let mut convolutions = 0;
    for layer in (0..=last).filter(|&layer| has(layer, "weight") && !has(layer, "running_mean")) {
        let weight = format!("{name}.{layer}.weight");
        let size = [dim(weights, &weight, 2)?, dim(weights, &weight, 3)?];
        if size != [3, 3] {
            return Err(wrong_shape(&weight, &size));
        }
        convolutions += 1;
    }
    if convolutions < MIN_CONVOLUTIONS {
        return Err(missing(&format!("{name}.{}.weight", last + 2)));
    }
    let mut net = Network::new(weights, hints, outputs)?;
    let image = net.input();
    let takes_noise_level = inputs == outputs + 1;
    let mut x = if takes_noise_level { net.with_noise_level(&image) } else { image.clone() };
    for layer in 0..=last {
        let layer_name = format!("{name}.{layer}");
        x = if has(layer, "running_mean") {
            net.batch_norm(&x, &layer_name, epsilon)?
        } else if has(layer, "weight") {
            net.conv(&x, &layer_name)?
        } else {
            net.activate(&x, Activation::Relu)
        };
    }
    if takes_noise_level {
        return net.finish(&x);
    }
    // The stack computes the noise.
    let denoised = Features { value: net.graph.sub(&image.value, &x.value), ..x };
    net.finish(&denoised)
}

impl Network<'_> {
    /// The image with one more channel: the noise level of the hints at every position.
    pub(crate) fn with_noise_level(&mut self, image: &Features) -> Features {
        let level = self.noise_level();
        let first = self.graph.slice(&image.value, 1, 0, 1);
        let zero = self.graph.scale(&first, 0.0);
        let value = self.graph.offset(&zero, &[level]);
        self.concat(&[image, &Features { value, channels: 1 }])
    }
}

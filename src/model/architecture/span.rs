//! SPAN (`basicsr/archs/span_arch.py` of hongyuanyu/SPAN), with merged branches.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The mean R′G′B′, which is subtracted unless there is a weight `no_norm`.
const MEAN: [f32; 3] = [0.4488, 0.4371, 0.4040];

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("conv_cat.weight")
        && (has("block_1.c1_r.sk.weight") || has("block_1.c1_r.eval_conv.weight"))
}

/// The input channels of the convolution `name`, whose branches may be merged in the file.
///
/// # Errors
/// [`BuildError`] if it is missing.
pub(super) fn input_channels(weights: &StateDict, name: &str) -> Result<u64, BuildError> {
    let branch = format!("{name}.sk.weight");
    let merged = format!("{name}.eval_conv.weight");
    dim(weights, if weights.get(&branch).is_some() { &branch } else { &merged }, 1)
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = input_channels(weights, "conv_1")?;
    let mut net = Network::new(weights, hints, channels)?;
    let mut x = net.input();
    if net.has("no_norm") {
        net.ignore("no_norm");
    } else if channels == 3 {
        let value = net.graph.offset(&x.value, &MEAN.map(|mean| -mean));
        x = net.scale(&Features { value, channels }, 255.0);
    } else {
        return Err(BuildError::MeanNeedsColour);
    }
    let first = net.conv3xc(&x, "conv_1")?;
    let (first_block, mut inner) = net.span_block(&first, "block_1", Activation::Silu)?;
    let mut x = first_block.clone();
    for block in 2..=6 {
        (x, inner) = net.span_block(&x, &format!("block_{block}"), Activation::Silu)?;
    }
    let last = net.conv3xc(&x, "conv_2")?;
    let all = net.concat(&[&first, &last, &first_block, &inner]);
    let x = net.conv(&all, "conv_cat")?;
    let x = net.conv(&x, "upsampler.0")?;
    let factor = shuffle_factor(x.channels, channels, "upsampler.0.weight")?;
    let x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

impl Network<'_> {
    /// The output of a block (SPAB), and the output of its first convolution, after the activation:
    /// upstream applies that in place.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn span_block(
        &mut self,
        x: &Features,
        name: &str,
        activation: Activation,
    ) -> Result<(Features, Features), BuildError> {
        let first = self.conv3xc(x, &format!("{name}.c1_r"))?;
        let first = self.activate(&first, activation);
        let second = self.conv3xc(&first, &format!("{name}.c2_r"))?;
        let second = self.activate(&second, activation);
        let third = self.conv3xc(&second, &format!("{name}.c3_r"))?;
        let attention = self.graph.sigmoid(&third.value);
        let attention = self.graph.offset(&attention, &[-0.5]);
        let sum = self.add(&third, x, name)?;
        let value = self.graph.mul(&sum.value, &attention);
        Ok((Features { value, ..sum }, first))
    }
}

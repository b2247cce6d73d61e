//! FBCNN (`models/network_fbcnn.py` of jiaxi-jiang/FBCNN): a U-Net against JPEG artefacts, which
//! estimates the quality factor of the image and adapts its blocks to it.

use super::{
    Hints,
    activation::Activation,
    drunet::{RESIDUAL, convolutions, residual},
    error::BuildError,
    kair_unet::{Blocks, DEPTH, Place},
    network::{Features, Network, dim, missing},
};
use crate::model::{Border, Graph, checkpoint::StateDict};

/// The sides of images must be multiples of this.
const MULTIPLE: u32 = 8;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("m_body_encoder.0.res.0.weight") && has("qf_pred.0.res.0.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "m_head.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.input();
    let padded = net.pad_to_multiple(&image, MULTIPLE, 0, Border::Edge);
    let start = net.conv(&padded, "m_head")?;
    let plain =
        Blocks { marker: RESIDUAL, compute: &|net, x, name, _: Place| residual(net, x, name) };
    let levels = plain.descend(&mut net, &start)?;
    let deepest = levels.last().unwrap_or(&start);
    let (encoded, _) = plain.run(&mut net, deepest, ("m_body_encoder", 0), DEPTH)?;
    let quality = quality(&mut net, &plain, &encoded)?;
    let adaptations = (1..=DEPTH)
        .map(|up| Adaptation::of(&mut net, &quality, up))
        .collect::<Result<Vec<_>, _>>()?;
    let (x, _) = plain.run(&mut net, &encoded, ("m_body_decoder", 0), DEPTH)?;
    let adapted = Blocks {
        marker: RESIDUAL,
        compute: &|net, x, name, at: Place| {
            let adaptation = adaptations.get(at.level).ok_or_else(|| missing(name))?;
            let inner = convolutions(net, x, name)?;
            let inner = net.mul(&adaptation.factor, &inner);
            let inner = net.add(&inner, &adaptation.offset, name)?;
            net.add(x, &inner, name)
        },
    };
    let x = adapted.ascend(&mut net, &x, &levels)?;
    let x = net.conv(&x, "m_tail")?;
    let x = net.crop_like(&x, &image, 1);
    net.finish(&x)
}

/// What the quality of the image does to the blocks of one level: N×C×1×1 each.
struct Adaptation {
    factor: Features,
    offset: Features,
}

impl Adaptation {
    /// The adaptation of `m_up1`, `m_up2` or `m_up3`, from the embedding of the quality factor.
    fn of(net: &mut Network<'_>, quality: &Features, up: usize) -> Result<Self, BuildError> {
        let factor = net.linear(quality, &format!("to_gamma_{up}.0"))?;
        let factor = net.sigmoid(&factor);
        let offset = net.linear(quality, &format!("to_beta_{up}.0"))?;
        let offset = net.activate(&offset, Activation::Tanh);
        Ok(Self { factor: net.image_of(&factor), offset: net.image_of(&offset) })
    }
}

/// The embedding of the quality factor of the image, from its deepest features: N×1×1×C.
fn quality(
    net: &mut Network<'_>,
    blocks: &Blocks<'_>,
    x: &Features,
) -> Result<Features, BuildError> {
    let (x, pool) = blocks.run(net, x, ("qf_pred", 0), DEPTH)?;
    let mean = net.global_mean(&x);
    let mut x = net.tokens_of(&mean);
    // After the mean and the flattening, every second layer is an activation.
    for layer in [pool + 2, pool + 4] {
        x = net.linear(&x, &format!("qf_pred.{layer}"))?;
        x = net.activate(&x, Activation::Relu);
    }
    x = net.linear(&x, &format!("qf_pred.{}", pool + 6))?;
    x = net.sigmoid(&x);
    for layer in [0, 2, 4] {
        x = net.linear(&x, &format!("qf_embed.{layer}"))?;
        x = net.activate(&x, Activation::Relu);
    }
    Ok(x)
}

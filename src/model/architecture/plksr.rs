//! PLKSR and RealPLKSR (`dslisleedh/PLKSR`; `realplksr_arch.py` of neosr): convolutions with large
//! kernels on a part of the channels.

use super::{
    Hints, dysample,
    error::BuildError,
    network::{Features, Network, dim, shuffle_factor},
};
use crate::model::{Graph, checkpoint::StateDict};

/// The groups of the normalization, which the weights do not tell.
const GROUPS: u64 = 4;

/// The layer that mixes channels: PLKSR's name has a letter missing upstream.
const MIXERS: [&str; 2] = ["channel_mixer", "channe_mixer"];

fn mixer(weights: &StateDict) -> Option<&'static str> {
    MIXERS.into_iter().find(|mixer| weights.get(&format!("feats.1.{mixer}.0.weight")).is_some())
}

pub(super) fn matches(weights: &StateDict) -> bool {
    weights.get("feats.1.lk.conv.weight").is_some() && mixer(weights).is_some()
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let mixer = mixer(weights).unwrap_or(MIXERS[0]);
    let is_real = mixer == MIXERS[0];
    let channels = dim(weights, "feats.0.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let input = net.input();
    let mut x = net.conv(&input, "feats.0")?;
    let blocks = (1..).take_while(|block| net.has(&format!("feats.{block}.refine.weight"))).count();
    for block in 1..=blocks {
        let name = format!("feats.{block}");
        let start = x.clone();
        let layer_norm = format!("{name}.layer_norm");
        if net.has(&format!("{layer_norm}.weight")) {
            x = net.layer_norm_2d(&x, &layer_norm, 1e-6)?;
        }
        x = net.conv(&x, &format!("{name}.{mixer}.0"))?;
        x = if is_real { net.mish(&x) } else { net.gelu(&x) };
        x = net.conv(&x, &format!("{name}.{mixer}.2"))?;
        x = large_kernel(&mut net, &x, &format!("{name}.lk.conv"))?;
        let attention = format!("{name}.attn.f.0");
        if net.has(&format!("{attention}.weight")) {
            let gate = net.conv(&x, &attention)?;
            let gate = net.sigmoid(&gate);
            x = net.mul(&x, &gate);
        }
        x = net.conv(&x, &format!("{name}.refine"))?;
        let norm = format!("{name}.norm");
        if net.has(&format!("{norm}.weight")) {
            x = net.group_norm(&x, &norm, GROUPS)?;
        }
        x = net.add(&x, &start, &name)?;
    }
    // RealPLKSR has a Dropout between.
    let last = format!("feats.{}", if is_real { blocks + 2 } else { blocks + 1 });
    let x = net.conv(&x, &last)?;
    let factor = shuffle_factor(x.channels, channels, &last)?;
    // Each channel, factor² times.
    let order: Vec<i64> = (0..channels.cast_signed())
        .flat_map(|channel| std::iter::repeat_n(channel, (factor * factor) as usize))
        .collect();
    let base = if factor == 1 {
        input.clone()
    } else {
        let order = net.graph.constant_i64("repeat", &order);
        let axis = [("axis", crate::model::Attribute::Int(1))];
        let value = net.graph.push("Gather", &[&input.value, &order], axis);
        Features { value, channels: x.channels }
    };
    let x = net.add(&x, &base, &last)?;
    let x = if net.has("to_img.init_pos") {
        let upsampler = dysample::factor(weights, "to_img")?;
        net.dysample(&x, "to_img", upsampler)?
    } else {
        net.shuffle(&x, factor)?
    };
    net.finish(&x)
}

/// The convolution `name` on the first channels; the others stay.
fn large_kernel(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let channels = net.tensor(&format!("{name}.weight"), 4)?.dims.get(1).copied().unwrap_or(0);
    if channels == 0 || channels >= x.channels {
        return net.conv(x, name);
    }
    let parts = net.split_at(&x.value, 1, &[channels, x.channels - channels]);
    let [first, rest] = parts.as_slice() else { return net.conv(x, name) };
    let first = net.conv(&Features { value: first.clone(), channels }, name)?;
    let rest = Features { value: rest.clone(), channels: x.channels - channels };
    Ok(net.concat(&[&first, &rest]))
}

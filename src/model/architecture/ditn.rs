//! DITN (`models/DITN_Real.py` of yongliuy/DITN): attention between the channels of each patch, then
//! convolutions with large kernels over the image.

use super::{
    Hints,
    activation::Activation,
    attention::Windows,
    error::BuildError,
    network::{Features, Network, dim, missing, shuffle_factor},
};
use crate::model::{Graph, Window, checkpoint::StateDict};

/// The side of patches, which the weights do not determine.
const PATCH: u32 = 8;

/// The channels of the output, whatever the input has.
const OUTPUTS: u64 = 3;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("sft.weight") && has("UFONE.0.ITLs.0.attn.temperature")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let channels = dim(weights, "sft.weight", 1)?;
    let mut net = Network::between(weights, hints, channels, OUTPUTS)?;
    let image = net.input();
    let start = net.conv(&image, "sft")?;
    let mut x = start.clone();
    for group in net.numbered("UFONE.{}.ITLs.0.attn.temperature") {
        for block in net.numbered(&format!("UFONE.{group}.ITLs.{{}}.attn.temperature")) {
            let name = format!("UFONE.{group}.ITLs.{block}");
            let inner = activated(&mut net, &x, &format!("{name}.conv1"))?;
            let inner = between_channels(&mut net, &inner, &format!("{name}.attn"))?;
            x = net.add(&x, &inner, &name)?;
            let inner = activated(&mut net, &x, &format!("{name}.conv2"))?;
            let inner = gated(&mut net, &inner, &format!("{name}.ffn"), Extent::Patch)?;
            x = net.add(&x, &inner, &name)?;
        }
        for block in net.numbered(&format!("UFONE.{group}.SALs.{{}}.SDA.scale")) {
            let name = format!("UFONE.{group}.SALs.{block}");
            let inner = activated(&mut net, &x, &format!("{name}.conv1"))?;
            x = spatial(&mut net, &x, &inner, &format!("{name}.SDA"))?;
            let inner = activated(&mut net, &x, &format!("{name}.conv2"))?;
            let inner = gated(&mut net, &inner, &format!("{name}.ffn"), Extent::Image)?;
            x = net.add(&x, &inner, &name)?;
        }
    }
    let x = net.conv(&x, "conv_after_body")?;
    let x = net.add(&x, &start, "conv_after_body")?;
    let x = net.conv(&x, "upsample.0")?;
    let factor = shuffle_factor(x.channels, OUTPUTS, "upsample.0")?;
    let x = net.shuffle(&x, factor)?;
    net.finish(&x)
}

/// The pointwise convolution `name` of the hyperbolic tangent.
fn activated(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let x = net.activate(x, Activation::Tanh);
    net.conv(&x, name)
}

/// Attention between the channels of each patch (ISA).
fn between_channels(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let patches = Windows::square(PATCH);
    let temperature = format!("{name}.temperature");
    if net.heads_of_temperature(&temperature, x.channels)? != 1 {
        return Err(missing(&temperature));
    }
    let tokens = net.tokens_of(x);
    let inside = net.windowed(&tokens, patches);
    let parts = net.query_key_value(&inside, &format!("{name}.qkv"))?;
    let parts = parts.map(|part| net.transpose(&part.value, &[0, 1, 2, 4, 3]));
    let mixed = net.mix_channels(&parts, &temperature, &[0, 1, 2, 4, 3])?;
    let value = net.transpose(&mixed, &[0, 1, 2, 4, 3]);
    let mixed = net.unwindowed(&Features { value, ..*x }, patches, &tokens);
    let mixed = net.image_of(&mixed);
    net.conv(&mixed, &format!("{name}.project_out"))
}

/// What lies within the reach of a convolution.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Each patch by itself: zeros surround it.
    Patch,
    Image,
}

/// A depthwise convolution of two halves, of which one is the gate of the other.
fn gated(
    net: &mut Network<'_>,
    x: &Features,
    name: &str,
    extent: Extent,
) -> Result<Features, BuildError> {
    let wide = net.conv(x, &format!("{name}.project_in"))?;
    let convolution = format!("{name}.dwconv");
    let filtered = match extent {
        Extent::Image => net.depthwise(&wide, &convolution)?,
        Extent::Patch => {
            let apart = net.patches_apart(&wide);
            let filtered = net.depthwise(&apart, &convolution)?;
            net.patches_together(&filtered, &wide)
        }
    };
    let half = filtered.channels / 2;
    let parts = net.split_at(&filtered.value, 1, &[half, filtered.channels - half]);
    let [first, second] = parts.as_slice() else { return Err(missing(name)) };
    let gate = net.gelu(&Features { value: first.clone(), channels: half });
    let gated = net.mul(&gate, &Features { value: second.clone(), channels: half });
    net.conv(&gated, &format!("{name}.project_out"))
}

/// Attention from convolutions with large kernels (SDA) of `inner`, scaled and added to `x`.
fn spatial(
    net: &mut Network<'_>,
    x: &Features,
    inner: &Features,
    name: &str,
) -> Result<Features, BuildError> {
    let wide = net.conv(inner, &format!("{name}.proj_first.0"))?;
    let half = wide.channels / 2;
    let parts = net.split_at(&wide.value, 1, &[half, wide.channels - half]);
    let [first, second] = parts.as_slice() else { return Err(missing(name)) };
    let gate = Features { value: first.clone(), channels: half };
    let gate = net.depthwise(&gate, &format!("{name}.DConvs.0"))?;
    let group = u32::try_from(gate.channels).unwrap_or(u32::MAX);
    let sparse = Window { stride: [1; 2], pads: [9; 4], dilation: [3; 2], group };
    let gate = net.conv_window(&gate, &format!("{name}.DConvs.1"), sparse)?;
    let gate = net.conv(&gate, &format!("{name}.DConvs.2"))?;
    let gated = net.mul(&Features { value: second.clone(), channels: half }, &gate);
    let gated = net.conv(&gated, &format!("{name}.proj_last.0"))?;
    net.add_scaled(x, &gated, &format!("{name}.scale"))
}

impl Network<'_> {
    /// The image with a sample of zeros around each patch.
    fn patches_apart(&mut self, x: &Features) -> Features {
        let patches = self.patch_counts(x);
        let split = self.split_sides(&x.value, &patches, PATCH);
        let pads = self.graph.constant_i64("pads", &[0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1]);
        let padded = self.graph.push("Pad", &[&split, &pads], []);
        Features { value: self.join_sides(&padded, &patches, PATCH + 2), ..*x }
    }

    /// The reverse of [`Self::patches_apart`], for an image with the rows and columns of `like`.
    fn patches_together(&mut self, x: &Features, like: &Features) -> Features {
        let patches = self.patch_counts(like);
        let split = self.split_sides(&x.value, &patches, PATCH + 2);
        let inner = self.graph.slice(&split, 3, 1, -1);
        let inner = self.graph.slice(&inner, 5, 1, -1);
        Features { value: self.join_sides(&inner, &patches, PATCH), ..*x }
    }

    /// The rows and columns of patches of the image N×C×H×W.
    fn patch_counts(&mut self, x: &Features) -> [String; 2] {
        [2, 3].map(|axis| {
            let length = self.lengths(&x.value, axis..axis + 1);
            let side = self.graph.constant_i64("side", &[PATCH.into()]);
            self.graph.push("Div", &[&length, &side], [])
        })
    }

    /// N×C×(R·side)×(K·side) as N×C×R×side×K×side.
    fn split_sides(&mut self, x: &str, [rows, columns]: &[String; 2], side: u32) -> String {
        let side = self.graph.constant_i64("side", &[side.into()]);
        let first = self.lengths(x, 0..2);
        let shape = self.graph.concat(&[&first, rows, &side, columns, &side], 0);
        self.graph.push("Reshape", &[x, &shape], [])
    }

    /// The reverse of [`Self::split_sides`].
    fn join_sides(&mut self, x: &str, [rows, columns]: &[String; 2], side: u32) -> String {
        let side = self.graph.constant_i64("side", &[side.into()]);
        let first = self.lengths(x, 0..2);
        let [height, width] = [rows, columns].map(|count| self.graph.mul(count, &side));
        let shape = self.graph.concat(&[&first, &height, &width], 0);
        self.graph.push("Reshape", &[x, &shape], [])
    }
}

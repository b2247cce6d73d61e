//! Real-CUGAN (`upcunet_v3.py` of bilibili/ailab): two U-Nets without padding, one after the
//! other. Both its factors 2, 3, 4 and its small 2× network.

use super::{
    Hints,
    activation::Activation,
    error::BuildError,
    network::{Features, Network, dim},
};
use crate::model::{Border, Graph, Window, checkpoint::StateDict};

const LEAKY: Activation = Activation::LeakyRelu(0.1);

/// The range of `pro` networks: 0..=1 is 0.15..=0.85.
const PRO: [f32; 2] = [0.7, 0.15];

/// The samples that the second U-Net crops from each side.
const CROP: i64 = 20;

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("unet1.conv1.conv.0.weight")
        && has("unet2.conv1.conv.0.weight")
        && has("unet1.conv_bottom.weight")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let inputs = dim(weights, "unet1.conv1.conv.0.weight", 1)?;
    let bottom = dim(weights, "unet1.conv_bottom.weight", 2)?;
    let is_final = weights.get("conv_final.weight").is_some();
    let is_small = inputs == 12;
    // Factor, samples around the image, multiple of the sides.
    let (factor, margin, multiple) = match (is_final, bottom) {
        (true, _) if is_small => (2, 38, 2),
        (true, _) => (4, 19, 2),
        (false, 5) => (3, 14, 4),
        (false, _) => (2, 18, 2),
    };
    let mut net = Network::new(weights, hints, if is_small { inputs / 4 } else { inputs })?;
    let is_pro = net.has("pro");
    net.ignore("pro");
    let input = net.input();
    let mut start = input.clone();
    if is_pro {
        let [range, low] = PRO;
        start = net.scale(&start, range);
        start = Features { value: net.graph.offset(&start.value, &[low]), ..start };
    }
    let mut x = net.pad_to_multiple(&start, multiple, margin, Border::Reflect);
    if is_small {
        let value = net.graph.space_to_depth(&x.value, 2, input.channels as u32);
        x = Features { value, channels: inputs };
    }
    let first = first_net(&mut net, &x, bottom)?;
    let second = second_net(&mut net, &first)?;
    let cropped = crop(&mut net, &first, CROP);
    let mut x = net.add(&second, &cropped, "unet2")?;
    if is_final {
        x = net.conv_window(&x, "conv_final", Window::default())?;
        x = crop(&mut net, &x, 1);
        x = net.shuffle(&x, 2)?;
    }
    x = net.crop_like(&x, &input, factor);
    if is_final {
        let base = net.nearest(&start, factor);
        x = net.add(&x, &base, "conv_final")?;
    }
    if is_pro {
        let [range, low] = PRO;
        x = Features { value: net.graph.offset(&x.value, &[-low]), ..x };
        x = net.scale(&x, 1.0 / range);
    }
    net.finish(&x)
}

fn crop(net: &mut Network<'_>, x: &Features, margin: i64) -> Features {
    Features { value: net.graph.pad(&x.value, [-margin; 4], Border::Zero), ..*x }
}

fn strided() -> Window {
    Window { stride: [2; 2], ..Window::default() }
}

/// Two convolutions without padding, and channel attention if it has weights.
fn double(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let x = net.conv_window(x, &format!("{name}.conv.0"), Window::default())?;
    let x = net.activate(&x, LEAKY);
    let x = net.conv_window(&x, &format!("{name}.conv.2"), Window::default())?;
    let x = net.activate(&x, LEAKY);
    let attention = format!("{name}.seblock");
    if !net.has(&format!("{attention}.conv1.weight")) {
        return Ok(x);
    }
    let gate = net.global_mean(&x);
    let gate = net.conv(&gate, &format!("{attention}.conv1"))?;
    let gate = net.activate(&gate, Activation::Relu);
    let gate = net.conv(&gate, &format!("{attention}.conv2"))?;
    let gate = net.sigmoid(&gate);
    Ok(net.mul(&x, &gate))
}

fn down(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let x = net.conv_window(x, name, strided())?;
    Ok(net.activate(&x, LEAKY))
}

fn up(net: &mut Network<'_>, x: &Features, name: &str) -> Result<Features, BuildError> {
    let x = net.conv_transpose(x, name, strided())?;
    Ok(net.activate(&x, LEAKY))
}

/// The U-Net of one step, which enlarges by its last layer.
fn first_net(net: &mut Network<'_>, x: &Features, bottom: u64) -> Result<Features, BuildError> {
    let large = double(net, x, "unet1.conv1")?;
    let small = down(net, &large, "unet1.conv1_down")?;
    let small = double(net, &small, "unet1.conv2")?;
    let small = up(net, &small, "unet1.conv2_up")?;
    let large = crop(net, &large, 4);
    let x = net.add(&large, &small, "unet1.conv2_up")?;
    let x = net.conv_window(&x, "unet1.conv3", Window::default())?;
    let x = net.activate(&x, LEAKY);
    let window = match bottom {
        5 => Window { stride: [3; 2], pads: [2; 4], ..Window::default() },
        _ => Window { stride: [2; 2], pads: [3; 4], ..Window::default() },
    };
    net.conv_transpose(&x, "unet1.conv_bottom", window)
}

/// The U-Net of two steps.
fn second_net(net: &mut Network<'_>, x: &Features) -> Result<Features, BuildError> {
    let large = double(net, x, "unet2.conv1")?;
    let middle = down(net, &large, "unet2.conv1_down")?;
    let middle = double(net, &middle, "unet2.conv2")?;
    let small = down(net, &middle, "unet2.conv2_down")?;
    let small = double(net, &small, "unet2.conv3")?;
    let small = up(net, &small, "unet2.conv3_up")?;
    let middle = crop(net, &middle, 4);
    let middle = net.add(&middle, &small, "unet2.conv3_up")?;
    let middle = double(net, &middle, "unet2.conv4")?;
    let middle = up(net, &middle, "unet2.conv4_up")?;
    let large = crop(net, &large, 16);
    let x = net.add(&large, &middle, "unet2.conv4_up")?;
    let x = net.conv_window(&x, "unet2.conv5", Window::default())?;
    let x = net.activate(&x, LEAKY);
    net.conv_window(&x, "unet2.conv_bottom", Window::default())
}

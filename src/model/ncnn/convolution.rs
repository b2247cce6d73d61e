//! Layers with kernels, and the activations that ncnn folds into them.

use super::{
    extent::Extent,
    net::{Blob, Net},
    param::Layer,
};
use crate::model::{Window, fault::Fault};

/// What Convolution, Deconvolution and their depthwise forms have in common.
struct Kernel {
    outputs: u32,
    size: [u32; 2],
    window: Window,
    bias: bool,
    weights: usize,
}

impl Kernel {
    fn of(layer: &Layer) -> Result<Self, Fault> {
        let two = |first: i32, second: i32, default| {
            let width = layer.size(first, default)?;
            Ok([layer.size(second, width)?, width])
        };
        let kernel = Self {
            outputs: layer.size(0, 0)?,
            size: two(1, 11, 0)?,
            window: Window {
                stride: two(3, 13, 1)?,
                pads: pads(layer)?,
                dilation: two(2, 12, 1)?,
                group: if layer.kind.contains("DepthWise") { layer.size(7, 1)? } else { 1 },
            },
            bias: layer.int(5, 0)? != 0,
            weights: usize::try_from(layer.int(6, 0)?)
                .map_err(|_| layer.damaged("has fewer than no weights"))?,
        };
        let Window { stride, dilation, group, .. } = kernel.window;
        if [[kernel.outputs, group], kernel.size, dilation, stride].as_flattened().contains(&0) {
            return Err(layer.damaged("a kernel, stride, dilation or count of 0"));
        }
        if !kernel.outputs.is_multiple_of(group) {
            return Err(layer.damaged("its outputs do not divide into its groups"));
        }
        Ok(kernel)
    }

    /// Samples that the kernel spans: height, width.
    fn span(&self) -> [u32; 2] {
        std::array::from_fn(|i| (self.size[i] - 1) * self.window.dilation[i] + 1)
    }

    /// Kernel and bias, the kernel as (outputs, inputs / groups, height, width).
    fn load(&self, layer: &Layer, x: &Blob, net: &mut Net) -> Result<(Vec<f32>, Bias), Fault> {
        let inputs = inputs(layer)?;
        if inputs != x.channels {
            return Err(layer.damaged(format_args!(
                "its weights are for {inputs} channels, its input has {}",
                x.channels
            )));
        }
        let weights = net.weights.tagged(self.weights)?;
        let bias = if self.bias { Some(net.weights.plain(self.outputs as usize)?) } else { None };
        Ok((weights, bias))
    }
}

type Bias = Option<Vec<f32>>;

/// How many channels the weights of `layer`, one with a kernel, are for.
pub fn inputs(layer: &Layer) -> Result<u32, Fault> {
    let kernel = Kernel::of(layer)?;
    let area = u64::from(kernel.size[0]) * u64::from(kernel.size[1]);
    let each = area * u64::from(kernel.outputs / kernel.window.group);
    let weights = kernel.weights as u64;
    let whole = weights > 0 && weights.is_multiple_of(each * u64::from(kernel.window.group));
    let inputs = whole.then(|| u32::try_from(weights / each).ok()).flatten();
    inputs.ok_or_else(|| {
        layer.damaged(format_args!("{weights} weights do not divide into its kernels"))
    })
}

/// Top, left, bottom, right; −233 and −234 mean "the input's size" by TensorFlow's and by
/// ONNX's lower rule.
fn pads(layer: &Layer) -> Result<[u32; 4], Fault> {
    if !matches!(layer.int(4, 0)?, -233 | -234) {
        let left = layer.size(4, 0)?;
        let top = layer.size(14, left)?;
        return Ok([top, left, layer.size(16, top)?, layer.size(15, left)?]);
    }
    let total = |size: i32, dilation: i32| {
        let (size, dilation) = (layer.size(size, 0)?, layer.size(dilation, 1)?);
        Ok(size.saturating_sub(1).saturating_mul(dilation))
    };
    let strided = layer.size(3, 1)? != 1 || layer.has(13) && layer.size(13, 1)? != 1;
    if strided || layer.kind.starts_with("Deconvolution") {
        return Err(layer.unsuitable("pads by the size of the picture"));
    }
    let width = total(1, 2)?;
    let height = if layer.has(11) { total(11, if layer.has(12) { 12 } else { 2 })? } else { width };
    let (top, left) = (height / 2, width / 2);
    Ok(match layer.int(4, 0)? {
        -233 => [top, left, height - top, width - left],
        _ => [height - top, width - left, top, left],
    })
}

/// Convolution and ConvolutionDepthWise.
pub fn convolution(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    if layer.int(19, 0)? != 0 || layer.int(8, 0)? != 0 {
        return Err(layer.unsuitable("has weights made on the way or of 8 bits"));
    }
    if layer.float(18, 0.0)? != 0.0 {
        return Err(layer.unsuitable("pads with something other than 0"));
    }
    let x = net.input(layer)?;
    let kernel = Kernel::of(layer)?;
    let (weights, bias) = kernel.load(layer, &x, net)?;
    let [top, left, bottom, right] = kernel.window.pads;
    let [tall, wide] = kernel.span();
    let side = |side: Extent, pads: u32, span, stride| {
        side.longer(pads.into()).windows(span, stride).map_err(|_| too_small(layer))
    };
    let height = side(x.height, top + bottom, tall, kernel.window.stride[0])?;
    let width = side(x.width, left + right, wide, kernel.window.stride[1])?;
    let dims = [kernel.outputs, x.channels / kernel.window.group, kernel.size[0], kernel.size[1]];
    let (weights, bias) = constants(net, dims, &weights, bias);
    let value = net.graph.conv(&x.value, &weights, bias.as_deref(), kernel.window);
    let blob = Blob { value, channels: kernel.outputs, height, width };
    activation(layer, net, blob)
}

/// Deconvolution and DeconvolutionDepthWise.
pub fn deconvolution(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    if layer.int(28, 0)? != 0 || layer.int(20, 0)? != 0 || layer.int(21, 0)? != 0 {
        return Err(layer.unsuitable("has weights made on the way or a fixed output size"));
    }
    let x = net.input(layer)?;
    let kernel = Kernel::of(layer)?;
    let (weights, bias) = kernel.load(layer, &x, net)?;
    let more_right = layer.size(18, 0)?;
    let more_bottom = layer.size(19, more_right)?;
    let [top, left, bottom, right] = kernel.window.pads.map(i64::from);
    let [tall, wide] = kernel.span();
    let height = x.height.covered(tall, kernel.window.stride[0])?;
    let width = x.width.covered(wide, kernel.window.stride[1])?;
    let height = height.longer(i64::from(more_bottom) - top - bottom);
    let width = width.longer(i64::from(more_right) - left - right);
    // ncnn keeps (group, output, input, y, x), ONNX (group, input, output, y, x).
    let area = (kernel.size[0] * kernel.size[1]) as usize;
    let ins = (x.channels / kernel.window.group) as usize;
    let outs = (kernel.outputs / kernel.window.group) as usize;
    let mut turned = Vec::with_capacity(weights.len());
    for group in weights.chunks_exact(area * ins * outs) {
        for i in 0..ins {
            for kernel in group.chunks_exact(area).skip(i).step_by(ins) {
                turned.extend_from_slice(kernel);
            }
        }
    }
    let dims = [x.channels, kernel.outputs / kernel.window.group, kernel.size[0], kernel.size[1]];
    let (weights, bias) = constants(net, dims, &turned, bias);
    let more = [more_bottom, more_right];
    let value = net.graph.conv_transpose(&x.value, &weights, bias.as_deref(), kernel.window, more);
    let blob = Blob { value, channels: kernel.outputs, height, width };
    activation(layer, net, blob)
}

/// The names of a kernel's and its bias's constants.
fn constants(
    net: &mut Net,
    dims: [u32; 4],
    weights: &[f32],
    bias: Bias,
) -> (String, Option<String>) {
    let weights = net.graph.constant_f32("weight", &dims.map(u64::from), weights);
    let bias = bias.map(|bias| net.graph.constant_f32("bias", &[bias.len() as u64], &bias));
    (weights, bias)
}

/// InnerProduct on a vector: a convolution of one sample.
pub fn inner_product(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    if layer.int(8, 0)? != 0 {
        return Err(layer.unsuitable("has weights of 8 bits"));
    }
    let x = net.input(layer)?;
    if !x.is_vector() {
        return Err(layer.unsuitable("takes whole pictures, so only of one size"));
    }
    let outputs = layer.size(0, 0)?;
    let wanted = u64::from(outputs) * u64::from(x.channels);
    if outputs == 0 || u64::try_from(layer.int(2, 0)?) != Ok(wanted) {
        return Err(layer.damaged(format_args!(
            "has {} weights for {} inputs and {outputs} outputs",
            layer.int(2, 0)?,
            x.channels
        )));
    }
    let weights = net.weights.tagged(wanted as usize)?;
    let bias =
        if layer.int(1, 0)? != 0 { Some(net.weights.plain(outputs as usize)?) } else { None };
    let dims = [outputs, x.channels, 1, 1];
    let (weights, bias) = constants(net, dims, &weights, bias);
    let value = net.graph.conv(&x.value, &weights, bias.as_deref(), Window::default());
    let blob = Blob { value, channels: outputs, ..x };
    activation(layer, net, blob)
}

/// The activation that a layer's parameters 9 and 10 add to it.
fn activation(layer: &Layer, net: &mut Net, x: Blob) -> Result<Blob, Fault> {
    let params = layer.floats(10);
    let value = match (layer.int(9, 0)?, params.as_slice()) {
        (0, _) => return Ok(x),
        (1, _) => net.graph.relu(&x.value),
        (2, &[slope]) => net.graph.leaky_relu(&x.value, slope),
        (3, &[least, most]) => net.graph.clip(&x.value, least, most),
        (4, _) => net.graph.sigmoid(&x.value),
        (kind, params) => {
            return Err(layer.unsuitable(format_args!("activation {kind} with {params:?}")));
        }
    };
    Ok(x.with(value))
}

fn too_small(layer: &Layer) -> Fault {
    layer.damaged("its kernel does not fit its input")
}

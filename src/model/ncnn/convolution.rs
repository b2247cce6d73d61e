//! Layers with kernels, and the activations that ncnn merges into them.

use super::{
    extent::Extent,
    net::{Blob, Net},
    param::Layer,
};
use crate::model::{Window, fault::Fault};

/// The parameter ids of Convolution, Deconvolution and their depthwise forms.
mod id {
    pub(crate) const OUTPUTS: i32 = 0;
    pub(crate) const KERNEL_WIDTH: i32 = 1;
    pub(crate) const DILATION_WIDTH: i32 = 2;
    pub(crate) const STRIDE_WIDTH: i32 = 3;
    pub(crate) const PAD_LEFT: i32 = 4;
    pub(crate) const BIAS: i32 = 5;
    pub(crate) const WEIGHTS: i32 = 6;
    pub(crate) const GROUP: i32 = 7;
    pub(crate) const INT8_SCALE: i32 = 8;
    pub(crate) const KERNEL_HEIGHT: i32 = 11;
    pub(crate) const DILATION_HEIGHT: i32 = 12;
    pub(crate) const STRIDE_HEIGHT: i32 = 13;
    pub(crate) const PAD_TOP: i32 = 14;
    pub(crate) const PAD_RIGHT: i32 = 15;
    pub(crate) const PAD_BOTTOM: i32 = 16;
}

/// The values of [`id::PAD_LEFT`] that mean TensorFlow's `SAME_UPPER` and ONNX's `SAME_LOWER`.
const SAME_UPPER: i32 = -233;
const SAME_LOWER: i32 = -234;

/// The parameters that Convolution, Deconvolution and their depthwise forms share.
struct Kernel {
    outputs: u32,
    /// Height, width.
    size: [u32; 2],
    window: Window,
    has_bias: bool,
    /// The number of weights.
    weights: usize,
}

impl Kernel {
    fn of(layer: &Layer) -> Result<Self, Fault> {
        let pair = |width: i32, height: i32, default| -> Result<[u32; 2], Fault> {
            let width = layer.size(width, default)?;
            Ok([layer.size(height, width)?, width])
        };
        let is_depthwise = layer.kind.contains("DepthWise");
        let kernel = Self {
            outputs: layer.size(id::OUTPUTS, 0)?,
            size: pair(id::KERNEL_WIDTH, id::KERNEL_HEIGHT, 0)?,
            window: Window {
                stride: pair(id::STRIDE_WIDTH, id::STRIDE_HEIGHT, 1)?,
                pads: pads(layer)?,
                dilation: pair(id::DILATION_WIDTH, id::DILATION_HEIGHT, 1)?,
                group: if is_depthwise { layer.size(id::GROUP, 1)? } else { 1 },
            },
            has_bias: layer.int(id::BIAS, 0)? != 0,
            weights: usize::try_from(layer.int(id::WEIGHTS, 0)?)
                .map_err(|_| layer.damaged("has a negative number of weights"))?,
        };
        let Window { stride, dilation, group, .. } = kernel.window;
        if [[kernel.outputs, group], kernel.size, dilation, stride].as_flattened().contains(&0) {
            return Err(
                layer.damaged("has an output count, group, kernel, dilation or stride of 0")
            );
        }
        if !kernel.outputs.is_multiple_of(group) {
            return Err(layer.damaged("its outputs cannot be divided into its groups"));
        }
        Ok(kernel)
    }

    /// The samples that the dilated kernel spans: height, width.
    fn span(&self) -> [u32; 2] {
        let [height, width] = self.size;
        let [dilation_height, dilation_width] = self.window.dilation;
        [(height - 1) * dilation_height + 1, (width - 1) * dilation_width + 1]
    }

    /// Reads the kernel as (outputs, inputs / group, height, width), and the bias.
    fn load(&self, layer: &Layer, x: &Blob, net: &mut Net) -> Result<(Vec<f32>, Bias), Fault> {
        let inputs = inputs(layer)?;
        if inputs != x.channels {
            return Err(layer.damaged(format_args!(
                "expects {inputs} input channels, but gets {}",
                x.channels
            )));
        }
        let weights = net.weights.tagged(self.weights)?;
        Ok((weights, bias(self.has_bias, self.outputs, net)?))
    }
}

/// One number for each output channel; `None` for no bias.
type Bias = Option<Vec<f32>>;

fn bias(has_bias: bool, outputs: u32, net: &mut Net) -> Result<Bias, Fault> {
    has_bias.then(|| net.weights.untagged(outputs as usize)).transpose()
}

/// The number of input channels of `layer`, which has a kernel, according to its weights.
pub(super) fn inputs(layer: &Layer) -> Result<u32, Fault> {
    let kernel = Kernel::of(layer)?;
    let [height, width] = kernel.size.map(u64::from);
    let per_input = height * width * u64::from(kernel.outputs / kernel.window.group);
    let weights = kernel.weights as u64;
    let divides = weights > 0 && weights.is_multiple_of(per_input * u64::from(kernel.window.group));
    let inputs = divides.then(|| u32::try_from(weights / per_input).ok()).flatten();
    inputs.ok_or_else(|| {
        layer.damaged(format_args!("its {weights} weights cannot be divided into its kernels"))
    })
}

/// Top, left, bottom, right.
fn pads(layer: &Layer) -> Result<[u32; 4], Fault> {
    let mode = layer.int(id::PAD_LEFT, 0)?;
    if !matches!(mode, SAME_UPPER | SAME_LOWER) {
        let left = layer.size(id::PAD_LEFT, 0)?;
        let top = layer.size(id::PAD_TOP, left)?;
        return Ok([top, left, layer.size(id::PAD_BOTTOM, top)?, layer.size(id::PAD_RIGHT, left)?]);
    }
    let total = |size: i32, dilation: i32| -> Result<u32, Fault> {
        let (size, dilation) = (layer.size(size, 0)?, layer.size(dilation, 1)?);
        Ok(size.saturating_sub(1).saturating_mul(dilation))
    };
    let is_strided = layer.size(id::STRIDE_WIDTH, 1)? != 1
        || layer.has(id::STRIDE_HEIGHT) && layer.size(id::STRIDE_HEIGHT, 1)? != 1;
    if is_strided || layer.kind.starts_with("Deconvolution") {
        return Err(layer.unsuitable("its padding depends on the size of the image"));
    }
    let width = total(id::KERNEL_WIDTH, id::DILATION_WIDTH)?;
    let height = if layer.has(id::KERNEL_HEIGHT) {
        let dilation =
            if layer.has(id::DILATION_HEIGHT) { id::DILATION_HEIGHT } else { id::DILATION_WIDTH };
        total(id::KERNEL_HEIGHT, dilation)?
    } else {
        width
    };
    let (top, left) = (height / 2, width / 2);
    let (bottom, right) = (height - top, width - left);
    Ok(if mode == SAME_UPPER { [top, left, bottom, right] } else { [bottom, right, top, left] })
}

/// Convolution and ConvolutionDepthWise.
pub(super) fn convolution(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const PAD_VALUE: i32 = 18;
    const DYNAMIC_WEIGHT: i32 = 19;
    if layer.int(DYNAMIC_WEIGHT, 0)? != 0 {
        return Err(layer.unsuitable("weights that other layers produce are not supported"));
    }
    if layer.int(id::INT8_SCALE, 0)? != 0 {
        return Err(layer.unsuitable("int8 weights are not supported"));
    }
    if layer.float(PAD_VALUE, 0.0)? != 0.0 {
        return Err(layer.unsuitable("padding with a value other than 0 is not supported"));
    }
    let x = net.input(layer)?;
    let kernel = Kernel::of(layer)?;
    let (weights, bias) = kernel.load(layer, &x, net)?;
    let [top, left, bottom, right] = kernel.window.pads;
    let [span_height, span_width] = kernel.span();
    let [stride_height, stride_width] = kernel.window.stride;
    let windows = |side: Extent, pads: u32, span, stride| {
        let windows = side.plus(pads.into()).windows(span, stride);
        windows.map_err(|_| layer.damaged("its kernel is larger than its input"))
    };
    let height = windows(x.height, top + bottom, span_height, stride_height)?;
    let width = windows(x.width, left + right, span_width, stride_width)?;
    let [kernel_height, kernel_width] = kernel.size;
    let dims = [kernel.outputs, x.channels / kernel.window.group, kernel_height, kernel_width];
    let (weights, bias) = constants(net, dims, &weights, bias);
    let value = net.graph.conv(&x.value, &weights, bias.as_deref(), kernel.window);
    let blob = Blob { value, channels: kernel.outputs, height, width };
    activation(layer, net, blob)
}

/// Deconvolution and DeconvolutionDepthWise.
pub(super) fn deconvolution(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const OUTPUT_PAD_RIGHT: i32 = 18;
    const OUTPUT_PAD_BOTTOM: i32 = 19;
    const OUTPUT_WIDTH: i32 = 20;
    const OUTPUT_HEIGHT: i32 = 21;
    const DYNAMIC_WEIGHT: i32 = 28;
    if layer.int(DYNAMIC_WEIGHT, 0)? != 0 {
        return Err(layer.unsuitable("weights that other layers produce are not supported"));
    }
    if layer.int(OUTPUT_WIDTH, 0)? != 0 || layer.int(OUTPUT_HEIGHT, 0)? != 0 {
        return Err(layer.unsuitable("a fixed output size is not supported"));
    }
    let x = net.input(layer)?;
    let kernel = Kernel::of(layer)?;
    let (weights, bias) = kernel.load(layer, &x, net)?;
    let pad_right = layer.size(OUTPUT_PAD_RIGHT, 0)?;
    let pad_bottom = layer.size(OUTPUT_PAD_BOTTOM, pad_right)?;
    let [top, left, bottom, right] = kernel.window.pads.map(i64::from);
    let [span_height, span_width] = kernel.span();
    let [stride_height, stride_width] = kernel.window.stride;
    let height = x.height.covered(span_height, stride_height)?;
    let width = x.width.covered(span_width, stride_width)?;
    let height = height.plus(i64::from(pad_bottom) - top - bottom);
    let width = width.plus(i64::from(pad_right) - left - right);
    let [kernel_height, kernel_width] = kernel.size;
    let outputs = kernel.outputs / kernel.window.group;
    let inputs = x.channels / kernel.window.group;
    let area = kernel_height as usize * kernel_width as usize;
    let weights = swap_inputs_and_outputs(&weights, area, inputs as usize, outputs as usize);
    let dims = [x.channels, outputs, kernel_height, kernel_width];
    let (weights, bias) = constants(net, dims, &weights, bias);
    let output_pads = [pad_bottom, pad_right];
    let value =
        net.graph.conv_transpose(&x.value, &weights, bias.as_deref(), kernel.window, output_pads);
    let blob = Blob { value, channels: kernel.outputs, height, width };
    activation(layer, net, blob)
}

/// From ncnn's order (group, output, input, y, x) to ONNX's (group, input, output, y, x).
fn swap_inputs_and_outputs(
    weights: &[f32],
    area: usize,
    inputs: usize,
    outputs: usize,
) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(weights.len());
    for group in weights.chunks_exact((area * inputs * outputs).max(1)) {
        for input in 0..inputs {
            for kernel in group.chunks_exact(area.max(1)).skip(input).step_by(inputs.max(1)) {
                swapped.extend_from_slice(kernel);
            }
        }
    }
    swapped
}

/// Adds a kernel and its bias; returns the names of the constants.
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

/// InnerProduct of a vector: a convolution of a 1×1 image.
pub(super) fn inner_product(layer: &Layer, net: &mut Net) -> Result<Blob, Fault> {
    const OUTPUTS: i32 = 0;
    const BIAS: i32 = 1;
    const WEIGHTS: i32 = 2;
    const INT8_SCALE: i32 = 8;
    if layer.int(INT8_SCALE, 0)? != 0 {
        return Err(layer.unsuitable("int8 weights are not supported"));
    }
    let x = net.input(layer)?;
    if !x.is_vector() {
        return Err(layer.unsuitable("supports only one image size"));
    }
    let outputs = layer.size(OUTPUTS, 0)?;
    let expected = u64::from(outputs) * u64::from(x.channels);
    if outputs == 0 || u64::try_from(layer.int(WEIGHTS, 0)?) != Ok(expected) {
        return Err(layer.damaged(format_args!(
            "has {} weights for {} inputs and {outputs} outputs",
            layer.int(WEIGHTS, 0)?,
            x.channels
        )));
    }
    let weights = net.weights.tagged(expected as usize)?;
    let bias = bias(layer.int(BIAS, 0)? != 0, outputs, net)?;
    let (weights, bias) = constants(net, [outputs, x.channels, 1, 1], &weights, bias);
    let value = net.graph.conv(&x.value, &weights, bias.as_deref(), Window::default());
    let blob = Blob { value, channels: outputs, ..x };
    activation(layer, net, blob)
}

/// Adds the activation that is merged into `layer`.
fn activation(layer: &Layer, net: &mut Net, x: Blob) -> Result<Blob, Fault> {
    const KIND: i32 = 9;
    const PARAMETERS: i32 = 10;
    let parameters = layer.floats(PARAMETERS);
    let value = match (layer.int(KIND, 0)?, parameters.as_slice()) {
        (0, _) => return Ok(x),
        (1, _) => net.graph.relu(&x.value),
        (2, &[slope]) => net.graph.leaky_relu(&x.value, slope),
        (3, &[min, max]) => net.graph.clip(&x.value, min, max),
        (4, _) => net.graph.sigmoid(&x.value),
        (kind, parameters) => {
            return Err(layer.unsuitable(format_args!(
                "the activation {kind} with parameters {parameters:?} is not supported"
            )));
        }
    };
    Ok(x.with(value))
}

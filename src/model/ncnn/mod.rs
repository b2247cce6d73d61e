//! ncnn models: a `.param` file with the layers and a `.bin` file with the weights.

mod bin;
mod convolution;
mod extent;
mod layers;
mod net;
mod param;
mod spatial;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use bytes::Bytes;

use self::{
    bin::Weights,
    extent::Extent,
    net::{Blob, Net},
    param::Layer,
};
use super::{Border, Error, Graph, bounded_file, fault::Fault};

/// The largest `.param` file in bytes, far above those of published models.
const MAX_PARAM_SIZE: u64 = 16 << 20;
/// The largest `.bin` file in bytes.
const MAX_BIN_SIZE: u64 = 2 << 30;
/// The maximum number of samples, on each side of the output, that a network crops.
const MAX_MARGIN: i64 = 1024;

/// Reads the model to which `path`, a `.param` or a `.bin` file, belongs. The other file has the
/// same name with the other extension.
///
/// # Errors
/// [`Error::Unsuitable`] if the other file is missing or a layer is not supported;
/// [`Error::Damaged`] if the files violate the format or do not belong together.
pub fn read(path: &Path) -> Result<Graph, Error> {
    let (text, weights) = (path.with_extension("param"), path.with_extension("bin"));
    for half in [&text, &weights] {
        if !half.is_file() {
            let why = format!(
                "an ncnn model consists of a .param and a .bin file; {} is missing",
                half.display()
            );
            return Err(Error::Unsuitable { path: path.into(), why });
        }
    }
    let param = bounded_file::read(&text, MAX_PARAM_SIZE)?;
    let bin = bounded_file::read(&weights, MAX_BIN_SIZE)?;
    let param = str::from_utf8(&param).map_err(|_| {
        Fault::damaged("it is not a text file; binary .param files are not supported").at(&text)
    })?;
    parse(param, bin).map_err(|fault| fault.at(path))
}

/// Reads a model from the contents of its two files. The graph follows the contract of
/// [`crate::model`].
///
/// # Errors
/// See [`read`].
pub fn parse(param: &str, bin: Bytes) -> Result<Graph, Fault> {
    let layers = param::parse(param)?;
    let channels = input_channels(&layers)?;
    let (graph, output) = build(&layers, bin.clone(), channels, 0)?;
    let margin = margin(&output)?;
    if margin == 0 && output.height == output.width && output.height.offset == 0 {
        return Ok(graph);
    }
    let (mut graph, output) = build(&layers, bin, channels, margin)?;
    if output.height.offset != 0 || output.width.offset != 0 {
        return Err(Fault::unsuitable("it crops by a margin that is not the same on all sides"));
    }
    if adds_enlarged_input(&layers) {
        let factor = output.height.factor().unwrap_or(1) as f32;
        let input = graph.input.clone();
        let enlarged = graph.resize_nearest(&input, [factor; 2]);
        let sum = graph.add(&output.value, &enlarged);
        graph.set_output(&sum);
    }
    Ok(graph)
}

/// The samples of the input, on each side, that the network crops. Applications add them by
/// repeating the border samples (waifu2x_preproc.comp).
fn margin(output: &Blob) -> Result<u32, Fault> {
    let (height, width) = (output.height, output.width);
    let Some(factor) = height.factor().filter(|_| height == width) else {
        return Err(Fault::unsuitable(
            "it does not scale height and width by the same whole factor",
        ));
    };
    let lost = -height.offset;
    let both = 2 * i64::from(factor);
    if lost % both != 0 {
        return Err(Fault::unsuitable(format!(
            "its output at ×{factor} lacks {lost} samples, which is not an even multiple of the factor"
        )));
    }
    u32::try_from(lost / both).ok().filter(|&margin| i64::from(margin) <= MAX_MARGIN).ok_or_else(
        || {
            Fault::unsuitable(format!(
                "its output differs by {lost} samples from a multiple of its input"
            ))
        },
    )
}

/// Builds the graph of `layers`, with `margin` samples added to the input on each side.
fn build(layers: &[Layer], bin: Bytes, channels: u32, margin: u32) -> Result<(Graph, Blob), Fault> {
    let graph = Graph::new(channels.into());
    let side = Extent::input(0);
    let input = Blob { value: graph.input.clone(), channels, height: side, width: side };
    let mut net = Net { graph, weights: Weights::new(bin), blobs: HashMap::new() };
    let input = match margin {
        0 => input,
        _ => spatial::pad(&mut net, input, [margin.into(); 4], Border::Edge),
    };
    let consumed: HashSet<&String> = layers.iter().flat_map(|layer| &layer.inputs).collect();
    let mut output = None;
    let mut seen = false;
    for layer in layers {
        if layer.kind == layers::INPUT {
            let ([name], false) = (layer.outputs.as_slice(), seen) else {
                return Err(Fault::unsuitable("it has more than one input"));
            };
            seen = true;
            net.blobs.insert(name.clone(), input.clone());
            continue;
        }
        layers::add(layer, &mut net)?;
        output = layer.outputs.iter().rfind(|&name| !consumed.contains(name)).or(output);
    }
    net.weights.finish()?;
    let output = output.and_then(|name| net.blobs.remove(name));
    let output = output.ok_or_else(|| Fault::damaged("no layer produces an output"))?;
    if output.channels != channels {
        return Err(Fault::unsuitable(format!(
            "it has {channels} input channels, but {} output channels",
            output.channels
        )));
    }
    net.graph.set_output(&output.value);
    Ok((net.graph, output))
}

/// The input channels, 1 or 3: as the Input layer says, or else as the first kernel expects.
fn input_channels(layers: &[Layer]) -> Result<u32, Fault> {
    const INPUT_CHANNELS: i32 = 2;
    let mut unshuffled = 1;
    for layer in layers {
        let channels = match layer.kind.as_str() {
            layers::INPUT => layer.size(INPUT_CHANNELS, 0)?,
            "Convolution" | "ConvolutionDepthWise" => convolution::inputs(layer)? / unshuffled,
            "Reorg" => {
                let stride = spatial::reorg_stride(layer)?;
                unshuffled = stride.saturating_mul(stride).max(1);
                continue;
            }
            _ => continue,
        };
        match channels {
            0 => continue,
            1 | 3 => return Ok(channels),
            other => {
                return Err(
                    layer.unsuitable(format_args!("has {other} input channels; expected 1 or 3"))
                );
            }
        }
    }
    Err(Fault::unsuitable("it has no convolution, so it is not an upscaler"))
}

/// Whether this is Real-CUGAN's ×4 network, the only one that ends in a PixelShuffle. Its
/// application adds the input, enlarged by repetition, to the output
/// (realcugan_4x_postproc.comp).
fn adds_enlarged_input(layers: &[Layer]) -> bool {
    let has_input = layers.first().is_some_and(|layer| layer.outputs == ["in0"]);
    let is_last_shuffle = |layer: &Layer| layer.kind == "PixelShuffle" && layer.outputs == ["out0"];
    has_input && layers.last().is_some_and(is_last_shuffle)
}

//! ncnn's models: a `.param` of text and a `.bin` of weights, side by side.

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
use super::{Border, Error, Graph, fault::Fault};

/// No published `.param` comes near.
const MOST_TEXT: u64 = 16 << 20;
const MOST_WEIGHTS: u64 = 2 << 30;

/// Reads the model that `path`, a `.param` or a `.bin`, is one half of; the other lies beside
/// it under the same stem.
///
/// # Errors
/// [`Error::Unsuitable`] where the other half is missing, or a layer is not known;
/// [`Error::Damaged`] where the halves break the format or do not belong together.
pub fn read(path: &Path) -> Result<Graph, Error> {
    let (text, weights) = (path.with_extension("param"), path.with_extension("bin"));
    for half in [&text, &weights] {
        if !half.is_file() {
            let why = format!(
                "an ncnn model is a .param and a .bin side by side: put {} there too",
                half.display()
            );
            return Err(Error::Unsuitable { path: path.into(), why });
        }
    }
    let param = load(&text, MOST_TEXT)?;
    let bin = load(&weights, MOST_WEIGHTS)?;
    let param = str::from_utf8(&param)
        .map_err(|_| Fault::damaged("it is no text: is it the binary kind of .param?").at(&text))?;
    parse(param, bin.into()).map_err(|fault| fault.at(path))
}

fn load(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let meta = std::fs::metadata(path).map_err(io)?;
    // Opening a pipe would wait for someone to write to it.
    if !meta.is_file() {
        return Err(Error::Unknown { path: path.into(), why: "it is no plain file".into() });
    }
    let size = meta.len();
    if size > most {
        return Err(Fault::damaged(format!("{size} bytes: {most} is the most")).at(path));
    }
    std::fs::read(path).map_err(io)
}

/// The graph of a model from its two halves, in the contract's form: R′G′B′ or Y′ of 0..1 in
/// and out, the output a whole multiple of the input's size.
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

/// Samples of the input around each output picture that the network crops away: its own
/// applications give it so much more, the frame's border samples repeated
/// (waifu2x_preproc.comp).
fn margin(output: &Blob) -> Result<u32, Fault> {
    let (height, width) = (output.height, output.width);
    let Some(factor) = height.factor().filter(|_| height == width) else {
        return Err(Fault::unsuitable("it does not enlarge both sides by the same whole factor"));
    };
    let lost = -height.offset;
    let both = 2 * i64::from(factor);
    if lost % both != 0 {
        return Err(Fault::unsuitable(format!("its output lacks {lost} samples of ×{factor}")));
    }
    u32::try_from(lost / both)
        .ok()
        .filter(|&margin| margin <= 1024)
        .ok_or_else(|| Fault::unsuitable(format!("its output has {} samples too many", -lost)))
}

/// Turns `layers` into a graph whose input has `margin` samples more on each side.
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
        if layer.kind == "Input" {
            let ([name], false) = (layer.outputs.as_slice(), seen) else {
                return Err(Fault::unsuitable("it takes more than one picture"));
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
    let output = output.ok_or_else(|| Fault::damaged("no layer makes a picture"))?;
    if output.channels != channels {
        return Err(Fault::unsuitable(format!(
            "it makes {} channels of {channels}",
            output.channels
        )));
    }
    net.graph.set_output(&output.value);
    Ok((net.graph, output))
}

/// 1 or 3: as the input layer says, else what the first kernel is for.
fn input_channels(layers: &[Layer]) -> Result<u32, Fault> {
    let mut unshuffled = 1;
    for layer in layers {
        let channels = match layer.kind.as_str() {
            "Input" => layer.size(2, 0)?,
            "Convolution" | "ConvolutionDepthWise" => convolution::inputs(layer)? / unshuffled,
            "Reorg" => {
                unshuffled = layer.size(0, 1)?.saturating_mul(layer.size(0, 1)?).max(1);
                continue;
            }
            _ => continue,
        };
        match channels {
            0 => continue,
            1 | 3 => return Ok(channels),
            other => {
                return Err(layer.unsuitable(format_args!("takes {other} channels, not 1 or 3")));
            }
        }
    }
    Err(Fault::unsuitable("it has no convolution: it is no upscaler"))
}

/// Whether this is Real-CUGAN's ×4, whose application adds the input, enlarged by repetition,
/// to the network's picture (realcugan_4x_postproc.comp): its network alone ends in a shuffle.
fn adds_enlarged_input(layers: &[Layer]) -> bool {
    let input = layers.first().is_some_and(|layer| layer.outputs == ["in0"]);
    let shuffled = |layer: &Layer| layer.kind == "PixelShuffle" && layer.outputs == ["out0"];
    input && layers.last().is_some_and(shuffled)
}

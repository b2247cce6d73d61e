//! `models convert`: writes any readable model as an ONNX file.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use gstupscale::{
    backend,
    model::{Element, Layout, Model, OpenOptions},
};

use super::Error;
use crate::{
    arguments::{self, Expected},
    part_file::{self, Force, PartFile},
};

const EXAMPLES: &str = "\
Examples:
  gst-upscale models convert RealESRGAN_x4plus.pth x4plus.onnx
  gst-upscale models convert builtin small.onnx --half --size 640x360";

/// Write a model as an ONNX file.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Name of a model in the catalogue, or path of a model file.
    model: String,
    /// The file to write.
    output: PathBuf,
    #[command(flatten)]
    force: Force,
    /// Store weights and compute in half precision; input and output stay float32.
    #[arg(long)]
    half: bool,
    /// Fix the number of frames per batch [default: any].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Option<u32>,
    /// Fix the input size in pixels, as WIDTHxHEIGHT [default: any].
    #[arg(long, value_parser = size)]
    size: Option<(u32, u32)>,
}

fn size(text: &str) -> Result<(u32, u32), Expected> {
    arguments::size(text)
        .filter(|(width, height)| (1..=32768).contains(width) && (1..=32768).contains(height))
        .ok_or_else(|| Expected("WIDTHxHEIGHT, for example 640x360".into()))
}

/// # Errors
/// The model cannot be opened, it does not support the requested size or batch, or the output
/// cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { model: name, output, force, half, batch, size } = arguments;
    part_file::check(Path::new(name), output, force.if_exists())?;
    let model = backend::open(name, &OpenOptions::default())?;
    check(&model, arguments)?;
    let element = if *half { Element::F16 } else { Element::F32 };
    let layout = Layout { element, batch: *batch, size: *size, ..Layout::default() };
    let bytes = model.onnx_with_weights(layout)?;
    let part = PartFile::create(output)?;
    part.file()
        .write_all(&bytes)
        .map_err(|error| part_file::Error::Write { path: output.clone(), why: error.kind() })?;
    part.finish(force.if_exists())?;
    Ok(say!("wrote {}: {} bytes", output.display(), bytes.len())?)
}

/// Checks that the model can be written as requested.
fn check(model: &Model, arguments: &Arguments) -> Result<(), Error> {
    let info = &model.info;
    if let Some((width, height)) = arguments.size {
        if let Some(fixed) = info.fixed_size
            && fixed != (width, height)
        {
            return Err(Error::FixedSize { width: fixed.0, height: fixed.1 });
        }
        let (align, min) = (info.align.max(1), info.min_side);
        if [width, height].iter().any(|side| side % align != 0 || *side < min) {
            return Err(Error::Size { align, min });
        }
    }
    if arguments.batch.is_some_and(|batch| batch > 1) && !info.batch {
        return Err(Error::Batch);
    }
    match sidecars(&arguments.output).into_iter().find(|file| file.is_file()) {
        Some(file) => Err(Error::Sidecar(file)),
        None => Ok(()),
    }
}

/// The files whose settings are applied when `output` is opened as a model.
fn sidecars(output: &Path) -> [PathBuf; 2] {
    let mut appended = output.file_name().unwrap_or_default().to_owned();
    appended.push(".toml");
    [output.with_file_name(appended), output.with_extension("toml")]
}

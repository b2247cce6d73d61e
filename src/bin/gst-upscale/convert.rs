//! `models convert`.

use std::{
    error::Error,
    io::{self, Write as _},
    path::Path,
};

use gstupscale::model::{
    Element, Model,
    onnx::{self, Layout},
};

use crate::part_file::{self, PartFile};

#[derive(clap::Args)]
pub struct Arguments {
    /// Weights and arithmetic in half precision; input and output stay float32.
    #[arg(long)]
    half: bool,
    /// Frames a batch; any number if not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch: Option<u32>,
    /// The only input size, as WIDTHxHEIGHT; any if not given.
    #[arg(long, value_parser = size)]
    size: Option<(u32, u32)>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text
        .split_once('x')
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|(width, height)| (1..=32768).contains(width) && (1..=32768).contains(height))
        .ok_or_else(|| "wanted is WIDTHxHEIGHT, such as 640x360".into())
}

pub fn convert(name: &str, output: &Path, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    part_file::check(output)?;
    let model = Model::open(name)?;
    let element = if arguments.half { Element::F16 } else { Element::F32 };
    let layout =
        Layout { element, batch: arguments.batch, size: arguments.size, ..Layout::default() };
    let bytes = match (&model.graph, &model.external) {
        // Weights that lie in other files come along.
        (Some(graph), Some(_)) => onnx::write(graph, layout)?,
        (None, Some(_)) => return Err(
            "the model keeps its weights in other files and has operators that cannot be rewritten"
                .into(),
        ),
        _ => model.onnx_at(layout)?,
    };
    let part = PartFile::create(output)?;
    let failed =
        |error: io::Error| part_file::Error::Write { path: output.into(), why: error.kind() };
    part.file().write_all(&bytes).map_err(failed)?;
    part.finish(true)?;
    Ok(say!("{}: {} bytes", output.display(), bytes.len())?)
}

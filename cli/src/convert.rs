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
    /// Write over OUTPUT where it is there already.
    #[arg(short, long)]
    force: bool,
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

/// Whether what is asked for is what the output will be.
fn check(model: &Model, output: &Path, arguments: &Arguments) -> Result<(), String> {
    let info = &model.info;
    if let Some((width, height)) = arguments.size {
        let sides = [width, height];
        if let Some((width, height)) = info.fixed_size.filter(|fixed| *fixed != (width, height)) {
            return Err(format!("the model takes {width}x{height} pixels and nothing else"));
        }
        if sides.iter().any(|side| side % info.align.max(1) != 0 || *side < info.min_side) {
            let (align, least) = (info.align, info.min_side);
            return Err(format!("the model takes multiples of {align}, at least {least} pixels"));
        }
    }
    if arguments.batch.is_some_and(|batch| batch > 1) && !info.batch {
        return Err("the model takes one picture at a time: leave out --batch".into());
    }
    // They are in the output itself.
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let beside = output.with_file_name(format!("{name}.toml"));
    for settings in [beside, output.with_extension("toml")] {
        if settings.is_file() {
            return Err(format!(
                "{} would be taken for the output's, which has its settings inside: name another \
                 output",
                settings.display()
            ));
        }
    }
    Ok(())
}

pub fn convert(name: &str, output: &Path, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    part_file::check(output)?;
    if part_file::is_same(Path::new(name), output) {
        return Err(format!("{name} is both model and output: name another output").into());
    }
    if output.symlink_metadata().is_ok() && !arguments.force {
        let output = output.display();
        return Err(format!("{output} is there already: give --force to write over it").into());
    }
    let model = Model::open(name)?;
    check(&model, output, arguments)?;
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
    part.finish(arguments.force)?;
    Ok(say!("{}: {} bytes", output.display(), bytes.len())?)
}

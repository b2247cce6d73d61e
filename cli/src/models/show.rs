//! `models show`, or `models info`: what the catalogue and the file itself say about one model.

use gstupscale::{
    backend,
    frame::Channels,
    model::{Description, Model, ModelInfo, OpenOptions, catalogue},
};

use super::{Error, list};
use crate::print;

const EXAMPLES: &str = "\
Examples:
  gst-upscale models show builtin
  gst-upscale models show RealESRGAN_x4plus.pth";

/// Show the architecture, licence, size rules and cost of a model.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Name of a model in the catalogue, or path of a model file.
    model: String,
}

/// # Errors
/// The model cannot be opened, or standard output cannot be written.
pub fn run(Arguments { model: name }: &Arguments) -> Result<(), Error> {
    if let Some(entry) = catalogue::find(name) {
        say!("name                {}", entry.name)?;
        say!("architecture        {}", entry.architecture)?;
        say!("purpose             {}: {}", list::purpose(entry.purpose), entry.about)?;
        say!("licence             {}", entry.licence)?;
        if let (Some(url), Some(sum)) = (&entry.url, &entry.sha256) {
            say!("URL                 {url}")?;
            say!("SHA-256             {sum}")?;
        }
        say!("installed           {}", list::installed(entry))?;
        if !entry.is_here() {
            say!("factor              {}x", entry.factor)?;
            return Ok(());
        }
    }
    let model = backend::open(name, &OpenOptions::default())?;
    if catalogue::find(name).is_none() {
        print_description(&model)?;
    }
    Ok(print_info(&model.info)?)
}

/// Prints what the model's file says about itself.
fn print_description(model: &Model) -> Result<(), print::Error> {
    let Description { architecture, statements } = &*model.description;
    if let Some(name) = architecture {
        say!("architecture        {name}")?;
    }
    for (label, text) in statements {
        say!("{label:<19} {text}")?;
    }
    if model.info.factor == 1 {
        say!("purpose             restoration: the size stays the same")?;
    }
    if !statements.iter().any(|(label, _)| *label == "licence") {
        say!("licence             not stated in the file")?;
    }
    Ok(())
}

/// Prints what the model's graph says about its input, its output and its cost.
///
/// # Errors
/// See [`print::Error`].
pub fn print_info(info: &ModelInfo) -> Result<(), print::Error> {
    say!("factor              {}x", info.factor)?;
    say!("channels            {}", channels(info.channels))?;
    match info.halo {
        Some(halo) => say!("receptive field     {0}x{0} pixels (halo {halo})", 2 * halo + 1)?,
        None => say!("receptive field     unbounded: every frame is computed whole")?,
    }
    match info.fixed_size {
        Some((width, height)) => say!("input size          {width}x{height} only")?,
        None => {
            say!("input size          multiples of {}, at least {}", info.align, info.min_side)?
        }
    }
    say!("parameters          {}", info.parameters)?;
    say!("multiply-adds       {:.0} per input pixel", info.macs_per_pixel)?;
    say!("working memory      {:.0} bytes per input pixel", info.peak_floats_per_pixel * 4.0)
}

fn channels(channels: Channels) -> &'static str {
    match channels {
        Channels::Luma => "luma",
        Channels::Rgb => "R'G'B'",
    }
}

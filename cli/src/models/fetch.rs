//! `models fetch`: downloads models of the catalogue.

use gstupscale::model::catalogue;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Error, download::Download};

const EXAMPLES: &str = "\
Example:
  gst-upscale models fetch realesr-animevideov3

An interrupted download resumes when the command is run again.";

/// Download models by name into the user's data directory.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Names from `gst-upscale models list`.
    #[arg(required = true)]
    names: Vec<String>,
}

/// # Errors
/// [`Error::Unknown`], [`Error::NoDataDirectory`], [`Error::Download`] or [`Error::Print`].
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    arguments.names.iter().try_for_each(|name| fetch(name))
}

/// Downloads one model and shows the progress. An installed model is left as it is.
fn fetch(name: &str) -> Result<(), Error> {
    let unknown = || Error::Unknown { name: name.into(), known: catalogue::names() };
    let entry = catalogue::find(name).ok_or_else(unknown)?;
    let (Some(url), Some(sha256)) = (&entry.url, &entry.sha256) else {
        say!("{} is built in", entry.name)?;
        return Ok(());
    };
    let path = entry.path().ok_or(Error::NoDataDirectory)?;
    if path.is_file() {
        say!("{} is already installed: {}", entry.name, path.display())?;
        return Ok(());
    }
    let bar = ProgressBar::new(entry.size.unwrap_or(0));
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
    {
        bar.set_style(style);
    }
    bar.set_message(entry.name.clone());
    let mut progress = |done, total| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    };
    let download = Download { url, sha256, size: entry.size };
    download.to(&path, &mut progress)?;
    bar.finish_and_clear();
    say!("downloaded {}: {}", entry.name, path.display())?;
    Ok(())
}

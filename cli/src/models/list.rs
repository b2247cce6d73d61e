//! `models list`: the catalogue as a table.

use gstupscale::model::catalogue::{self, Entry, Purpose};

use crate::print;

const EXAMPLES: &str = "\
Example:
  gst-upscale models list";

/// List the models of the catalogue.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {}

/// # Errors
/// See [`print::Error`].
pub fn run() -> Result<(), print::Error> {
    say!(
        "{:<28} {:>6} {:<12} {:>9}  {:<18} INSTALLED",
        "NAME",
        "FACTOR",
        "PURPOSE",
        "SIZE",
        "LICENCE"
    )?;
    for entry in catalogue::entries() {
        say!(
            "{:<28} {:>6} {:<12} {:>9}  {:<18} {}",
            entry.name,
            format!("{}x", entry.factor),
            purpose(entry.purpose),
            entry.size.map_or("-".into(), |size| format!("{:.1} MB", size as f64 / 1e6)),
            entry.licence,
            installed(entry),
        )?;
    }
    Ok(())
}

/// The content that the model was trained for.
pub fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Photo => "photo",
        Purpose::Anime => "anime",
        Purpose::General => "general",
        Purpose::Restoration => "restoration",
    }
}

/// Whether the model can be used without a download.
pub fn installed(entry: &Entry) -> &'static str {
    match (&entry.url, entry.is_here()) {
        (None, _) => "built in",
        (_, true) => "yes",
        (_, false) => "no",
    }
}

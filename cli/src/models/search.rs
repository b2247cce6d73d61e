//! `models search`: models of a local copy of OpenModelDB.

use std::path::PathBuf;

use super::{
    Error,
    open_model_db::{self, Entry},
};
use crate::print;

const EXAMPLES: &str = "\
Examples:
  gst-upscale models search --index models.json anime --factor 2
  gst-upscale models search --index open-model-database 1x-DeH264-realplksr

models.json is https://openmodeldb.info/api/v1/models.json. A single match is shown in full, with the
addresses of its files.";

/// Search a local copy of OpenModelDB for models.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// OpenModelDB's models.json, or a checkout of its repository.
    #[arg(long, value_name = "PATH")]
    index: PathBuf,
    /// Only models with this factor.
    #[arg(long)]
    factor: Option<u32>,
    /// Words that must all be in the name, author, tags, architecture or description.
    words: Vec<String>,
}

/// # Errors
/// The index cannot be read, no model matches, or standard output cannot be written.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { index, factor, words } = arguments;
    let (models, failed) = open_model_db::read(index)?;
    for error in failed {
        warn!("{error}");
    }
    let found: Vec<(&String, &Entry)> = models
        .iter()
        .filter(|(id, entry)| {
            factor.is_none_or(|factor| entry.scale == factor) && entry.matches(id, words)
        })
        .collect();
    match found.as_slice() {
        [] => Err(Error::NoMatch(models.len())),
        [(id, entry)] => Ok(show(id, entry)?),
        _ => Ok(list(&found)?),
    }
}

fn list(found: &[(&String, &Entry)]) -> Result<(), print::Error> {
    say!(
        "{:<44} {:>6} {:<14} {:<18} {:<10} OPENS",
        "NAME",
        "FACTOR",
        "ARCHITECTURE",
        "LICENCE",
        "DATE"
    )?;
    for (id, entry) in found {
        say!(
            "{:<44} {:>6} {:<14} {:<18} {:<10} {}",
            plain(id),
            format!("{}x", entry.scale),
            plain(&entry.architecture),
            plain(entry.license.as_deref().unwrap_or("not stated")),
            plain(&entry.date),
            yes_or_no(entry.opens()),
        )?;
    }
    Ok(())
}

fn show(id: &str, entry: &Entry) -> Result<(), print::Error> {
    say!("name                {}", plain(id))?;
    say!("author              {}", plain(&entry.authors()))?;
    say!("architecture        {}", plain(&entry.architecture))?;
    say!("opens               {}", yes_or_no(entry.opens()))?;
    say!("factor              {}x", entry.scale)?;
    say!("tags                {}", plain(&entry.tags.join(", ")))?;
    say!("licence             {}", plain(entry.license.as_deref().unwrap_or("not stated")))?;
    say!("date                {}", plain(&entry.date))?;
    for file in &entry.resources {
        let size = file.size.map_or(String::new(), |size| format!(", {:.1} MB", size as f64 / 1e6));
        say!("file                {}{size}", plain(&file.kind))?;
        for url in &file.urls {
            say!("  URL               {}", plain(url))?;
        }
        if let Some(sum) = &file.sha256 {
            say!("  SHA-256           {}", plain(sum))?;
        }
    }
    say!("")?;
    entry.description.lines().try_for_each(|line| say!("{}", plain(line)))
}

fn yes_or_no(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Text of the index without the control characters that change a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

//! `gst-upscale models`: the catalogue, downloads and model files.

mod check;
mod convert;
mod download;
mod error;
mod fetch;
mod list;
mod open_model_db;
mod search;
mod show;

use std::process::ExitCode;

pub use error::Error;

/// List, search, download, convert and check models.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List(list::Arguments),
    Search(search::Arguments),
    #[command(visible_alias = "info")]
    Show(show::Arguments),
    Fetch(fetch::Arguments),
    Convert(convert::Arguments),
    Check(check::Arguments),
}

/// # Errors
/// See [`Error`].
pub fn run(command: &Command) -> Result<ExitCode, Error> {
    match command {
        Command::List(list::Arguments {}) => list::run()?,
        Command::Search(arguments) => search::run(arguments)?,
        Command::Show(arguments) => show::run(arguments)?,
        Command::Fetch(arguments) => fetch::run(arguments)?,
        Command::Convert(arguments) => convert::run(arguments)?,
        Command::Check(arguments) => check::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

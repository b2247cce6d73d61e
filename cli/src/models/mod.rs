//! `gst-upscale models`: the catalogue, downloads and model files.

mod check;
mod convert;
mod download;
mod error;
mod fetch;
mod list;
mod show;

use std::process::ExitCode;

pub use error::Error;

/// List, download, convert and check models.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List(list::Arguments),
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
        Command::Show(arguments) => show::run(arguments)?,
        Command::Fetch(arguments) => fetch::run(arguments)?,
        Command::Convert(arguments) => convert::run(arguments)?,
        Command::Check(arguments) => check::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}

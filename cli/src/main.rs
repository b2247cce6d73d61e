//! The command `gst-upscale`: enlarges video files, manages models, tests and measures the
//! machine it runs on.
//!
//! One folder per subcommand; what several of them need is in the files next to this one.

// Both panic on a write error: use `say!` and `warn!`.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unwrap_used
    )
)]

#[macro_use]
mod print;

mod arguments;
mod bench;
mod borders;
mod cadence;
mod clean;
mod content;
mod crop;
mod edit;
mod error;
mod frame;
mod gstreamer;
mod harness;
mod header;
mod look;
mod machine;
mod media;
mod models;
mod page;
mod part_file;
mod preview;
mod range;
mod remaster;
mod selftest;
mod serve;
mod test_pictures;
mod treatment;
mod upscale;

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  gst-upscale upscale old.mkv new.mkv --scale 2
  gst-upscale models list
  gst-upscale COMMAND --help

Exit status: 0 on success, 1 on failure, 2 for invalid arguments, 130 if stopped by Ctrl-C.";

/// Enlarge video files with Real-ESRGAN and other super-resolution models.
#[derive(Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Upscale(Box<upscale::Arguments>),
    Preview(preview::Arguments),
    Serve(serve::Arguments),
    #[command(hide = true)]
    Still(preview::still::Arguments),
    #[command(subcommand)]
    Remaster(remaster::Command),
    #[command(subcommand)]
    Models(models::Command),
    Selftest(selftest::Arguments),
    Bench(bench::Arguments),
}

/// Why a command failed. Only this file knows the errors of all subcommands.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Error {
    Upscale(#[from] upscale::Error),
    Preview(#[from] preview::Error),
    Serve(#[from] serve::Error),
    Remaster(#[from] remaster::Error),
    Models(#[from] models::Error),
    Machine(#[from] error::Error),
}

impl Error {
    /// Whether the reader of standard output has closed the pipe.
    fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Upscale(upscale::Error::Remaster(
                remaster::Error::Print(error) | remaster::Error::Media(media::Error::Print(error)),
            ))
            | Self::Remaster(
                remaster::Error::Print(error) | remaster::Error::Media(media::Error::Print(error)),
            )
            | Self::Preview(preview::Error::Print(error))
            | Self::Serve(serve::Error::Print(error))
            | Self::Models(models::Error::Print(error))
            | Self::Machine(error::Error::Print(error)) => error.is_broken_pipe(),
            _ => false,
        }
    }
}

/// The status of a process that SIGPIPE ended, as shells report it.
const BROKEN_PIPE: u8 = 141;

fn main() {
    let code = match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) if error.is_broken_pipe() => ExitCode::from(BROKEN_PIPE),
        Err(error) => {
            warn!("{error}");
            ExitCode::FAILURE
        }
    };
    end(code);
}

/// Ends the process without the exit handlers of libraries: threads of runtimes and decoders may still
/// run, and crash when the libraries' data is gone.
fn end(code: ExitCode) -> ! {
    let _ = std::io::stdout().flush();
    let status = (0..=u8::MAX).find(|&status| ExitCode::from(status) == code).unwrap_or(1);
    signal_hook::low_level::exit(status.into())
}

fn run(command: &Command) -> Result<ExitCode, Error> {
    Ok(match command {
        Command::Upscale(arguments) => upscale::run(arguments)?,
        Command::Preview(arguments) => preview::run(arguments)?,
        Command::Serve(arguments) => serve::run(arguments)?,
        Command::Still(arguments) => preview::still::run(arguments)?,
        Command::Remaster(remaster::Command::Plan(arguments)) => {
            let arguments = Box::new(content::resolve_plan(arguments)?);
            remaster::run(&remaster::Command::Plan(arguments))?
        }
        Command::Remaster(command) => remaster::run(command)?,
        Command::Models(command) => models::run(command)?,
        Command::Selftest(arguments) => selftest::run(arguments)?,
        Command::Bench(arguments) => bench::run(arguments)?,
    })
}

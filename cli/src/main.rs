//! `gst-upscale`: videos enlarged, and the models for it, from the command line.

// Those panic where they cannot write.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod print;

mod bench;
mod check;
mod convert;
mod fetch;
mod gstreamer;
mod harness;
mod list;
mod machine;
mod part_file;
mod pictures;
mod selftest;
mod upscale;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Enlarge video with neural networks.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    room: Room,
}

#[derive(Subcommand)]
enum Room {
    /// Enlarge a video file.
    Upscale(upscale::Arguments),
    /// List, fetch, convert and check models.
    #[command(subcommand)]
    Models(Command),
    /// Check on this machine that everything does what it promises.
    Selftest(selftest::Arguments),
    /// Measure frames per second on this machine.
    Bench(bench::Arguments),
}

#[derive(Subcommand)]
enum Command {
    /// List the models that are known by name.
    List,
    /// Say all that is known of a model.
    Show {
        /// A name of the list, or a file.
        model: String,
    },
    /// Fetch models by name, into the user's data folder.
    Fetch {
        /// Names of the list.
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Write a model as an ONNX file.
    Convert {
        /// A name of the list, or a file.
        model: String,
        /// The file to write.
        output: PathBuf,
        #[command(flatten)]
        layout: convert::Arguments,
    },
    /// Run models once, and say what they are and how long they take.
    Check {
        /// Names of the list, or files.
        #[arg(required = true)]
        models: Vec<String>,
        /// Processor threads; 0: all.
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// Side of the picture to run on, in pixels.
        #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
        tile: u32,
    },
}

/// What a shell makes of SIGPIPE.
const CLOSED: u8 = 141;

fn main() -> ExitCode {
    let done = match Arguments::parse().room {
        Room::Upscale(arguments) => upscale::upscale(&arguments),
        Room::Models(command) => models(command).map(|()| ExitCode::SUCCESS),
        Room::Selftest(arguments) => selftest::selftest(&arguments),
        Room::Bench(arguments) => bench::bench(&arguments),
    };
    done.unwrap_or_else(|error| match error.downcast_ref::<print::Error>() {
        Some(error) if error.is_closed() => ExitCode::from(CLOSED),
        _ => {
            warn!("{error}");
            ExitCode::FAILURE
        }
    })
}

fn models(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::List => Ok(list::list()?),
        Command::Show { model } => list::show(&model),
        Command::Fetch { names } => names.iter().try_for_each(|name| fetch::fetch_named(name)),
        Command::Convert { model, output, layout } => convert::convert(&model, &output, &layout),
        Command::Check { models, threads, tile } => check::check(&models, threads, tile),
    }
}

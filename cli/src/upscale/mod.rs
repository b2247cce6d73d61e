//! `gst-upscale upscale`: enlarges a video file and keeps its sound and subtitles.

pub mod container;
pub mod elements;
mod error;
pub mod muxer;
pub mod options;
mod pipeline;
mod progress;
pub mod properties;
pub mod run_state;
pub mod signals;
pub mod streams;

use std::{path::PathBuf, process::ExitCode};

use container::Container;
use options::Options;
use pipeline::{Outcome, Pipeline};

pub use error::Error;

use crate::{
    gstreamer,
    part_file::{self, Force, PartFile},
};

const EXAMPLES: &str = "\
Examples:
  gst-upscale upscale old.mkv new.mkv --scale 2
  gst-upscale upscale old.mp4 new.mkv --height 1080 --model realesr-animevideov3
  gst-upscale upscale old.avi new.mkv --codec ffv1

After Ctrl-C, the part that is finished is kept as new.part.mkv.";

/// Enlarge a video file. Sound and subtitles are kept.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The video to enlarge.
    input: PathBuf,
    /// The file to write: .mp4, .m4v, .mov, .mkv or .webm.
    output: PathBuf,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    video: Options,
}

/// The exit status of a process that SIGINT ended, as shells report it.
const INTERRUPTED: u8 = 130;

/// Enlarges a video. On failure no file is left. After Ctrl-C, the finished part is kept under a
/// name with `.part` in it. If the input is truncated, what could be read is written and the exit
/// code is 1.
///
/// # Errors
/// See [`Error`].
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let Arguments { input, output, force, .. } = arguments;
    if !input.is_file() {
        return Err(Error::NoInput(input.clone()));
    }
    part_file::check(input, output, force.if_exists())?;
    let container = Container::of(output)?;
    let codec = arguments.video.codec(container)?;
    gstreamer::start()?;
    let pipeline = Pipeline::new(input, container, codec, &arguments.video)?;
    // The pipeline catches Ctrl-C from here on, so the unfinished file is always removed or kept
    // on purpose.
    let part = PartFile::create(output)?;
    match pipeline.run(part.file())? {
        Outcome::Complete(frames) => {
            part.finish(force.if_exists())?;
            match say!("wrote {}: {frames}", output.display()) {
                Err(error) if !error.is_broken_pipe() => Err(error.into()),
                _ => Ok(ExitCode::SUCCESS),
            }
        }
        Outcome::Truncated { frames, end, duration } => {
            part.finish(force.if_exists())?;
            warn!(
                "{} ends at {:.1} s, but its header says {:.1} s; it may be truncated or damaged; \
                 the part that could be read was written to {} ({frames})",
                input.display(),
                end.as_secs_f64(),
                duration.as_secs_f64(),
                output.display(),
            );
            Ok(ExitCode::FAILURE)
        }
        Outcome::Stopped(frames) => {
            let kept = part.keep()?;
            // Not to standard output, whose reader Ctrl-C has stopped as well.
            warn!("stopped; the finished part is in {} ({frames})", kept.display());
            Ok(ExitCode::from(INTERRUPTED))
        }
        Outcome::Aborted => Ok(ExitCode::from(INTERRUPTED)),
    }
}

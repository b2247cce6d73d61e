//! `gst-upscale still`: one frame as a picture for a page. The command `serve` runs it, so that a hostile
//! file is not decoded in the server.

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use super::{Error, footage, frame};
use crate::{
    edit::Geometry,
    gstreamer,
    media::signals::Signals,
    part_file::{self, Force, PartFile},
    range,
};

/// Write one frame of a film, or a picture, as JPEG, and print its time in seconds.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    input: PathBuf,
    output: PathBuf,
    #[command(flatten)]
    force: Force,
    /// Time of the frame, in seconds, MM:SS or HH:MM:SS.
    #[arg(long, value_name = "TIME", value_parser = range::time)]
    at: Option<Duration>,
    /// Time of the frame as a share of the film, from 0 to 1.
    #[arg(long, default_value_t = 0.0, conflicts_with = "at")]
    share: f64,
    #[command(flatten)]
    geometry: Geometry,
}

/// Writes the frame.
///
/// # Errors
/// See [`Error`]. Nothing is written then.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let Arguments { input, output, force, at, share, geometry } = arguments;
    part_file::check(input, output, force.if_exists())?;
    gstreamer::start()?;
    let signals = Signals::catch().map_err(Error::Signal)?;
    let (time, frame) = footage::still(input, *at, *share, &signals)?;
    let jpeg = frame::jpeg(&geometry.of_picture(frame::rgb(&frame)?))?;
    let part = PartFile::create(output)?;
    part.complete(|mut file| file.write_all(&jpeg))?;
    part.finish(force.if_exists())?;
    say!("{}", time.as_secs_f64())?;
    Ok(ExitCode::SUCCESS)
}

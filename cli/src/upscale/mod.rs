//! `gst-upscale upscale`: a video file made larger, its sound kept.

mod container;
mod pipeline;
mod progress;
mod properties;
mod signals;
mod streams;

use std::{path::PathBuf, process::ExitCode};

use container::{Codec, Container};
use pipeline::{Outcome, Pipeline};
use properties::Properties;

use crate::{
    gstreamer,
    part_file::{self, PartFile},
};

/// What the command takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The video to enlarge.
    input: PathBuf,
    /// The file to write: .mp4, .m4v, .mov, .mkv or .webm.
    output: PathBuf,
    /// Write over OUTPUT where it is there already.
    #[arg(short, long)]
    force: bool,
    /// Width of the result in pixels; the height follows.
    #[arg(long, value_parser = clap::value_parser!(i32).range(16..=32766))]
    width: Option<i32>,
    /// Height of the result in pixels; the width follows.
    #[arg(long, value_parser = clap::value_parser!(i32).range(16..=32766))]
    height: Option<i32>,
    /// How the video is encoded; the default goes by OUTPUT's extension.
    #[arg(long, value_enum)]
    codec: Option<Codec>,
    /// Constant quality on the codec's own scale, 0 the best (x264 and x265: CRF, VP9: cq-level).
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=63))]
    quality: Option<u32>,
    #[command(flatten)]
    properties: Properties,
}

/// Why a video was not enlarged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no file {0}")]
    NoInput(PathBuf),
    #[error("{0} is there already: give --force to write over it")]
    Exists(PathBuf),
    #[error("{0} is both input and output: name another output")]
    SameFile(PathBuf),
    #[error("{path} ends in none of the extensions known here ({known})")]
    Extension { path: PathBuf, known: String },
    #[error("a .{extension} file does not take {codec:?}: use one of {known}")]
    Codec { codec: Codec, extension: &'static str, known: String },
    #[error("{codec:?} takes even sides only: {pixels} pixels is odd")]
    Odd { codec: Codec, pixels: i32 },
    #[error("--{name} {text}: {why}")]
    Property { name: String, text: String, why: String },
    #[error("{what}: install the GStreamer plugin that has it")]
    Missing { what: String },
    #[error("the pipeline could not be built: {0}")]
    Build(#[from] gst::glib::BoolError),
    #[error(transparent)]
    Output(#[from] part_file::Error),
    /// An element's own words.
    #[error("{0}")]
    Stream(String),
    #[error("Ctrl-C cannot be caught: {0}")]
    Signal(std::io::Error),
}

/// What a shell makes of SIGINT.
const INTERRUPTED: u8 = 130;

/// Enlarges a video. Failure leaves no file; Ctrl-C one that ends where it was pressed, with
/// `.part` in its name; an input that ends too early all that it had, and an exit code of 1.
///
/// # Errors
/// See [`Error`].
pub fn upscale(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Arguments { input, output, .. } = arguments;
    check_paths(arguments)?;
    let container = Container::of(output)?;
    let codec = container.codec(arguments.codec)?;
    for pixels in [arguments.width, arguments.height].into_iter().flatten() {
        if pixels % codec.step() != 0 {
            return Err(Error::Odd { codec, pixels }.into());
        }
    }
    gstreamer::start()?;
    let pipeline = Pipeline::new(input, container, codec, arguments)?;
    // From here on Ctrl-C is caught: nothing is left behind.
    let part = PartFile::create(output)?;
    match pipeline.run(part.file())? {
        Outcome::Complete(frames) => {
            part.finish(arguments.force)?;
            match say!("{}: {frames}", output.display()) {
                Err(error) if !error.is_closed() => Err(error.into()),
                _ => Ok(ExitCode::SUCCESS),
            }
        }
        Outcome::Short { frames, end, duration } => {
            part.finish(arguments.force)?;
            let (input, output) = (input.display(), output.display());
            warn!(
                "{input} says that it lasts {:.1} s, but ends at {:.1} s: it may be cut or damaged; \
                 what there was lies in {output}: {frames}",
                duration.as_secs_f64(),
                end.as_secs_f64(),
            );
            Ok(ExitCode::FAILURE)
        }
        Outcome::Stopped(frames) => {
            let kept = part.keep()?;
            // Ctrl-C ends what reads standard output too.
            warn!("stopped; what was done lies in {}: {frames}", kept.display());
            Ok(ExitCode::from(INTERRUPTED))
        }
        Outcome::Aborted => Ok(ExitCode::from(INTERRUPTED)),
    }
}

fn check_paths(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { input, output, force, .. } = arguments;
    if !input.is_file() {
        return Err(Error::NoInput(input.clone()));
    }
    if part_file::is_same(input, output) {
        return Err(Error::SameFile(output.clone()));
    }
    part_file::check(output)?;
    // A link that leads nowhere is a file too.
    if output.symlink_metadata().is_ok() && !force {
        return Err(Error::Exists(output.clone()));
    }
    Ok(())
}

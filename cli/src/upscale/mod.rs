//! `gst-upscale upscale`: enlarges a video file and keeps its sound and subtitles.

mod channels;
pub mod container;
mod demux;
pub mod elements;
mod error;
mod guard;
mod input;
mod lane;
mod ledger;
mod losses;
mod mp4;
pub mod muxer;
pub mod options;
mod pipeline;
mod plan;
mod progress;
pub mod properties;
pub mod run_state;
mod segments;
pub mod signals;
mod streams;
mod survey;
mod times;
mod vp9;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use container::Container;
use input::Input;
use ledger::Kind;
use options::Options;
use pipeline::{Outcome, Pipeline};
use progress::Progress;
use signals::Signals;
use survey::Survey;

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
    /// The video to enlarge: a file, a pipe, - for standard input, or a URL.
    input: PathBuf,
    /// The file to write: .mp4, .m4v, .mov, .mkv or .webm.
    output: PathBuf,
    #[command(flatten)]
    force: Force,
    /// Print what went in and came out, stream by stream.
    #[arg(long)]
    verbose: bool,
    /// How progress is shown.
    #[arg(long, value_enum, default_value_t)]
    progress: progress::Format,
    #[command(flatten)]
    video: Options,
}

/// The exit status of a process that SIGINT ended, as shells report it.
const INTERRUPTED: u8 = 130;

/// Enlarges a video. On failure no file is left. After Ctrl-C, the finished part is kept under a
/// name with `.part` in it. If something of the input is missing in the output, the output is kept,
/// a sentence says what, and the exit code is 1.
///
/// # Errors
/// See [`Error`].
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let Arguments { input: path, output, force, .. } = arguments;
    let container = Container::of(output)?;
    let codec = arguments.video.codec(container)?;
    gstreamer::start()?;
    arguments.video.properties.check()?;
    let input = Input::open(path)?;
    part_file::check(path, output, force.if_exists())?;
    // Ctrl-C is caught from here on, so the unfinished file is always removed or kept on purpose.
    let signals = Signals::catch().map_err(Error::Signal)?;
    let mut progress = Progress::new(arguments.progress);
    let Some(survey) = survey(&input, path, &signals, &progress)? else { return Ok(aborted()) };
    let pipeline = Pipeline::new(&input, survey, container, codec, &arguments.video)?;
    let part = PartFile::create(output)?;
    match pipeline.run(part.file(), &signals, &mut progress)? {
        Outcome::Finished { frames, problems, ledger } => {
            part.finish(force.if_exists())?;
            progress.write_ledger(&ledger);
            for problem in &problems {
                warn!("{problem}");
            }
            if arguments.verbose {
                ledger.iter().try_for_each(|row| say!("{row}"))?;
            }
            if !problems.is_empty() {
                warn!("{} was written, but is not complete ({frames})", output.display());
                return Ok(ExitCode::FAILURE);
            }
            if arguments.progress == progress::Format::Json {
                progress.write_done(output, frames);
                return Ok(ExitCode::SUCCESS);
            }
            match say!("wrote {}: {frames}", output.display()) {
                Err(error) if !error.is_broken_pipe() => Err(error.into()),
                _ => Ok(ExitCode::SUCCESS),
            }
        }
        Outcome::Stopped(frames) => {
            let kept = part.keep()?;
            // Not to standard output, whose reader Ctrl-C has stopped as well.
            warn!("stopped; the finished part is in {} ({frames})", kept.display());
            Ok(ExitCode::from(INTERRUPTED))
        }
        Outcome::Aborted => Ok(aborted()),
    }
}

/// What the input contains: `Some(None)` if it can be read only once, `None` after Ctrl-C.
fn survey(
    input: &Input,
    path: &Path,
    signals: &Signals,
    progress: &Progress,
) -> Result<Option<Option<Survey>>, Error> {
    if input.file().is_none() {
        return Ok(Some(None));
    }
    progress.show_step("reading the input");
    let Some(survey) = survey::run(input, signals, || progress.tick())? else { return Ok(None) };
    let mut videos = survey.streams.iter().filter(|stream| stream.kind == Kind::Video).peekable();
    if videos.peek().is_none() {
        return Err(match survey.error {
            None => Error::NoVideo(path.into()),
            Some(why) => Error::NoFrames { input: path.into(), why },
        });
    }
    if videos.all(|stream| stream.extent.packets == 0) {
        let why = survey.error.unwrap_or_else(|| "it ends after its header".into());
        return Err(Error::NoFrames { input: path.into(), why });
    }
    Ok(Some(Some(survey)))
}

/// Says that the run was stopped before there was anything to keep.
fn aborted() -> ExitCode {
    warn!("stopped; nothing was written");
    ExitCode::from(INTERRUPTED)
}

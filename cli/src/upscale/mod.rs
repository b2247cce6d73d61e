//! `gst-upscale upscale`: enlarges a video file and keeps its sound and subtitles, or enlarges
//! pictures.

mod direct;
mod error;
mod method;
mod queue;
mod segmented;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use error::Error;
use method::Method;
pub use queue::is_media;
use queue::{Entry, Search};

use crate::{
    cadence::report,
    clean::Clean,
    content,
    crop::Crop,
    edit::Edits,
    gstreamer,
    media::{
        container::Container,
        files::Files,
        input::Input,
        ledger::Row,
        options::Options,
        progress::{self, Frames, Progress},
        sequence::FrameRate,
        signals::Signals,
        survey,
    },
    part_file::{Force, IfExists},
    remaster::{self, Folder, Segmentation},
    treatment::Treatment,
};

const EXAMPLES: &str = "\
Examples:
  gst-upscale upscale old.mkv new.mkv --scale 2
  gst-upscale upscale old.mp4 new.mkv --height 1080 --model realesr-animevideov3
  gst-upscale upscale old.avi new.mkv --codec ffv1
  gst-upscale upscale photo.jpg large.png
  gst-upscale upscale frame%05d.png new.mkv --frame-rate 24
  gst-upscale upscale --recursive old/ new/
  decoder | gst-upscale upscale - new.y4m

A film of more than one segment (20 s) is enlarged in segments, which are kept in new.mkv.remaster
until new.mkv is complete. After Ctrl-C, a crash or a power failure, the same command continues. A
shorter clip is enlarged in one piece; after Ctrl-C, its finished part is kept as new.part.mkv.";

/// Enlarge a video file or pictures. Sound and subtitles are kept.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// The video to enlarge: a file, a pipe, - for standard input, a URL, a picture, or a sequence of
    /// pictures (frame%05d.png). Or several of them, or a folder.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The file to write: .mp4, .m4v, .mov, .mkv, .webm, .y4m, .png, .jpg, .tif or .bmp, or a sequence
    /// of pictures (frame%05d.png). A folder for several inputs; results that exist in it are not
    /// computed again.
    output: PathBuf,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    segments: Segmentation,
    /// Print what went in and came out, stream by stream.
    #[arg(long)]
    verbose: bool,
    /// Frames per second of a sequence of pictures, for example 24 or 24000/1001 [default: 25].
    #[arg(long, value_name = "RATE")]
    frame_rate: Option<FrameRate>,
    /// How progress is shown.
    #[arg(long, value_enum, default_value_t)]
    progress: progress::Format,
    #[command(flatten)]
    video: Options,
}

/// How the work on one video ended.
enum Done {
    Written {
        frames: Frames,
        /// Sentences about what is missing in the output.
        problems: Vec<String>,
        ledger: Vec<Row>,
    },
    /// By a signal. The text says what is left and what to do.
    Stopped(String),
}

/// The exit status of a process that SIGINT ended, as shells report it.
const INTERRUPTED: u8 = 130;

/// Enlarges one or several videos. If something of an input is missing in the output, the output is
/// kept, a sentence says what, and the exit code is 1.
///
/// # Errors
/// See [`Error`].
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    match arguments.search.entries(&arguments.inputs, &arguments.output)? {
        Some(entries) => Ok(run_queue(arguments, &entries)?),
        None => {
            let input = arguments.inputs.first().map(PathBuf::as_path).unwrap_or(Path::new("-"));
            Ok(run_one(arguments, input, &arguments.output)?)
        }
    }
}

/// Enlarges the files one after the other. The exit code is 1 if any failed.
fn run_queue(arguments: &Arguments, entries: &[Entry]) -> Result<ExitCode, remaster::Error> {
    let (mut done, mut skipped, mut failed) = (0, 0, Vec::new());
    for Entry { input, output } in entries {
        if arguments.force.if_exists() == IfExists::Fail && output.exists() {
            skipped += 1;
            continue;
        }
        queue::create_folder(output)?;
        match run_one(arguments, input, output) {
            Ok(code) if code == ExitCode::SUCCESS => done += 1,
            Ok(code) if code == ExitCode::from(INTERRUPTED) => return Ok(code),
            Ok(_) => failed.push(input),
            Err(error @ remaster::Error::Print(_)) => return Err(error),
            Err(error) => {
                warn!("{}: {error}", input.display());
                failed.push(input);
            }
        }
    }
    let summary = format!("{done} enlarged, {skipped} existed, {} failed", failed.len());
    if arguments.progress == progress::Format::Bar {
        say!("{summary}")?;
    }
    for input in &failed {
        warn!("failed: {}", input.display());
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_one(
    arguments: &Arguments,
    input: &Path,
    output: &Path,
) -> Result<ExitCode, remaster::Error> {
    let mut progress = Progress::new(arguments.progress);
    match enlarge(&mut arguments.clone(), input, output, &mut progress)? {
        Done::Written { frames, problems, ledger } => {
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
        Done::Stopped(rest) => {
            // Not to standard output, whose reader Ctrl-C has stopped as well.
            warn!("stopped; {rest}");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn enlarge(
    arguments: &mut Arguments,
    path: &Path,
    output: &Path,
    progress: &mut Progress,
) -> Result<Done, remaster::Error> {
    let container = Container::of(output).map_err(crate::media::Error::from)?;
    gstreamer::start()?;
    arguments.video.codec(container, None)?;
    arguments.video.properties.check()?;
    let mut input = Input::open(path)?;
    if let Some(rate) = arguments.frame_rate {
        input.set_rate(rate)?;
    }
    let files = Files::new(output, container, arguments.force.if_exists());
    files.check(&input)?;
    // Ctrl-C is caught from here on, so the unfinished file is always removed or kept on purpose.
    let signals = Signals::catch().map_err(remaster::Error::Signal)?;
    if !input.connect(&signals)? {
        return Ok(Done::Stopped("nothing was written".into()));
    }
    if arguments.segments.restart {
        Folder::of(output).remove()?;
    }
    if content::resolve(&mut arguments.video, (path, Some(output)), &signals, progress).is_err() {
        return Ok(Done::Stopped("nothing was written".into()));
    }
    let Arguments { segments, video, .. } = &*arguments;
    let Some(survey) = survey::of(&input, video.range, &signals, progress)? else {
        return Ok(Done::Stopped("nothing was written".into()));
    };
    if let Some(survey) = &survey {
        files.check_frames(path, survey)?;
    }
    if let Some(survey) = &survey
        && Method::choose(&input, Some(survey), container, segments.length()) == Method::Segments
    {
        let film = segmented::Film { path, output, input: &input, survey };
        match segmented::run(arguments, &film, &signals, progress) {
            // The video has errors. What can be decoded is enlarged.
            Err(error) if segmented::may_be_direct(&error, output) => {}
            done => return done,
        }
    }
    let to = (container, video.codec(container, survey.as_ref())?);
    let schedule = match survey.as_ref().filter(|survey| method::is_encoded(survey)) {
        Some(survey) => {
            let options = &video.cadence;
            match remaster::cadence::of(path, survey, options, &signals, progress) {
                Err(remaster::Error::Stopped) => {
                    return Ok(Done::Stopped("nothing was written".into()));
                }
                found => found?,
            }
        }
        None => None,
    };
    let (schedule, findings) = match schedule {
        Some((schedule, parts, findings)) => {
            report::summary(&parts).iter().for_each(|line| progress.say(line));
            (Some(schedule), Some(findings))
        }
        None => (None, None),
    };
    let options = video.edit.clone();
    let treatment = Treatment::of(findings.as_ref(), options.geometry.crop, video.clean);
    match findings {
        Some(findings) => {
            findings.report(&treatment, video.clean).iter().for_each(|line| progress.say(line));
        }
        None => warn_of_unseen(video, progress),
    }
    let watermark = options.read_watermark().map_err(crate::media::Error::from)?;
    let edits = Edits { options, treatment, watermark };
    let film = direct::Film { input: &input, survey, schedule, edits };
    Ok(direct::run(arguments, &files, to, film, &signals, progress)?)
}

/// Says which options do nothing to an input that is decoded only once.
fn warn_of_unseen(video: &Options, progress: &mut Progress) {
    let unseen = "pictures are analysed only in a video of one stream that can be read twice";
    if video.edit.geometry.crop == Crop::Auto {
        progress.warn(&format!("--crop auto does nothing here: {unseen}"));
    }
    if video.clean == Clean::Auto {
        progress.warn(&format!(
            "--clean auto does nothing here: {unseen}; --clean light and strong clean all inputs"
        ));
    }
}

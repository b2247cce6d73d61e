//! `gst-upscale remaster`: enlarges a film in segments that any number of processes and machines
//! can compute, and that survive interruptions.
//!
//! `plan` writes a work folder, `segment` and `work` compute segments, `finish` joins them. All
//! that decides the output is in the plan, so the output does not depend on who computed which
//! segment, when, or how often it was interrupted.

mod analyse;
pub mod cadence;
mod claim;
#[cfg(test)]
mod damaged_folder;
mod digest;
mod encode;
mod enlarge;
mod error;
mod exit;
pub mod finish;
mod folder;
mod frame_table;
mod gate;
mod observer;
mod outline;
mod picture;
mod plan;
pub mod planning;
pub mod record;
mod source;
mod status;
mod submit;
mod watched;
pub mod work;
mod worker;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use encode::{Encoder, Encoding};
pub use error::Error;
pub use folder::Folder;
pub use frame_table::SegmentLength;
pub use observer::Observer;
pub use picture::Thumbnail;
pub use plan::Plan;
pub use planning::{Request, mean_size};
pub use watched::{Pulled, Watched};
pub use worker::Worker;

use self::{
    exit::Exit,
    record::Check,
    work::{Event, Work},
};
use crate::{
    cadence::report,
    gstreamer,
    media::{
        input::Input,
        options::Options,
        progress::{self, Progress},
        signals::Signals,
        survey::{self, Survey},
    },
    part_file::{self, Force},
    range::TimeRange,
};

const EXAMPLES: &str = "\
Examples:
  gst-upscale remaster plan old.mkv new.mkv --model realesr-animevideov3
  gst-upscale remaster work new.mkv.remaster      (any number of times, on any machine)
  gst-upscale remaster finish new.mkv.remaster
  gst-upscale remaster submit slurm new.mkv.remaster --run

On one machine, `gst-upscale upscale old.mkv new.mkv` does all of it.

Exit status: 0 on success, 75 if it can succeed elsewhere or later, 65 if it fails everywhere.";

/// Enlarge a film in segments, on one machine or many, through any interruption.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    Plan(Box<PlanArguments>),
    Segment(SegmentArguments),
    Work(WorkArguments),
    Status(StatusArguments),
    Finish(FinishArguments),
    Submit(submit::Arguments),
}

/// Decode INPUT once and write the plan to OUTPUT.remaster.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArguments {
    /// The film to enlarge.
    pub input: PathBuf,
    /// The file that `finish` will write.
    pub output: PathBuf,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    pub segments: Segmentation,
    /// How progress is shown.
    #[arg(long, value_enum, default_value_t)]
    pub progress: progress::Format,
    #[command(flatten)]
    pub video: Options,
}

/// How a film is divided, and what happens to an earlier division.
#[derive(Clone, Debug, clap::Args)]
pub struct Segmentation {
    /// Discard the plan and the segments of an earlier run.
    #[arg(long)]
    pub restart: bool,
    /// Length of a segment in seconds. It ends at the strongest scene cut from 2/3 to 5/3 of this
    /// length, or at the last key frame there.
    #[arg(long, value_name = "SECONDS", default_value_t = 12.0, value_parser = segment_seconds)]
    segment: f64,
}

impl Segmentation {
    /// The shortest and longest segment.
    pub fn length(&self) -> SegmentLength {
        SegmentLength::about(self.segment)
    }
}

/// Compute one segment, or every K-th.
///
/// Exit status: 0 if it is done, 75 if it can succeed elsewhere or later, 65 if it fails everywhere.
#[derive(Debug, clap::Args)]
pub struct SegmentArguments {
    /// The folder that `plan` wrote.
    folder: PathBuf,
    /// Number of the segment, counted from 0 [default: the index of the task in an array job of
    /// Slurm, Kubernetes or AWS Batch].
    index: Option<usize>,
    /// Also compute every K-th segment after it, so that K tasks compute all.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    of: Option<u64>,
}

/// Compute segments until all are done. Any number of workers can share a folder.
#[derive(Debug, clap::Args)]
pub struct WorkArguments {
    /// The folder that `plan` wrote.
    folder: PathBuf,
    /// Seconds without a sign of life after which another worker's segment is taken over.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    stale: u64,
}

/// Show how many segments are done.
#[derive(Debug, clap::Args)]
pub struct StatusArguments {
    /// The folder that `plan` wrote.
    folder: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Write OUTPUT from the finished segments, with the sound and the subtitles of INPUT.
#[derive(Debug, clap::Args)]
pub struct FinishArguments {
    /// The folder that `plan` wrote.
    folder: PathBuf,
    #[command(flatten)]
    force: Force,
    /// Keep the folder.
    #[arg(long)]
    keep: bool,
    /// Wait until every segment is done.
    #[arg(long)]
    wait: bool,
    /// How progress is shown.
    #[arg(long, value_enum, default_value_t)]
    progress: progress::Format,
}

fn segment_seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    let accepted = (0.1..=3600.0).contains(&seconds);
    accepted.then_some(seconds).ok_or_else(|| "expected 0.1 to 3600 seconds".into())
}

/// Runs a subcommand. Errors that concern a segment give the exit codes of [`Exit`].
///
/// # Errors
/// [`Error::Print`]; others are reported here.
pub fn run(command: &Command) -> Result<ExitCode, Error> {
    let done = match command {
        Command::Plan(arguments) => plan(arguments).map(|()| Exit::Done),
        Command::Segment(arguments) => segment(arguments).map(|()| Exit::Done),
        Command::Work(arguments) => work(arguments).map(|()| Exit::Done),
        Command::Status(arguments) => {
            status::print(&arguments.folder, arguments.json).map(|()| Exit::Done)
        }
        Command::Submit(arguments) => submit::run(arguments).map(|()| Exit::Done),
        Command::Finish(arguments) => finish(arguments).map(|()| Exit::Done),
    };
    match done {
        Ok(exit) => Ok(exit.into()),
        Err(error @ Error::Print(_)) => Err(error),
        Err(error) => {
            warn!("{error}");
            Ok(error.exit().into())
        }
    }
}

fn plan(arguments: &PlanArguments) -> Result<(), Error> {
    let PlanArguments { input, output, force, segments, video, .. } = arguments;
    part_file::check(input, output, force.if_exists())?;
    let folder = Folder::of(output);
    gstreamer::start()?;
    let signals = Signals::catch().map_err(Error::Signal)?;
    if segments.restart {
        folder.remove()?;
    }
    let _lock = folder.lock()?;
    let mut progress = Progress::new(arguments.progress);
    let survey = survey(&Input::open(input)?, video.range, &signals, &progress)?;
    let request = Request { input, output, survey: &survey, video, length: segments.length() };
    let (plan, _) = planning::make(&request, &folder, &signals, &mut progress)?;
    progress.finish();
    say!(
        "{}: {} frames in {} segments",
        folder.path().display(),
        plan.frames(),
        plan.segments.len()
    )?;
    let found = plan.findings.report(&plan.treatment, plan.request.clean);
    for line in report::summary(&plan.parts(&folder)).iter().chain(&found) {
        say!("{line}")?;
    }
    Ok(())
}

/// What the input contains.
fn survey(
    input: &Input,
    range: TimeRange,
    signals: &Signals,
    progress: &Progress,
) -> Result<Survey, Error> {
    let survey = survey::of(input, range, signals, progress)?.ok_or(Error::Stopped)?;
    survey.ok_or_else(|| Error::ReadOnce(input.name()))
}

fn segment(arguments: &SegmentArguments) -> Result<(), Error> {
    let index = arguments.index.or_else(work::index_of_array_job).ok_or(Error::NoIndex)?;
    let (mut worker, signals) = worker(&arguments.folder)?;
    let total = worker.plan.segments.len();
    if index >= total && arguments.of.is_none() {
        return Err(Error::NoSegment { segment: index, total });
    }
    let step = arguments.of.map_or(usize::MAX, |step| usize::try_from(step).unwrap_or(usize::MAX));
    for segment in (index..total).step_by(step) {
        if work::is_done(&worker.folder, segment, Check::Digest)? {
            say!("segment {segment} was done before")?;
        } else {
            worker.compute(segment, &signals, &mut |_, _| Ok(()))?;
            say!("segment {segment} is done")?;
        }
    }
    Ok(())
}

fn work(arguments: &WorkArguments) -> Result<(), Error> {
    let (mut worker, signals) = worker(&arguments.folder)?;
    let stale = std::time::Duration::from_secs(arguments.stale);
    let work = Work { check: Check::Digest, stale, signals: &signals };
    work.all(&mut worker, &mut |event| match event {
        Event::Frames { .. } => Ok(()),
        Event::Segment(segment) => Ok(say!("segment {segment} is done")?),
    })
}

/// A worker for the plan in `path`.
fn worker(path: &Path) -> Result<(Worker, Signals), Error> {
    gstreamer::start()?;
    let signals = Signals::catch().map_err(Error::Signal)?;
    let folder = Folder::at(path);
    let plan = Plan::read(&folder)?;
    Ok((Worker::open(folder, plan)?, signals))
}

fn finish(arguments: &FinishArguments) -> Result<(), Error> {
    gstreamer::start()?;
    let signals = Signals::catch().map_err(Error::Signal)?;
    let mut progress = Progress::new(arguments.progress);
    let folder = Folder::at(&arguments.folder);
    let plan = Plan::read(&folder)?;
    plan.input.check()?;
    if arguments.wait {
        work::wait(&folder, &plan, &signals)?;
    }
    let input = Input::open(&plan.input.path)?;
    let survey = survey(&input, plan.request.range, &signals, &progress)?;
    let film = finish::Film { folder: &folder, plan: &plan, input: &input, survey: &survey };
    let finished = film.finish(arguments.force.if_exists(), &signals, &mut progress)?;
    progress.finish();
    if !arguments.keep {
        folder.remove()?;
    }
    for problem in &finished.problems {
        warn!("{problem}");
    }
    say!("wrote {}: {}", plan.output.display(), finished.frames)?;
    Ok(())
}

//! Enlarges a film in segments: plans, computes and joins them in this process. Segments that exist
//! are not computed again.

use std::path::Path;

use super::{Arguments, Done};
use crate::{
    media::{input::Input, progress::Progress, signals::Signals, survey::Survey},
    remaster::{
        Error, Folder, Plan, Request, Worker,
        finish::{self, Finished},
        planning,
        record::{self, Check},
        work::{self, Event, Work},
    },
};

/// What is enlarged.
pub struct Film<'a> {
    pub path: &'a Path,
    pub output: &'a Path,
    pub input: &'a Input,
    pub survey: &'a Survey,
}

/// Whether the film can be enlarged in one piece after this error: it could not be decoded without
/// errors, and no segment of it exists.
pub fn may_be_direct(error: &Error, output: &Path) -> bool {
    matches!(error, Error::Element { .. } | Error::NoFrames(_))
        && !Folder::of(output).path().exists()
}

/// Enlarges a film, or continues to.
///
/// # Errors
/// See [`Error`]. Finished segments are kept.
pub fn run(
    arguments: &Arguments,
    film: &Film<'_>,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<Done, Error> {
    let folder = Folder::of(film.output);
    // Removes the folder at the end if it has no plan.
    let _lock = folder.lock()?;
    match enlarge(arguments, film, &folder, signals, progress) {
        Err(Error::Stopped) => {
            progress.finish();
            Ok(Done::Stopped(rest(&folder)))
        }
        Err(error) => {
            progress.finish();
            if folder.plan().exists() && !matches!(error, Error::Plan(_)) {
                progress.say(&rest(&folder));
            }
            Err(error)
        }
        done => done,
    }
}

/// What is left of a run that was stopped, and how to go on.
fn rest(folder: &Folder) -> String {
    let Ok(plan) = Plan::read(folder) else { return "nothing was written".into() };
    format!(
        "{} % is done and kept in {}; run the same command again to continue",
        work::frames_done(folder, &plan) * 100 / plan.frames().max(1),
        folder.path().display()
    )
}

fn enlarge(
    arguments: &Arguments,
    film: &Film<'_>,
    folder: &Folder,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<Done, Error> {
    let request = Request {
        input: film.path,
        output: film.output,
        survey: film.survey,
        video: &arguments.video,
        length: arguments.segments.length(),
    };
    let (plan, enlarger) = planning::make(&request, folder, signals, progress)?;
    let done = work::frames_done(folder, &plan);
    if done > 0 {
        let share = done * 100 / plan.frames().max(1);
        progress.say(&format!("continues at {share} % ({})", folder.path().display()));
    }
    for line in plan.outline(folder, done) {
        progress.say(&line);
    }
    if let Some(warning) = plan.warning(done) {
        progress.warn(&warning);
    }
    let mut worker =
        Worker::go_on(folder.clone(), plan, enlarger, arguments.video.latest_frame.clone())?;
    loop {
        let frames = worker.plan.frames() as u64;
        let done = work::frames_done(folder, &worker.plan) as u64;
        progress.start_count("enlarging", done, frames);
        let work = Work { check: Check::Size, stale: work::STALE, signals };
        work.all(&mut worker, &mut |event| {
            if let Event::Frames { done, reused } = event {
                progress.set_count(done as u64, reused);
            }
            Ok(())
        })?;
        progress.end_count("joining the segments");
        let overwrite = arguments.force.if_exists();
        let film =
            finish::Film { folder, plan: &worker.plan, input: film.input, survey: film.survey };
        match film.finish(overwrite, signals, progress) {
            Err(Error::Missing(segments)) => {
                progress.warn(&format!("segments {segments:?} are damaged; computing them again"));
                for segment in segments {
                    record::remove(folder, segment)?;
                }
            }
            Err(error) => return Err(error),
            Ok(Finished { frames, problems, ledger }) => {
                folder.remove()?;
                return Ok(Done::Written { frames, problems, ledger });
            }
        }
    }
}

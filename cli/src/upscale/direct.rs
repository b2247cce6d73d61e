//! Enlarges a video in one pipeline, from its first frame to its last one.

use std::sync::Arc;

use super::{Arguments, Done};
use crate::{
    cadence::Schedule,
    edit::Edits,
    header,
    media::{
        Error,
        codec::Codec,
        container::Container,
        enlarging::Enlarging,
        files::Files,
        input::Input,
        pipeline::{Outcome, Pipeline, Video},
        progress::Progress,
        run_state::RunState,
        signals::Signals,
        survey::Survey,
    },
};

/// What is enlarged.
pub struct Film<'a> {
    pub input: &'a Input,
    /// What it contains, if that is known.
    pub survey: Option<Survey>,
    /// The pictures to enlarge, if they are known.
    pub schedule: Option<Schedule>,
    pub edits: Edits,
}

/// Enlarges a film. After Ctrl-C, the finished part is kept under a name with `.part` in it.
///
/// # Errors
/// See [`Error`]. No file is then left.
pub fn run(
    arguments: &Arguments,
    files: &Files,
    (container, codec): (&'static Container, Codec),
    film: Film<'_>,
    signals: &Signals,
    progress: &mut Progress,
) -> Result<Done, Error> {
    let Film { input, survey, schedule, edits } = film;
    let state = Arc::new(RunState::default());
    let video = Enlarging::new(
        container,
        codec,
        &arguments.video,
        survey.as_ref(),
        (schedule.map(Arc::new), &edits),
        &state,
    )?;
    let video = Video::Enlarged(video);
    let range = arguments.video.range;
    let pipeline = Pipeline::new(input, survey, container, video, state)?;
    let part = files.create()?;
    Ok(match pipeline.run(&part.target()?, signals, progress)? {
        Outcome::Finished { frames, problems, ledger, streams } => {
            if let Some(file) = part.container() {
                for loss in
                    file.complete(|file| header::transfer(input.file(), range, file, &streams))?
                {
                    progress.warn(&loss);
                }
            }
            part.finish()?;
            Done::Written { frames, problems, ledger }
        }
        Outcome::Stopped(frames) => {
            let kept = part.keep()?;
            Done::Stopped(format!("the finished part is in {} ({frames})", kept.display()))
        }
        Outcome::Aborted => Done::Stopped("nothing was written".into()),
    })
}

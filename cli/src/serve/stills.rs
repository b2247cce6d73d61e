//! Pictures of an input and its result, for the comparison. A process of its own decodes them.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tokio::{sync::Mutex, time::timeout};

use super::{
    job::{Job, State},
    jobs::Jobs,
    process,
};
use crate::range;

/// How long a decoder may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Before,
    After,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("job {0} has no result")]
    NoResult(u32),
    #[error("a film has pictures 0 to 10")]
    Place,
    #[error("the picture could not be decoded: {0}")]
    Decode(String),
    #[error("the picture could not be decoded in time")]
    TooSlow,
    #[error("the process could not be started: {0}")]
    Start(io::Error),
}

/// Makes stills, one at a time, and keeps them.
#[derive(Debug, Default)]
pub struct Stills(Mutex<()>);

impl Stills {
    /// The file of a picture at `place` tenths of the film.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get(
        &self,
        jobs: &Jobs,
        job: &Job,
        side: Side,
        place: u8,
    ) -> Result<PathBuf, Error> {
        if job.state != State::Done {
            return Err(Error::NoResult(job.number));
        }
        if place > 10 {
            return Err(Error::Place);
        }
        let store = &jobs.store;
        let file = |name: &str| store.job(job.number).join(format!("{name}-{place}.jpg"));
        let (before, after) = (file("before"), file("after"));
        let _one_at_a_time = self.0.lock().await;
        // `before` is the last one to be written.
        if !before.exists() {
            jobs.check(job).map_err(|error| Error::Decode(error.to_string()))?;
            let for_user = |error| match error {
                Error::Decode(text) => Error::Decode(store.for_user(job, &text)),
                error => error,
            };
            let share = format!("--share={}", f64::from(place) / 10.0);
            let share = vec![share];
            let time =
                still(store.lock(), &store.output(job), share, &after).await.map_err(for_user)?;
            let start = job.settings.start.as_deref().and_then(|it| range::time(it).ok());
            let time = start.unwrap_or_default().as_secs_f64() + time;
            // Cropped and turned, so that it fits over the result.
            let mut options = job.settings.edits.geometry();
            options.push(format!("--at={time}"));
            still(store.lock(), &store.input(job), options, &before).await.map_err(for_user)?;
        }
        Ok(if side == Side::Before { before } else { after })
    }
}

/// Writes a frame as JPEG. Returns its time in seconds.
async fn still(
    lock: &File,
    input: &Path,
    options: Vec<String>,
    output: &Path,
) -> Result<f64, Error> {
    let mut arguments: Vec<OsString> = vec!["still".into(), "--force".into()];
    arguments.extend(options.into_iter().map(OsString::from));
    arguments.extend(["--".into(), input.into(), output.into()]);
    let child =
        process::command(lock, arguments).and_then(|mut it| it.spawn()).map_err(Error::Start)?;
    let ended = timeout(PATIENCE, child.wait_with_output()).await.map_err(|_| Error::TooSlow)?;
    let ended = ended.map_err(Error::Start)?;
    let text = String::from_utf8_lossy(&ended.stdout);
    match text.trim().parse() {
        Ok(time) if ended.status.success() => Ok(time),
        _ => {
            let text = String::from_utf8_lossy(&ended.stderr);
            let last = text.lines().rev().find_map(|line| line.strip_prefix("gst-upscale: "));
            Err(Error::Decode(last.unwrap_or("the process failed").to_owned()))
        }
    }
}

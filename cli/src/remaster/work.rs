//! Which segments this process computes: those that it claims in a shared folder, or those of its index in
//! an array job.

use std::{env, thread, time::Duration};

use super::{
    Error,
    claim::{Claim, Watch},
    folder::Folder,
    plan::Plan,
    record::{self, Check, State},
    watched::PATIENCE,
    worker::Worker,
};
use crate::media::signals::Signals;

/// The time after which a claim that its owner does not touch is taken over, unless the user gives
/// another one.
pub const STALE: Duration = Duration::from_secs(120);

/// What a worker tells about its progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// So many frames of the film are done, by all workers. `reused` is the share of pixels that did
    /// not have to be computed.
    Frames { done: usize, reused: Option<f64> },
    /// This segment was computed.
    Segment(usize),
}

/// How segments are computed.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// How finished segments are checked at the start.
    pub check: Check,
    /// The time after which a claim that its owner does not touch is taken over.
    pub stale: Duration,
    pub signals: &'a Signals,
}

impl Work<'_> {
    /// Computes segments until every segment of the plan is done, by this worker or by others.
    ///
    /// # Errors
    /// Why a segment failed, [`Error::Stopped`], or what `report` returns.
    pub fn all(
        &self,
        worker: &mut Worker,
        report: &mut dyn FnMut(Event) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let all = 0..worker.plan.segments.len();
        let mut missing = Vec::new();
        for segment in all {
            if !is_done(&worker.folder, segment, self.check)? {
                missing.push(segment);
            }
        }
        let mut watch = Watch::default();
        while !missing.is_empty() {
            let mut computed = false;
            for segment in missing.clone() {
                let claim = Claim::take(&worker.folder.claim(segment), self.stale, &mut watch)?;
                let Some(_claim) = claim else { continue };
                // Another worker can have finished it meanwhile.
                if !is_done(&worker.folder, segment, Check::Size)? {
                    let done = worker.plan.frames() - count(&worker.plan, &missing);
                    worker.compute(segment, self.signals, &mut |frames, reused| {
                        report(Event::Frames { done: done + frames, reused })
                    })?;
                    report(Event::Segment(segment))?;
                }
                missing.retain(|&it| it != segment);
                computed = true;
            }
            // Others work on the rest.
            if !computed {
                if self.signals.take().is_some() {
                    return Err(Error::Stopped);
                }
                thread::sleep(PATIENCE * 3);
            }
            let mut still = Vec::new();
            for segment in missing {
                if !is_done(&worker.folder, segment, Check::Size)? {
                    still.push(segment);
                }
            }
            missing = still;
        }
        Ok(())
    }
}

/// Waits until every segment of the plan is done.
///
/// # Errors
/// [`Error::Stopped`].
pub fn wait(folder: &Folder, plan: &Plan, signals: &Signals) -> Result<(), Error> {
    for segment in 0..plan.segments.len() {
        while !matches!(record::check(folder, segment, Check::Size), State::Done(_)) {
            if signals.take().is_some() {
                return Err(Error::Stopped);
            }
            thread::sleep(PATIENCE * 5);
        }
    }
    Ok(())
}

/// Whether a segment is done. The files of a damaged one are removed.
///
/// # Errors
/// [`Error::Folder`] if they cannot be removed.
pub fn is_done(folder: &Folder, segment: usize, check: Check) -> Result<bool, Error> {
    match record::check(folder, segment, check) {
        State::Done(_) => Ok(true),
        State::Missing => Ok(false),
        State::Damaged => {
            warn!("segment {segment} is damaged; it is computed again");
            record::remove(folder, segment)?;
            Ok(false)
        }
    }
}

/// The number of frames in these segments.
fn count(plan: &Plan, segments: &[usize]) -> usize {
    let frames = segments.iter().filter_map(|&segment| plan.segments.get(segment));
    frames.map(|frames| frames.len()).sum()
}

/// The number of frames whose segments are done, by the sizes of their files.
pub fn frames_done(folder: &Folder, plan: &Plan) -> usize {
    let is_done =
        |segment: &usize| matches!(record::check(folder, *segment, Check::Size), State::Done(_));
    let done: Vec<_> = (0..plan.segments.len()).filter(is_done).collect();
    count(plan, &done)
}

/// Where array jobs have the index of their task: Slurm, Kubernetes, AWS Batch.
const INDEX_VARIABLES: [&str; 3] =
    ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];

/// The index of this task in an array job.
pub fn index_of_array_job() -> Option<usize> {
    INDEX_VARIABLES.iter().find_map(|name| env::var(name).ok()?.parse().ok())
}

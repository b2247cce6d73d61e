//! Dividing the segments among workers: by claims on a shared folder, or by a scheduler's index.

use std::{env, thread, time::Duration};

use super::{
    Error,
    claim::Claim,
    record::{self, State},
    watched::PATIENCE,
    worker::{Outcome, Worker},
};
use crate::upscale::signals::Signals;

/// Computes segments until every segment of the plan is done, by this worker or by others. `report`
/// is called for each segment that this worker computed.
///
/// # Errors
/// Why a segment failed, [`Error::Stopped`], or what `report` returns.
pub fn all(
    worker: &mut Worker,
    stale: Duration,
    signals: &Signals,
    report: impl Fn(usize, Outcome) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut missing: Vec<_> = (0..worker.plan.segments.len()).collect();
    loop {
        missing
            .retain(|&segment| !matches!(record::check(&worker.folder, segment), State::Done(_)));
        if missing.is_empty() {
            return Ok(());
        }
        let mut computed = false;
        for &segment in &missing {
            let Some(_claim) = Claim::take(&worker.folder.claim(segment), stale)? else { continue };
            report(segment, worker.compute(segment, signals)?)?;
            computed = true;
        }
        // Others work on the rest.
        if !computed {
            if signals.take().is_some() {
                return Err(Error::Stopped);
            }
            thread::sleep(PATIENCE * 3);
        }
    }
}

/// Where array jobs have the index of their task: Slurm, Kubernetes, AWS Batch.
const INDEX_VARIABLES: [&str; 3] =
    ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];

/// The index of this task in an array job.
pub fn index_of_array_job() -> Option<usize> {
    INDEX_VARIABLES.iter().find_map(|name| env::var(name).ok()?.parse().ok())
}

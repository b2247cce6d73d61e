//! `remaster status`: which segments are done.

use std::path::Path;

use serde::Serialize;

use super::{
    Error,
    folder::Folder,
    plan::Plan,
    record::{self, Check, State},
};
use crate::{
    cadence::report::{self, Part},
    treatment::Findings,
};

/// The progress of a plan.
#[derive(Debug, PartialEq, Serialize)]
struct Status {
    segments: usize,
    done: usize,
    /// Numbers of the segments that are not done.
    missing: Vec<usize>,
    /// Numbers of the segments whose files are damaged.
    damaged: Vec<usize>,
    frames: usize,
    frames_done: usize,
    /// What was found in the fields of the film. Empty if all frames are progressive.
    parts: Vec<Part>,
    /// What is wrong with its pictures.
    found: Findings,
}

/// Prints the progress of the plan in `folder`.
///
/// # Errors
/// [`Error::Plan`] or [`Error::Print`].
pub fn print(folder: &Path, json: bool) -> Result<(), Error> {
    let folder = Folder::at(folder);
    let plan = Plan::read(&folder)?;
    let status = Status::read(&folder, &plan);
    if json {
        say!("{}", serde_json::to_string(&status).map_err(std::io::Error::other)?)?;
        return Ok(());
    }
    let Status { segments, done, damaged, frames, frames_done, parts, .. } = &status;
    say!("{done} of {segments} segments are done ({frames_done} of {frames} frames)")?;
    if !damaged.is_empty() {
        say!("damaged, will be computed again: {damaged:?}")?;
    }
    let found = plan.findings.report(&plan.treatment, plan.request.clean);
    for line in report::table(parts).iter().chain(&found) {
        say!("{line}")?;
    }
    Ok(())
}

impl Status {
    fn read(folder: &Folder, plan: &Plan) -> Self {
        let mut status = Self {
            segments: plan.segments.len(),
            done: 0,
            missing: Vec::new(),
            damaged: Vec::new(),
            frames: plan.frames(),
            frames_done: 0,
            parts: plan.parts(folder),
            found: plan.findings,
        };
        for (segment, frames) in plan.segments.iter().enumerate() {
            match record::check(folder, segment, Check::Digest) {
                State::Done(_) => {
                    status.done += 1;
                    status.frames_done += frames.len();
                }
                State::Missing => status.missing.push(segment),
                State::Damaged => status.damaged.push(segment),
            }
        }
        status
    }
}

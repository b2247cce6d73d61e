//! A job: one input, how it is to be enlarged, and what became of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::settings::Settings;

/// A job of the queue, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Names the job's folder. Numbers are not used again.
    pub number: u32,
    /// What the user calls the input. It is only shown, and never part of a path.
    pub name: String,
    pub source: Source,
    pub settings: Settings,
    /// The extension of the result, one of [`super::format::FORMATS`].
    pub format: String,
    pub state: State,
    /// Why it failed, or what is missing in the result.
    pub message: String,
    /// The size of the result.
    pub bytes: Option<u64>,
}

/// Where the input is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// In the job's folder.
    Upload,
    /// In a folder that the server may read.
    Path(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its turn has not come.
    Waiting,
    Running,
    /// By the user. Its process, if it has one, is suspended.
    Paused,
    /// Cancelled, but its process has not ended.
    Stopping,
    Done,
    Failed,
    Cancelled,
}

impl State {
    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

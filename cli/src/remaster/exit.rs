//! Exit codes for schedulers.

use std::process::ExitCode;

/// How a command of `remaster` ended, for the engine that scheduled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// It can succeed on another machine or later: no memory, no disk space, GPU lost, SIGTERM.
    TryAgain,
    /// It fails everywhere: the input differs from the plan, the model is missing.
    Hopeless,
}

impl From<Exit> for ExitCode {
    /// The codes of sysexits(3): EX_TEMPFAIL and EX_DATAERR.
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::TryAgain => 75,
            Exit::Hopeless => 65,
        })
    }
}

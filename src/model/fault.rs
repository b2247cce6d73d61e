//! Problems with the content of a model file, independent of its path.

use std::{fmt::Display, path::Path};

use super::Error;

/// Why a reader rejects the content of a file. `Fault::at` adds the path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// The file violates its own format.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The file is valid, but uses something that this library does not support.
    #[error("unsuitable: {0}")]
    Unsuitable(String),
}

/// The typed error of one reader, which becomes a [`Fault`] where readers meet.
pub(crate) trait Reason: Display {
    /// Whether the file violates its own format, rather than being valid and not supported.
    fn is_damage(&self) -> bool;
}

impl<R: Reason> From<R> for Fault {
    fn from(reason: R) -> Self {
        if reason.is_damage() {
            Self::Damaged(reason.to_string())
        } else {
            Self::Unsuitable(reason.to_string())
        }
    }
}

impl Fault {
    /// The file violates its own format.
    pub(crate) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    /// The file is valid, but uses something that this library does not support.
    pub(crate) fn unsuitable(why: impl Into<String>) -> Self {
        Self::Unsuitable(why.into())
    }

    /// This fault as an error of the file at `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self {
            Self::Damaged(why) => Error::Damaged { path, why },
            Self::Unsuitable(why) => Error::Unsuitable { path, why },
        }
    }
}

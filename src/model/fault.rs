//! What is wrong with a file's content, told apart from where the file lies.

use std::path::Path;

use super::Error;

/// A reader's complaint; [`Fault::at`] adds the path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// The file breaks its own format.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The file is sound and uses what is not known here.
    #[error("unsuitable: {0}")]
    Unsuitable(String),
}

impl Fault {
    /// The file breaks its own format.
    pub fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    /// The file is sound and uses what is not known here.
    pub fn unsuitable(why: impl Into<String>) -> Self {
        Self::Unsuitable(why.into())
    }

    /// The same, said of the file at `path`.
    pub fn at(self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self {
            Self::Damaged(why) => Error::Damaged { path, why },
            Self::Unsuitable(why) => Error::Unsuitable { path, why },
        }
    }
}

//! Why a subcommand of `models` failed.

use std::path::PathBuf;

use gstupscale::{engine, model};

use super::{download, open_model_db};
use crate::{part_file, print};

/// Why a subcommand of `models` failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("unknown model {name}; expected one of: {known}")]
    Unknown { name: String, known: String },
    #[error("the data directory is unknown; set HOME or XDG_DATA_HOME")]
    NoDataDirectory,
    #[error("the model accepts only an input of {width}x{height} pixels")]
    FixedSize { width: u32, height: u32 },
    #[error("each side of --size must be a multiple of {align} and at least {min} for this model")]
    Size { align: u32, min: u32 },
    #[error("the model processes one picture at a time; omit --batch")]
    Batch,
    #[error(
        "{0} would be read together with the output, which contains its settings already; use a different output file"
    )]
    Sidecar(PathBuf),
    #[error(
        "the output for an input of {}x{} pixels has {}x{} pixels; expected {}x{}",
        .input.0, .input.1, .actual.0, .actual.1, .expected.0, .expected.1
    )]
    OutputSize { input: (usize, usize), expected: (usize, usize), actual: (usize, usize) },
    #[error("the output contains NaN or infinity")]
    NotFinite,
    #[error("it did not finish within {0} seconds; raise --time-limit if the model is trusted")]
    TimeLimit(u32),
    #[error("could not start a thread: {0}")]
    Thread(std::io::Error),
    #[error("none of the {0} models matches")]
    NoMatch(usize),
    #[error("{failed} of {total} models failed")]
    Failed { failed: usize, total: usize },
    #[error(transparent)]
    Print(#[from] print::Error),
    #[error(transparent)]
    Index(#[from] open_model_db::Error),
    #[error(transparent)]
    Download(#[from] download::Error),
    #[error(transparent)]
    Output(#[from] part_file::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

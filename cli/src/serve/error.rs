//! Why the server does not start.

use std::{io, net::SocketAddr, path::PathBuf};

use super::store;
use crate::print;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the user has no data directory; name a directory with --state")]
    NoStateFolder,
    #[error("the folder {path} of --allow cannot be used: {source}")]
    Folder { path: PathBuf, source: io::Error },
    #[error("{address} cannot be listened on: {source}; use another address with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the server could not be started: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Print(#[from] print::Error),
}

//! Why videos were not enlarged.

use super::queue;
use crate::remaster;

/// Why videos were not enlarged.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Error {
    Queue(#[from] queue::Error),
    Remaster(#[from] remaster::Error),
}

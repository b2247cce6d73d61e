//! The names of tensors.

use crate::model::fault::Fault;

/// Messages quote names, so that longer ones are rejected.
pub(super) const MAX_NAME: usize = 256;

/// # Errors
/// [`Fault::Damaged`] for a name of more than [`MAX_NAME`] bytes.
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    if name.len() <= MAX_NAME {
        Ok(())
    } else {
        Err(Fault::damaged(format!("the name of a tensor is longer than {MAX_NAME} bytes")))
    }
}

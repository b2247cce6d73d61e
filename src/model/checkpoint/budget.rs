//! How much memory the content of a file may take.

/// The file needs more memory than any real checkpoint of its size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("its content needs far more memory than the size of the file allows")]
pub(super) struct OverBudget;

/// The bytes that may still be allocated for the content of a file.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// The budget of a file of `size` bytes. Half floats double in size; trained weights hardly
    /// compress, but zeros do.
    pub(crate) fn for_file(size: usize) -> Self {
        Self { left: (size as u64).saturating_mul(4).saturating_add(64 << 20) }
    }

    /// Takes `bytes` from the budget.
    ///
    /// # Errors
    /// [`OverBudget`] if fewer are left.
    pub(crate) fn spend(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.left = self.left.checked_sub(bytes).ok_or(OverBudget)?;
        Ok(())
    }
}

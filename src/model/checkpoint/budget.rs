//! How much memory a file may ask for.

/// Bytes that may still be made from a file's content.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    /// For a file of `size` bytes. Half floats double; weights hardly deflate, but zeros do.
    pub fn for_file(size: usize) -> Self {
        Self { left: (size as u64).saturating_mul(4).saturating_add(64 << 20) }
    }

    /// # Errors
    /// Where less than `bytes` are left.
    pub fn spend(&mut self, bytes: u64) -> Result<(), String> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or("it unpacks to far more than its size")?;
        Ok(())
    }
}

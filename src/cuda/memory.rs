//! Memory of the GPU, and of the host where the GPU reaches it.

use std::{ffi::c_void, ptr, slice, sync::Arc};

use cudarc::driver::sys;

use super::{
    Device,
    error::{Error, ToDo as _},
};
use crate::kernels::Address;

/// Memory of the GPU, aligned to 256 bytes. What is in it is not said before it is written.
pub struct Buffer {
    address: Address,
    bytes: usize,
    device: Arc<Device>,
}

impl Buffer {
    /// # Errors
    /// [`Error::OutOfMemory`], or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, bytes: usize) -> Result<Self, Error> {
        device.bind()?;
        let mut address = 0;
        // The driver refuses to give nothing.
        let bytes = bytes.max(1).next_multiple_of(4);
        // SAFETY: `address` is a place to write to.
        unsafe { sys::cuMemAlloc_v2(&mut address, bytes) }
            .to("give memory")
            .map_err(|error| sized(error, bytes))?;
        Ok(Self { address, bytes, device: device.clone() })
    }

    /// Of its first byte, for kernels; good as long as this lives.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.device.settle();
        // SAFETY: it is ours, and no stream of the device works on it any more.
        let _ = unsafe { sys::cuMemFree_v2(self.address) };
    }
}

/// Memory of the host that the GPU copies from and to while the host does something else.
pub struct Pinned {
    pointer: *mut c_void,
    bytes: usize,
    device: Arc<Device>,
}

// SAFETY: plain memory that is ours.
unsafe impl Send for Pinned {}
// SAFETY: through a shared reference it is only read.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// All zero.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, bytes: usize) -> Result<Self, Error> {
        device.bind()?;
        let (mut pointer, bytes) = (ptr::null_mut(), bytes.max(1));
        // No flags: write-combined memory would be slow to read.
        // SAFETY: `pointer` is a place to write to.
        unsafe { sys::cuMemHostAlloc(&mut pointer, bytes, 0) }
            .to("give memory of the host")
            .map_err(|error| sized(error, bytes))?;
        // SAFETY: the driver gave as many bytes.
        unsafe { ptr::write_bytes(pointer.cast::<u8>(), 0, bytes) };
        Ok(Self { pointer, bytes, device: device.clone() })
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What is in it.
    ///
    /// # Safety
    /// No copy to it is under way.
    pub unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: initialised memory that is ours.
        unsafe { slice::from_raw_parts(self.pointer.cast(), self.bytes) }
    }

    /// What is in it, to be written.
    ///
    /// # Safety
    /// No copy to it or from it is under way.
    pub unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: initialised memory that is ours alone.
        unsafe { slice::from_raw_parts_mut(self.pointer.cast(), self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.device.settle();
        // SAFETY: as in `Buffer::drop`.
        let _ = unsafe { sys::cuMemFreeHost(self.pointer) };
    }
}

/// Rows of bytes at one distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Of the first byte.
    pub offset: usize,
    /// Bytes from row to row, at least `width`.
    pub pitch: usize,
    /// Bytes of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Rows {
    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.offset + self.pitch * self.height.saturating_sub(1) + self.width
    }

    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }
}

fn sized(error: Error, bytes: usize) -> Error {
    match error {
        Error::OutOfMemory { .. } => Error::OutOfMemory { bytes },
        other => other,
    }
}

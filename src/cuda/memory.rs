//! Memory of the GPU, and host memory that the GPU can copy from and to.

use std::{
    ffi::c_void,
    ptr, slice,
    sync::{Arc, Mutex, PoisonError},
};

use bytemuck::Pod;

use super::{Device, Error, Event};
use crate::kernels::Address;

/// Memory of the GPU, aligned to 256 bytes. Its content is unspecified until it is written.
/// Freeing it waits for the device's streams.
pub struct Buffer {
    address: Address,
    bytes: usize,
    device: Arc<Device>,
}

impl Buffer {
    /// At least `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, bytes: usize) -> Result<Self, Error> {
        let driver = device.bind()?;
        let mut address = 0;
        // The driver rejects an allocation of 0 bytes, and `Stream::fill` sets whole words.
        let bytes = bytes.max(1).next_multiple_of(4);
        // SAFETY: `address` can be written to.
        unsafe { (driver.cuMemAlloc_v2)(&mut address, bytes) }
            .check("memory allocation")
            .map_err(|error| error.for_bytes(bytes))?;
        device.allocated(address, bytes);
        Ok(Self { address, bytes, device: device.clone() })
    }

    /// Memory that holds `values`. Waits for the copy.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn holding<T: Pod>(device: &Arc<Device>, values: &[T]) -> Result<Self, Error> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let buffer = Self::new(device, bytes.len())?;
        let mut host = Pinned::new(device, bytes.len())?;
        if let Some(to) = host.bytes_mut()?.get_mut(..bytes.len()) {
            to.copy_from_slice(bytes);
        }
        device.upload().upload(&host, &buffer, bytes.len())?;
        device.upload().synchronize()?;
        Ok(buffer)
    }

    /// Address of the first byte, valid as long as this buffer.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a buffer is never empty")]
    pub fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.device.freed(self.address);
        self.device.synchronize();
        let _ = self.device.bind();
        // SAFETY: the memory is ours, and no stream of the device uses it any more.
        let _ = unsafe { (self.device.driver().cuMemFree_v2)(self.address) };
    }
}

/// Host memory that the GPU copies from and to while the host does something else. Access to
/// its bytes waits for those copies.
pub struct Pinned {
    pointer: *mut c_void,
    bytes: usize,
    /// Recorded after the last copy.
    pub(super) copied: Mutex<Event>,
    device: Arc<Device>,
}

// SAFETY: plain memory that is ours.
unsafe impl Send for Pinned {}
// SAFETY: a shared reference allows only reading it.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// At least `bytes` bytes, all zero.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, bytes: usize) -> Result<Self, Error> {
        let copied = Mutex::new(device.event()?);
        let driver = device.bind()?;
        let (mut pointer, bytes) = (ptr::null_mut(), bytes.max(1));
        // No flags: write-combined memory would be slow to read.
        // SAFETY: `pointer` can be written to.
        unsafe { (driver.cuMemHostAlloc)(&mut pointer, bytes, 0) }
            .check("host memory allocation")
            .map_err(|error| error.for_bytes(bytes))?;
        // SAFETY: the driver allocated that many bytes.
        unsafe { ptr::write_bytes(pointer.cast::<u8>(), 0, bytes) };
        Ok(Self { pointer, bytes, copied, device: device.clone() })
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }

    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "pinned memory is never empty")]
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Waits for the copies that were queued, then gives access to the bytes.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn bytes(&self) -> Result<&[u8], Error> {
        self.wait()?;
        // SAFETY: initialised memory that is ours. No copy writes to it: those that were queued
        // are done, and another needs a mutable reference.
        Ok(unsafe { slice::from_raw_parts(self.pointer.cast(), self.bytes) })
    }

    /// Waits for the copies that were queued, then gives access to the bytes.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn bytes_mut(&mut self) -> Result<&mut [u8], Error> {
        self.wait()?;
        // SAFETY: initialised memory that is ours. No copy uses it: those that were queued are
        // done, and another needs a reference.
        Ok(unsafe { slice::from_raw_parts_mut(self.pointer.cast(), self.bytes) })
    }

    fn wait(&self) -> Result<(), Error> {
        self.copied.lock().unwrap_or_else(PoisonError::into_inner).synchronize()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.device.synchronize();
        let _ = self.device.bind();
        // SAFETY: the memory is ours, and no stream of the device uses it any more.
        let _ = unsafe { (self.device.driver().cuMemFreeHost)(self.pointer) };
    }
}

/// Rows of bytes at a constant distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Bytes before the first row.
    pub offset: usize,
    /// Bytes from the start of a row to that of the next, at least `width`.
    pub pitch: usize,
    /// Bytes of a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Rows {
    /// One past the last byte; `None` if that is no valid length.
    #[must_use]
    pub fn end(&self) -> Option<usize> {
        let last = self.pitch.checked_mul(self.height.saturating_sub(1))?;
        last.checked_add(self.offset)?.checked_add(self.width)
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }
}

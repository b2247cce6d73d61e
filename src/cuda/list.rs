//! Lists that kernels read: rectangles and regions.

use std::{ops::Range, sync::Arc};

use bytemuck::Pod;

use super::{Buffer, Device, Error, Pinned};
use crate::kernels::Address;

/// A list in the GPU's memory, with the host's copy of it.
pub struct DeviceList<T> {
    items: Vec<T>,
    host: Pinned,
    buffer: Buffer,
}

impl<T: Pod> DeviceList<T> {
    /// An empty list.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, capacity: usize) -> Result<Self, Error> {
        let bytes = capacity.saturating_mul(size_of::<T>());
        let (host, buffer) = (Pinned::new(device, bytes)?, Buffer::new(device, bytes)?);
        Ok(Self { items: Vec::new(), host, buffer })
    }

    /// A list of `items`. Waits for the copy.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn holding(device: &Arc<Device>, items: Vec<T>) -> Result<Self, Error> {
        let (host, buffer) = (Pinned::new(device, 0)?, Buffer::holding(device, &items)?);
        Ok(Self { items, host, buffer })
    }

    /// Replaces the items for kernels that are queued on the compute stream from now on. Waits
    /// until the copy of the previous items is done.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn send(&mut self, items: Vec<T>) -> Result<(), Error> {
        let bytes: &[u8] = bytemuck::cast_slice(&items);
        let device = self.buffer.device().clone();
        if self.host.len() < bytes.len() || self.buffer.len() < bytes.len() {
            *self = Self::new(&device, items.len().next_power_of_two())?;
        }
        // If the copy is not queued, nobody may use what the buffer holds.
        self.items.clear();
        if let Some(host) = self.host.bytes_mut()?.get_mut(..bytes.len()) {
            host.copy_from_slice(bytes);
        }
        device.compute().upload(&self.host, &self.buffer, bytes.len())?;
        self.items = items;
        Ok(())
    }

    /// All items.
    #[must_use]
    pub fn all(&self) -> DeviceSlice<'_, T> {
        self.slice(0..self.items.len())
    }

    /// The items of `range`; none if it reaches beyond the last.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> DeviceSlice<'_, T> {
        let start = range.start;
        let items = self.items.get(range).unwrap_or_default();
        DeviceSlice { items, buffer: &self.buffer, start }
    }
}

/// A part of a [`DeviceList`].
pub struct DeviceSlice<'a, T> {
    items: &'a [T],
    buffer: &'a Buffer,
    start: usize,
}

impl<'a, T> DeviceSlice<'a, T> {
    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn items(&self) -> &'a [T] {
        self.items
    }

    pub(super) fn buffer(&self) -> &'a Buffer {
        self.buffer
    }

    pub(super) fn address(&self) -> Address {
        self.buffer.address() + (self.start * size_of::<T>()) as u64
    }
}

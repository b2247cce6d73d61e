//! Memory for the samples of large features.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use bytemuck::Pod;
use memmap2::MmapMut;

/// Blocks from this size on, in bytes, come from the system. Malloc would keep freed ones: glibc releases the
/// end of an arena only above a threshold that grows with the largest block that was freed, and each
/// thread may have an arena (<https://sourceware.org/glibc/wiki/MallocInternals>). Only for memory that is
/// used for many frames: the first write to each page is slow.
const LARGE: usize = 1 << 18;

/// Samples in one block. The memory of large blocks returns to the system when they are dropped.
pub(crate) struct SampleBuffer<T> {
    block: Block<T>,
    /// Samples in use, at most the capacity of the block.
    len: usize,
}

enum Block<T> {
    Small(Vec<T>),
    Large(MmapMut),
}

/// There is not enough memory.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is not enough memory")]
pub(crate) struct OutOfMemory;

impl<T: Pod> SampleBuffer<T> {
    /// A buffer of zeros.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    fn zeroed(len: usize) -> Result<Self, OutOfMemory> {
        let bytes = len.checked_mul(size_of::<T>()).ok_or(OutOfMemory)?;
        let block = if bytes >= LARGE {
            Block::Large(MmapMut::map_anon(bytes).map_err(|_| OutOfMemory)?)
        } else {
            let mut samples = Vec::new();
            samples.try_reserve_exact(len).map_err(|_| OutOfMemory)?;
            samples.resize(len, T::zeroed());
            Block::Small(samples)
        };
        Ok(Self { block, len })
    }

    /// Changes the number of samples, in the same memory if it suffices. New memory is zero; otherwise
    /// the values are unspecified.
    ///
    /// # Errors
    /// [`OutOfMemory`]; the buffer is empty then.
    pub(crate) fn resize(&mut self, len: usize) -> Result<(), OutOfMemory> {
        if len > self.capacity() {
            // Before the new block is requested.
            *self = Self::default();
            *self = Self::zeroed(len)?;
        }
        self.len = len;
        Ok(())
    }

    /// Samples that fit into the memory.
    pub(crate) fn capacity(&self) -> usize {
        self.block.samples().len()
    }
}

impl<T: Pod> Block<T> {
    fn samples(&self) -> &[T] {
        match self {
            Self::Small(samples) => samples,
            // The block begins at a page, so that any sample is aligned.
            Self::Large(bytes) => bytemuck::try_cast_slice(bytes).unwrap_or_default(),
        }
    }

    fn samples_mut(&mut self) -> &mut [T] {
        match self {
            Self::Small(samples) => samples,
            Self::Large(bytes) => bytemuck::try_cast_slice_mut(bytes).unwrap_or_default(),
        }
    }
}

impl<T: Pod> Deref for SampleBuffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.block.samples().get(..self.len).unwrap_or_default()
    }
}

impl<T: Pod> DerefMut for SampleBuffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.block.samples_mut().get_mut(..self.len).unwrap_or_default()
    }
}

impl<T> Default for SampleBuffer<T> {
    fn default() -> Self {
        Self { block: Block::Small(Vec::new()), len: 0 }
    }
}

impl<T: Pod> From<Vec<T>> for SampleBuffer<T> {
    fn from(samples: Vec<T>) -> Self {
        let len = samples.len();
        Self { block: Block::Small(samples), len }
    }
}

impl<T: Pod> Clone for SampleBuffer<T> {
    fn clone(&self) -> Self {
        match Self::zeroed(self.len) {
            Ok(mut copy) => {
                copy.copy_from_slice(self);
                copy
            }
            // Aborts if there is no memory, as every clone does.
            Err(OutOfMemory) => self.to_vec().into(),
        }
    }
}

impl<T: Pod + PartialEq> PartialEq for SampleBuffer<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for SampleBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_buffers_are_zero_and_keep_their_memory_when_they_shrink() {
        for len in [0, 1, 1000, LARGE, 3 * LARGE + 1] {
            let mut buffer = SampleBuffer::<f32>::default();
            buffer.resize(len).unwrap();
            assert!(buffer.len() == len && buffer.iter().all(|&sample| sample == 0.0));
            buffer.fill(1.0);
            let (start, copy) = (buffer.as_ptr(), buffer.clone());
            assert!(copy == buffer && copy.len() == len);
            buffer.resize(len / 2).unwrap();
            assert_eq!((buffer.len(), buffer.as_ptr()), (len / 2, start));
            assert!(buffer.capacity() >= len);
        }
    }

    #[test]
    fn more_memory_than_the_address_space_is_an_error() {
        let mut buffer = SampleBuffer::<f32>::from(vec![1.0; 3]);
        assert_eq!(buffer.resize(usize::MAX / 8), Err(OutOfMemory));
        assert!(buffer.is_empty());
        assert_eq!(buffer.resize(usize::MAX), Err(OutOfMemory));
    }
}

//! The memory of features.

use super::{Error, kernels::Lanes, sample_buffer::SampleBuffer};

/// Sixteen channels, row after row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plane {
    pub height: usize,
    pub width: usize,
    pub data: SampleBuffer<Lanes>,
}

impl Plane {
    /// A plane of this size in the memory of `data`, whose content does not matter.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn reuse(
        [height, width]: [usize; 2],
        mut data: SampleBuffer<Lanes>,
    ) -> Result<Self, Error> {
        let count = height.checked_mul(width).ok_or(Error::OutOfMemory)?;
        data.resize(count).map_err(|_| Error::OutOfMemory)?;
        Ok(Self { height, width, data })
    }

    /// One pixel; `None` outside of the plane.
    pub(crate) fn get(&self, y: i64, x: i64) -> Option<&Lanes> {
        let y = usize::try_from(y).ok().filter(|&y| y < self.height)?;
        let x = usize::try_from(x).ok().filter(|&x| x < self.width)?;
        self.data.get(y * self.width + x)
    }
}

/// For each layer and vector of channels the largest magnitudes.
pub(crate) type Ranges = Vec<Vec<Lanes>>;

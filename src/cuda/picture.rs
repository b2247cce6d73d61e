//! Float pictures, and the coefficients that resample them, in the GPU's memory.

use std::sync::Arc;

use super::{Buffer, Device, Error};
use crate::{
    frame::Resampler,
    kernels::{Address, FilterArgs, FilterData, PictureArgs, SPAN, Samples},
};

/// A planar picture: channel after channel, with rows that have room for whole spans.
pub struct DevicePicture {
    buffer: Buffer,
    channels: u32,
    width: u32,
    height: u32,
    samples: Samples,
}

impl DevicePicture {
    /// Memory for a picture of `width` × `height` pixels; its content is unspecified.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(
        device: &Arc<Device>,
        channels: usize,
        (width, height): (u32, u32),
        samples: Samples,
    ) -> Result<Self, Error> {
        let bytes = [stride(width) as usize, height as usize, samples.size()]
            .into_iter()
            .fold(channels, usize::saturating_mul);
        let buffer = Buffer::new(device, bytes)?;
        Ok(Self { buffer, channels: channels as u32, width, height, samples })
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> u32 {
        self.channels
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The type of its samples.
    #[must_use]
    pub fn samples(&self) -> Samples {
        self.samples
    }

    /// Address of the first sample if the rows have no padding, as in a batch.
    #[must_use]
    pub fn as_batch(&self) -> Option<Address> {
        self.width.is_multiple_of(SPAN).then(|| self.buffer.address())
    }

    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    pub(super) fn args(&self) -> PictureArgs {
        let stride = stride(self.width);
        PictureArgs {
            data: self.buffer.address(),
            channel_stride: u64::from(stride) * u64::from(self.height),
            stride,
            unused: 0,
        }
    }
}

/// Samples from row to row.
fn stride(width: u32) -> u32 {
    width.saturating_add(SPAN - 1) / SPAN * SPAN
}

/// A [`Resampler`]'s coefficients.
pub struct DeviceResampler {
    axes: [DeviceFilter; 2],
}

/// Coefficients along one axis.
struct DeviceFilter {
    windows: Buffer,
    weights: Buffer,
    taps: u32,
    outputs: u32,
    /// Input samples that the windows reach.
    inputs: u32,
}

impl DeviceResampler {
    /// Copies the coefficients to the GPU, and waits for that.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Lost`].
    pub fn new(device: &Arc<Device>, resampler: &Resampler) -> Result<Self, Error> {
        let [horizontal, vertical] = FilterData::of(resampler);
        let filter = |data: FilterData| {
            let last = data.windows.iter().map(|[start, _]| *start).max();
            Ok::<_, Error>(DeviceFilter {
                windows: Buffer::holding(device, &data.windows)?,
                weights: Buffer::holding(device, &data.weights)?,
                taps: data.taps,
                outputs: data.windows.len() as u32,
                inputs: last.map_or(0, |start| start.saturating_add(data.taps)),
            })
        };
        Ok(Self { axes: [filter(horizontal)?, filter(vertical)?] })
    }

    /// Whether it makes pictures of size `to` from pictures of size `from`.
    pub(super) fn fits(&self, from: (u32, u32), to: (u32, u32)) -> bool {
        let [horizontal, vertical] = &self.axes;
        horizontal.inputs <= from.0
            && vertical.inputs <= from.1
            && (horizontal.outputs, vertical.outputs) == to
    }

    pub(super) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.axes.iter().flat_map(|axis| [&axis.windows, &axis.weights])
    }

    /// Horizontal and vertical.
    pub(super) fn args(&self) -> [FilterArgs; 2] {
        self.axes.each_ref().map(|axis| FilterArgs {
            windows: axis.windows.address(),
            weights: axis.weights.address(),
            taps: axis.taps,
            outputs: axis.outputs,
        })
    }
}

//! Float pictures, and what is computed from, in a GPU's memory.

use std::sync::Arc;

use bytemuck::Pod;

use crate::{
    cuda::{Buffer, Device, Error, Pinned, Stream, Work},
    frame::{Rect, Resampler},
    kernels::{self, Address, Coefficients, Picture, SPAN, Samples, Table},
};

/// Channels one after the other, rows with room for whole spans.
pub(super) struct DevicePicture {
    buffer: Buffer,
    pub channels: u32,
    pub width: u32,
    pub height: u32,
    pub samples: Samples,
}

impl DevicePicture {
    pub fn new(
        device: &Arc<Device>,
        channels: usize,
        (width, height): (u32, u32),
        samples: Samples,
    ) -> Result<Self, Error> {
        let stride = width.next_multiple_of(SPAN) as usize;
        let bytes =
            channels.saturating_mul(stride * height as usize).saturating_mul(samples.size());
        let buffer = Buffer::new(device, bytes)?;
        Ok(Self { buffer, channels: channels as u32, width, height, samples })
    }

    pub fn picture(&self) -> Picture {
        let stride = self.width.next_multiple_of(SPAN);
        Picture {
            data: self.buffer.address(),
            channel_stride: u64::from(stride) * u64::from(self.height),
            stride,
            unused: 0,
        }
    }

    /// Where the samples are, if they lie as in a batch, without padding.
    pub fn as_batch(&self) -> Option<Address> {
        self.width.is_multiple_of(SPAN).then(|| self.buffer.address())
    }
}

/// Memory with `values` in it.
pub(super) fn constant<T: Pod>(device: &Arc<Device>, values: &[T]) -> Result<Buffer, Error> {
    let mut list = List::new(device, size_of_val(values))?;
    list.send(device, device.upload(), values)?;
    device.upload().synchronize()?;
    Ok(list.buffer)
}

/// A list that is new in each frame, on the host and where kernels read it.
pub(super) struct List {
    host: Pinned,
    buffer: Buffer,
}

impl List {
    pub fn new(device: &Arc<Device>, bytes: usize) -> Result<Self, Error> {
        Ok(Self { host: Pinned::new(device, bytes)?, buffer: Buffer::new(device, bytes)? })
    }

    /// Has `values` copied on `stream`, past whose last use of the list it is already; where
    /// they will be.
    pub fn send<T: Pod>(
        &mut self,
        device: &Arc<Device>,
        stream: &Stream,
        values: &[T],
    ) -> Result<Address, Error> {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        if self.host.len() < bytes.len() {
            *self = Self::new(device, bytes.len().next_power_of_two())?;
        }
        // SAFETY: the caller says that the last copy is done.
        if let Some(host) = unsafe { self.host.bytes_mut() }.get_mut(..bytes.len()) {
            host.copy_from_slice(bytes);
        }
        stream.upload(&self.host, &self.buffer, bytes.len())?;
        Ok(self.buffer.address())
    }
}

/// A resampler's coefficients.
pub(super) struct Tables([(Coefficients, Buffer, Buffer); 2]);

impl Tables {
    pub fn new(device: &Arc<Device>, resampler: &Resampler) -> Result<Self, Error> {
        let [across, down] = Coefficients::of(resampler);
        let sent = |it: Coefficients| {
            let (windows, weights) =
                (constant(device, &it.windows)?, constant(device, &it.weights)?);
            Ok((it, windows, weights))
        };
        Ok(Self([sent(across)?, sent(down)?]))
    }

    /// Across and down.
    pub fn get(&self) -> [Table; 2] {
        self.0
            .each_ref()
            .map(|(it, windows, weights)| it.table(windows.address(), weights.address()))
    }
}

/// The work that `rects` are, for threads that take `span` pixels each.
pub(super) fn work(rects: &[Rect], span: u32) -> Work {
    let spans = rects.iter().map(|rect| rect.right().div_ceil(span) - rect.x / span).max();
    let rows = rects.iter().map(|rect| rect.height).max();
    let layers = u32::try_from(rects.len()).unwrap_or(u32::MAX);
    Work { spans: spans.unwrap_or(0), rows: rows.unwrap_or(0), layers }
}

/// Rectangles as kernels read them.
pub(super) fn as_kernels_do(rects: &[Rect]) -> Vec<kernels::Rect> {
    rects.iter().map(|rect| (*rect).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_rounded_outwards_to_spans() {
        let rects = [Rect::new(15, 3, 2, 9), Rect::new(32, 0, 16, 1)];
        assert_eq!(work(&rects, 16), Work { spans: 2, rows: 9, layers: 2 });
        assert_eq!(work(&[], 16), Work { spans: 0, rows: 0, layers: 0 });
    }
}

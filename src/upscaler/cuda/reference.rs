//! Stage 2: how a frame differs from what the canvas was computed from.

use std::sync::Arc;

use super::{
    layout::Layout,
    picture::{as_kernels_do, constant, work},
};
use crate::{
    cuda::{Buffer, Device, Error, Event, Kernel, Pinned, Stream},
    frame::Rect,
    kernels::{Address, Compare, Plane, SPAN},
    reuse::{ChangedMap, Mode},
};

/// What [`reuse::Reference`](crate::reuse::Reference) is, in a GPU's memory. Its work is done on
/// the upload stream, beside that of the model.
pub(super) struct Reference {
    device: Arc<Device>,
    frame: Buffer,
    /// A bit per block, as in a [`ChangedMap`].
    bits: Buffer,
    host: Pinned,
    /// One rectangle, the frame.
    rect: Buffer,
    whole: Rect,
    /// Whether it holds a picture.
    filled: bool,
    /// Frames that were compared.
    frames: u64,
    compared: Event,
    /// Past the last unpacking of it.
    read: Event,
}

impl Reference {
    pub fn new(device: &Arc<Device>, layout: &Layout) -> Result<Self, Error> {
        let whole = Rect::of_size(layout.info.width, layout.info.height);
        let words = ChangedMap::none(whole.width, whole.height);
        let bytes = size_of_val(words.words());
        Ok(Self {
            frame: Buffer::new(device, layout.bytes())?,
            bits: Buffer::new(device, bytes)?,
            host: Pinned::new(device, bytes)?,
            rect: constant(device, &as_kernels_do(&[whole]))?,
            whole,
            filled: false,
            frames: 0,
            compared: device.event()?,
            read: device.event()?,
            device: device.clone(),
        })
    }

    /// The next frame differs everywhere.
    pub fn reset(&mut self) {
        self.filled = false;
    }

    /// Its planes.
    pub fn planes(&self, layout: &Layout) -> Vec<Plane> {
        layout.planes(self.frame.address())
    }

    /// `stream` has read it.
    pub fn was_read(&self, stream: &Stream) -> Result<(), Error> {
        stream.record(&self.read)
    }

    /// The blocks of the frame at `frame` that differ. Waits for them, but for nothing that the
    /// model does.
    pub fn compare(
        &mut self,
        layout: &Layout,
        frame: Address,
        mode: Mode,
    ) -> Result<ChangedMap, Error> {
        let (width, height) = (self.whole.width, self.whole.height);
        if !self.filled {
            return Ok(ChangedMap::all(width, height));
        }
        let blocks = ChangedMap::none(width, height);
        let (tolerance, due) = mode.limits(self.frames, blocks.columns(), blocks.rows());
        self.frames += 1;
        let arguments = Compare { due: due.into(), ..self.arguments(layout, frame, tolerance) };
        let stream = self.device.upload();
        stream.fill(&self.bits, 0)?;
        self.launch(Kernel::CompareBlocks, &arguments)?;
        stream.download(&self.bits, &self.host, self.host.len())?;
        stream.record(&self.compared)?;
        self.compared.synchronize()?;
        // SAFETY: the copy is done.
        let bytes = unsafe { self.host.bytes() };
        Ok(ChangedMap::of_words(width, height, bytemuck::cast_slice(bytes)))
    }

    /// Takes the blocks that the last comparison found, or all where there was none.
    pub fn take_changed(&mut self, layout: &Layout, frame: Address) -> Result<(), Error> {
        if !self.filled {
            return self.take_all(layout, frame);
        }
        self.update(layout, frame)
    }

    /// Takes every block.
    pub fn take_all(&mut self, layout: &Layout, frame: Address) -> Result<(), Error> {
        self.device.upload().fill(&self.bits, u32::MAX)?;
        self.filled = true;
        self.update(layout, frame)
    }

    /// Takes the blocks of `map`, after a comparison.
    pub fn take(&mut self, layout: &Layout, frame: Address, map: &ChangedMap) -> Result<(), Error> {
        let bytes: &[u8] = bytemuck::cast_slice(map.words());
        // SAFETY: the copy of the comparison is done, and what was sent before it too.
        if let Some(host) = unsafe { self.host.bytes_mut() }.get_mut(..bytes.len()) {
            host.copy_from_slice(bytes);
        }
        self.device.upload().upload(&self.host, &self.bits, bytes.len())?;
        self.update(layout, frame)
    }

    fn update(&self, layout: &Layout, frame: Address) -> Result<(), Error> {
        self.device.upload().wait(&self.read)?;
        self.launch(Kernel::UpdateReference, &self.arguments(layout, frame, 0))
    }

    fn arguments(&self, layout: &Layout, frame: Address, tolerance: u8) -> Compare {
        let words = self.whole.width.div_ceil(8 * u64::BITS);
        Compare {
            changed: self.bits.address(),
            row_words: 2 * words,
            rects: self.rect.address(),
            ..Compare::new(&layout.info, &layout.planes(frame), &self.planes(layout), tolerance)
        }
    }

    fn launch(&self, kernel: Kernel, arguments: &Compare) -> Result<(), Error> {
        // SAFETY: frames of this layout, and a bit for each of their blocks.
        unsafe {
            self.device.launch(self.device.upload(), kernel, arguments, work(&[self.whole], SPAN))
        }
    }
}

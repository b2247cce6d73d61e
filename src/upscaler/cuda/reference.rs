//! Stage 2: how a frame differs from what the canvas was computed from.

use std::sync::Arc;

use crate::{
    cuda::{Device, DeviceChanges, DeviceFrame, Error, Event, FrameLayout, Pinned, Stream},
    reuse::{ChangedMap, Mode},
};

/// What [`reuse::Reference`](crate::reuse::Reference) is, in a GPU's memory. Its work is done on
/// the upload stream, beside that of the model.
pub(super) struct Reference {
    device: Arc<Device>,
    frame: DeviceFrame,
    changes: DeviceChanges,
    /// The bits of `changes`.
    host: Pinned,
    size: (u32, u32),
    /// Whether it holds a picture.
    filled: bool,
    /// Frames that were compared.
    frames: u64,
    /// Past the last unpacking of it.
    read: Event,
}

impl Reference {
    pub fn new(device: &Arc<Device>, layout: &Arc<FrameLayout>) -> Result<Self, Error> {
        let (width, height) = (layout.info().width, layout.info().height);
        let blocks = ChangedMap::none(width, height);
        Ok(Self {
            frame: DeviceFrame::new(device, layout)?,
            changes: DeviceChanges::new(device, width, height)?,
            host: Pinned::new(device, size_of_val(blocks.words()))?,
            size: (width, height),
            filled: false,
            frames: 0,
            read: device.event()?,
            device: device.clone(),
        })
    }

    /// The next frame differs everywhere.
    pub fn reset(&mut self) {
        self.filled = false;
    }

    /// The frame that it holds.
    pub fn frame(&self) -> &DeviceFrame {
        &self.frame
    }

    /// `stream` has read it.
    pub fn was_read(&self, stream: &Stream) -> Result<(), Error> {
        stream.record(&self.read)
    }

    /// The blocks of `frame` that differ. Waits for the comparison, but not for the model.
    pub fn compare(&mut self, frame: &DeviceFrame, mode: Mode) -> Result<ChangedMap, Error> {
        let (width, height) = self.size;
        if !self.filled {
            return Ok(ChangedMap::all(width, height));
        }
        let blocks = ChangedMap::none(width, height);
        let (tolerance, due) = mode.limits(self.frames, blocks.columns(), blocks.rows());
        self.frames += 1;
        let stream = self.device.upload();
        stream.fill(self.changes.bits(), 0)?;
        self.device.compare(frame, &self.frame, tolerance, due, &self.changes)?;
        let bytes = self.host.len();
        stream.download(self.changes.bits(), &mut self.host, bytes)?;
        Ok(ChangedMap::of_words(width, height, bytemuck::cast_slice(self.host.bytes()?)))
    }

    /// Copies the blocks that the last comparison found, or all if there was none.
    pub fn take_changed(&mut self, frame: &DeviceFrame) -> Result<(), Error> {
        if !self.filled {
            return self.take_all(frame);
        }
        self.update(frame)
    }

    /// Copies every block.
    pub fn take_all(&mut self, frame: &DeviceFrame) -> Result<(), Error> {
        self.device.upload().fill(self.changes.bits(), u32::MAX)?;
        self.filled = true;
        self.update(frame)
    }

    /// Copies the blocks of `map`, after a comparison.
    pub fn take(&mut self, frame: &DeviceFrame, map: &ChangedMap) -> Result<(), Error> {
        let bytes: &[u8] = bytemuck::cast_slice(map.words());
        if let Some(host) = self.host.bytes_mut()?.get_mut(..bytes.len()) {
            host.copy_from_slice(bytes);
        }
        self.device.upload().upload(&self.host, self.changes.bits(), bytes.len())?;
        self.update(frame)
    }

    fn update(&self, frame: &DeviceFrame) -> Result<(), Error> {
        self.device.upload().wait(&self.read)?;
        self.device.update(frame, &self.frame, &self.changes)
    }
}

//! How a frame differs from the one that the canvas was computed from.

use std::sync::Arc;

use super::super::decision::Take;
use crate::{
    cuda::{Device, DeviceChanges, DeviceFrame, Error, Event, FrameLayout, Pinned, Stream},
    frame::{Rect, Unpacker},
    reuse::{ChangedMap, Changes, Mode},
};

/// A [`reuse::Reference`](crate::reuse::Reference) in the memory of a GPU. It works on the upload
/// stream, in parallel with the model.
pub(super) struct Reference {
    device: Arc<Device>,
    frame: DeviceFrame,
    /// Changed blocks of what the model reads.
    model: Map,
    /// Changed blocks of what bypasses the model.
    bypass: Map,
    /// The samples of each plane that the model reads, and those that bypass it.
    planes: Vec<PlaneUse>,
    /// Whether it holds a frame.
    filled: bool,
    /// Number of frames that were compared.
    frames: u64,
    /// Recorded after the last read.
    read: Event,
}

/// Which samples of a plane's groups are used, one bit per sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PlaneUse {
    /// Those that the model reads.
    model: u32,
    /// Those that bypass the model.
    bypass: u32,
}

/// Changed blocks, in the memory of the GPU and of the host.
struct Map {
    changes: DeviceChanges,
    /// The bits of `changes`.
    host: Pinned,
    size: (u32, u32),
}

impl Map {
    fn new(device: &Arc<Device>, (width, height): (u32, u32)) -> Result<Self, Error> {
        let bytes = size_of_val(ChangedMap::none(width, height).words());
        let changes = DeviceChanges::new(device, width, height)?;
        Ok(Self { changes, host: Pinned::new(device, bytes)?, size: (width, height) })
    }

    /// Queues the download of the bits.
    fn download(&mut self, stream: &Stream) -> Result<(), Error> {
        let bytes = self.host.len();
        stream.download(self.changes.bits(), &mut self.host, bytes)
    }

    /// Waits for the download.
    fn get(&self) -> Result<ChangedMap, Error> {
        let words = bytemuck::cast_slice(self.host.bytes()?);
        Ok(ChangedMap::of_words(self.size.0, self.size.1, words))
    }

    /// Queues the upload of the blocks of `rects`. False if there are none.
    fn send(&mut self, stream: &Stream, rects: &[Rect]) -> Result<bool, Error> {
        let map = ChangedMap::of_rects(rects, self.size.0, self.size.1);
        let bytes: &[u8] = bytemuck::cast_slice(map.words());
        if let Some(host) = self.host.bytes_mut()?.get_mut(..bytes.len()) {
            host.copy_from_slice(bytes);
        }
        stream.upload(&self.host, self.changes.bits(), bytes.len())?;
        Ok(!map.is_empty())
    }
}

impl Reference {
    /// For frames of this `layout`, of which the model reads what `unpacker` says.
    pub(crate) fn new(
        device: &Arc<Device>,
        layout: &Arc<FrameLayout>,
        unpacker: &Unpacker,
    ) -> Result<Self, Error> {
        let size = (layout.info().width, layout.info().height);
        let format = layout.info().format;
        let mut planes = vec![PlaneUse::default(); format.planes()];
        for (index, component) in format.layout().components.iter().enumerate() {
            if let Some(plane) = planes.get_mut(component.plane) {
                let samples =
                    if unpacker.reads(index) { &mut plane.model } else { &mut plane.bypass };
                *samples |= 1 << component.offset;
            }
        }
        Ok(Self {
            frame: DeviceFrame::new(device, layout)?,
            model: Map::new(device, size)?,
            bypass: Map::new(device, size)?,
            planes,
            filled: false,
            frames: 0,
            read: device.event()?,
            device: device.clone(),
        })
    }

    /// Forgets the frame: the next one differs everywhere.
    pub(crate) fn reset(&mut self) {
        self.filled = false;
    }

    /// The frame that it holds.
    pub(crate) fn frame(&self) -> &DeviceFrame {
        &self.frame
    }

    /// Records that `stream` has read it.
    pub(crate) fn was_read(&self, stream: &Stream) -> Result<(), Error> {
        stream.record(&self.read)
    }

    /// Where `frame` differs. Waits for the comparison, but not for the model. See
    /// [`reuse::Reference::changes`](crate::reuse::Reference::changes).
    pub(crate) fn changes(&mut self, frame: &DeviceFrame, mode: Mode) -> Result<Changes, Error> {
        let (width, height) = self.model.size;
        let none = ChangedMap::none(width, height);
        if !self.filled {
            let model_planes = ChangedMap::all(width, height);
            return Ok(Changes { model_planes, bypass_planes: none });
        }
        let (tolerance, due) = mode.limits(self.frames, none.columns(), none.rows());
        self.frames += 1;
        let (stream, (model, bypass)) = (self.device.upload(), self.samples(mode));
        let mut maps = [(&mut self.model, model), (&mut self.bypass, bypass)];
        for (map, samples) in &mut maps {
            if samples.iter().any(|samples| *samples != 0) {
                stream.fill(map.changes.bits(), 0)?;
                let changes = &map.changes;
                self.device.compare(frame, &self.frame, samples, tolerance, due, changes)?;
                map.download(stream)?;
            }
        }
        let [model, bypass] = maps.map(|(map, samples)| {
            if samples.iter().any(|samples| *samples != 0) { map.get() } else { Ok(none.clone()) }
        });
        Ok(Changes { model_planes: model?, bypass_planes: bypass? })
    }

    /// The samples of each plane that count as read by the model, and as bypassing it. With a
    /// tolerance, all samples of a plane that the model reads in part count as read: taking a block
    /// copies the whole plane, and the canvas must be computed from what was taken.
    fn samples(&self, mode: Mode) -> (Vec<u32>, Vec<u32>) {
        let samples = |plane: &PlaneUse| match (mode, plane.model) {
            (Mode::Exact, _) | (_, 0) => (plane.model, plane.bypass),
            (Mode::Tolerant { .. }, model) => (model | plane.bypass, 0),
        };
        self.planes.iter().map(samples).unzip()
    }

    /// Takes from `frame`, which differs by `changes` as compared last.
    pub(crate) fn take(
        &mut self,
        frame: &DeviceFrame,
        take: &Take,
        changes: Option<&Changes>,
    ) -> Result<(), Error> {
        let stream = self.device.upload();
        let all = self.planes.iter().map(|plane| plane.model | plane.bypass).collect::<Vec<_>>();
        let changes = match (take, changes) {
            (Take::Discard, _) => {
                self.filled = false;
                return Ok(());
            }
            (Take::Nothing, _) => return Ok(()),
            (Take::Changed | Take::ChangedAnd(_), Some(changes)) if self.filled => changes,
            _ => {
                self.filled = true;
                stream.fill(self.model.changes.bits(), u32::MAX)?;
                return self.update(frame, &all, &self.model);
            }
        };
        if !changes.model_planes.is_empty() {
            self.update(frame, &all, &self.model)?;
        }
        if !changes.bypass_planes.is_empty() {
            let bypass: Vec<_> = self.planes.iter().map(|plane| plane.bypass).collect();
            self.update(frame, &bypass, &self.bypass)?;
        }
        if let Take::ChangedAnd(rects) = take
            && self.model.send(stream, rects)?
        {
            self.update(frame, &all, &self.model)?;
        }
        Ok(())
    }

    /// Queues the copy of the blocks of `map`, in the planes that have any of `samples`.
    fn update(&self, frame: &DeviceFrame, samples: &[u32], map: &Map) -> Result<(), Error> {
        self.device.upload().wait(&self.read)?;
        self.device.update(frame, &self.frame, samples, &map.changes)
    }
}

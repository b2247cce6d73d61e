//! Unpacking frames to float samples.

use std::sync::Arc;

use super::super::damage::Damage;
use crate::{
    cuda::{
        Device, DeviceFrame, DeviceList, DevicePicture, DeviceResampler, Error, FrameLayout,
        FramePictures,
    },
    frame::{BypassKind, BypassPlanes, Channels, Rect, Unpacker},
    kernels::Samples,
};

/// The source picture: what the model reads of a frame, and the planes that bypass it.
pub(super) struct Source {
    device: Arc<Device>,
    pub main: DevicePicture,
    pub bypass_planes: Vec<(BypassKind, DevicePicture)>,
    upsampler: DeviceResampler,
    /// One rectangle, the frame.
    whole: DeviceList<Rect>,
    bounds: Rect,
}

impl Source {
    pub(crate) fn new(
        device: &Arc<Device>,
        layout: &FrameLayout,
        unpacker: &Unpacker,
        channels: Channels,
        samples: Samples,
    ) -> Result<Self, Error> {
        let size = (layout.info().width, layout.info().height);
        let bounds = Rect::of_size(size.0, size.1);
        let bypass = |it: &BypassPlanes| {
            let size = (it.grid.width(), it.grid.height());
            Ok((it.kind, DevicePicture::new(device, it.channels(), size, Samples::F32)?))
        };
        Ok(Self {
            main: DevicePicture::new(device, channels.count(), size, samples)?,
            bypass_planes: unpacker.bypass_planes().iter().map(bypass).collect::<Result<_, _>>()?,
            upsampler: DeviceResampler::new(device, unpacker.upsampler())?,
            whole: DeviceList::holding(device, vec![bounds])?,
            bounds,
            device: device.clone(),
        })
    }

    /// Queues the unpacking of `pixels` of `frame`, on the compute stream. Overwrites `list`.
    pub(crate) fn unpack(
        &self,
        frame: &DeviceFrame,
        pixels: &Damage,
        list: &mut DeviceList<Rect>,
    ) -> Result<(), Error> {
        let rects = pixels.rects(self.bounds);
        let rects = match rects.as_slice() {
            [] => return Ok(()),
            [rect] if *rect == self.bounds => self.whole.all(),
            _ => {
                list.send(rects)?;
                list.all()
            }
        };
        let pictures = FramePictures {
            model: &self.main,
            chroma: self.bypass_picture(BypassKind::Chroma),
            alpha: self.bypass_picture(BypassKind::Alpha),
        };
        self.device.unpack(frame, pictures, &self.upsampler, &rects)
    }

    fn bypass_picture(&self, kind: BypassKind) -> Option<&DevicePicture> {
        self.bypass_planes.iter().find(|(of, _)| *of == kind).map(|(_, picture)| picture)
    }
}

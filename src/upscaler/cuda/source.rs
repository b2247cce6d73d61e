//! Stage 1: frames to float pictures.

use std::sync::Arc;

use crate::{
    cuda::{
        Device, DeviceFrame, DeviceList, DevicePicture, DeviceResampler, Error, FrameLayout,
        FramePictures,
    },
    frame::{BypassKind, BypassPlanes, Channels, Rect, Unpacker},
    kernels::Samples,
};

/// A frame's pictures: what the model is given of it, and what goes beside the model.
pub(super) struct Source {
    device: Arc<Device>,
    pub main: DevicePicture,
    pub bypass_planes: Vec<(BypassKind, DevicePicture)>,
    upsampler: DeviceResampler,
    whole: DeviceList<Rect>,
    /// Whether they are those of the reference.
    pub current: bool,
}

impl Source {
    pub fn new(
        device: &Arc<Device>,
        layout: &FrameLayout,
        unpacker: &Unpacker,
        channels: Channels,
        samples: Samples,
    ) -> Result<Self, Error> {
        let size = (layout.info().width, layout.info().height);
        let bypass = |it: &BypassPlanes| {
            let size = (it.grid.width(), it.grid.height());
            Ok((it.kind, DevicePicture::new(device, it.channels(), size, Samples::F32)?))
        };
        Ok(Self {
            main: DevicePicture::new(device, channels.count(), size, samples)?,
            bypass_planes: unpacker.bypass_planes().iter().map(bypass).collect::<Result<_, _>>()?,
            upsampler: DeviceResampler::new(device, unpacker.upsampler())?,
            whole: DeviceList::holding(device, vec![Rect::of_size(size.0, size.1)])?,
            current: false,
            device: device.clone(),
        })
    }

    /// Queues the unpacking of `frame`, on the compute stream.
    pub fn unpack(&self, frame: &DeviceFrame) -> Result<(), Error> {
        let pictures = FramePictures {
            model: &self.main,
            chroma: self.bypass_picture(BypassKind::Chroma),
            alpha: self.bypass_picture(BypassKind::Alpha),
        };
        self.device.unpack(frame, pictures, &self.upsampler, &self.whole.all())
    }

    fn bypass_picture(&self, kind: BypassKind) -> Option<&DevicePicture> {
        self.bypass_planes.iter().find(|(of, _)| *of == kind).map(|(_, picture)| picture)
    }
}

//! Stage 1: frames to float pictures.

use std::sync::Arc;

use super::{
    layout::Layout,
    picture::{DevicePicture, Tables, as_kernels_do, constant, work},
};
use crate::{
    cuda::{Buffer, Device, Error, Kernel},
    frame::{BypassKind, Channels, Rect, Unpacker},
    kernels::{self, Plane, SPAN, Samples, Unpack},
};

/// A frame's pictures: what the model is given of it, and what goes beside the model.
pub(super) struct Source {
    device: Arc<Device>,
    pub main: DevicePicture,
    pub bypass_planes: Vec<(BypassKind, DevicePicture)>,
    upsampler: Tables,
    rect: Buffer,
    whole: Rect,
    channels: Channels,
    /// Whether they are those of the reference.
    pub current: bool,
}

impl Source {
    pub fn new(
        device: &Arc<Device>,
        layout: &Layout,
        unpacker: &Unpacker,
        channels: Channels,
        samples: Samples,
    ) -> Result<Self, Error> {
        let size = (layout.info.width, layout.info.height);
        let whole = Rect::of_size(size.0, size.1);
        let bypass = |it: &crate::frame::BypassPlanes| {
            let size = (it.grid.width(), it.grid.height());
            Ok((it.kind, DevicePicture::new(device, it.channels(), size, Samples::F32)?))
        };
        Ok(Self {
            main: DevicePicture::new(device, channels.count(), size, samples)?,
            bypass_planes: unpacker.bypass_planes().iter().map(bypass).collect::<Result<_, _>>()?,
            upsampler: Tables::new(device, unpacker.upsampler())?,
            rect: constant(device, &as_kernels_do(&[whole]))?,
            whole,
            channels,
            current: false,
            device: device.clone(),
        })
    }

    /// Has the pictures made of the frame whose planes these are, on the compute stream.
    pub fn unpack(&self, layout: &Layout, planes: &[Plane]) -> Result<(), Error> {
        let [across, down] = self.upsampler.get();
        let mut arguments = Unpack {
            frame: kernels::Frame::new(&layout.info, planes),
            main: self.main.picture(),
            across,
            down,
            rects: self.rect.address(),
            channels: self.channels.count() as u32,
            ..Default::default()
        };
        for (kind, picture) in &self.bypass_planes {
            match kind {
                BypassKind::Chroma => arguments.chroma = picture.picture(),
                BypassKind::Alpha => arguments.alpha = picture.picture(),
            }
        }
        let kernel = Kernel::Unpack(self.main.samples);
        let work = work(&[self.whole], SPAN);
        // SAFETY: a frame of this layout, and pictures as large.
        unsafe { self.device.launch(self.device.compute(), kernel, &arguments, work) }
    }
}

//! The stages after the model: resampling to the output's size, blending, grain and packing.

use std::{ops::Range, sync::Arc};

use super::{
    super::{conversion::Conversion, settings::FrameParams},
    source::Source,
};
use crate::{
    cuda::{
        Buffer, Device, DeviceFrame, DeviceList, DevicePicture, DeviceResampler, DeviceSlice,
        Error, Finish, FrameLayout, FramePictures,
    },
    frame::{self, BypassKind, FrameInfo, Grain, Grid, Rect},
    kernels::{self, Samples},
};

/// Makes outputs, set up once per stream.
pub(super) struct Finisher {
    device: Arc<Device>,
    pub conversion: Conversion,
    pub layout: Arc<FrameLayout>,
    canvas: DeviceResampler,
    input: DeviceResampler,
    downsampler: DeviceResampler,
    bypass_planes: Vec<BypassPicture>,
    /// The picture at the output's size, unless it is the canvas itself.
    finished: Option<DevicePicture>,
    noise: Buffer,
}

/// Planes that bypass the model, at the output's size.
struct BypassPicture {
    kind: BypassKind,
    grid: Grid,
    resampler: DeviceResampler,
    picture: DevicePicture,
}

/// Which pixels of an output are computed.
#[derive(Clone, Copy)]
pub(super) struct Repaint<'a> {
    /// Pixels that differ from the previous output.
    pub changed: &'a [Rect],
    /// Pixels that differ from the contents of the frame's memory, including `changed`.
    pub outdated: &'a [Rect],
}

impl Finisher {
    pub(crate) fn new(
        device: &Arc<Device>,
        layout: Arc<FrameLayout>,
        conversion: Conversion,
    ) -> Result<Self, Error> {
        let bypass_planes = conversion.packer.bypass_planes().iter().zip(&conversion.bypass_planes);
        let bypass = |(it, resampler): (&frame::BypassPlanes, _)| {
            let size = (it.grid.width(), it.grid.height());
            Ok(BypassPicture {
                kind: it.kind,
                grid: it.grid,
                resampler: DeviceResampler::new(device, resampler)?,
                picture: DevicePicture::new(device, it.channels(), size, Samples::F32)?,
            })
        };
        Ok(Self {
            canvas: DeviceResampler::new(device, &conversion.canvas)?,
            input: DeviceResampler::new(device, &conversion.input)?,
            downsampler: DeviceResampler::new(device, conversion.packer.downsampler())?,
            bypass_planes: bypass_planes.map(bypass).collect::<Result<_, Error>>()?,
            finished: None,
            noise: Buffer::holding(device, kernels::noise())?,
            layout,
            conversion,
            device: device.clone(),
        })
    }

    /// Queues everything from the canvas to `frame`, on the compute stream.
    pub(crate) fn run(
        &mut self,
        canvas: &DevicePicture,
        source: &Source,
        params: &FrameParams,
        Repaint { changed, outdated }: Repaint<'_>,
        list: &mut DeviceList<Rect>,
        frame: &DeviceFrame,
    ) -> Result<(), Error> {
        let untouched = params.blend >= 1.0 && params.grain <= 0.0;
        let in_place = untouched && self.conversion.canvas.is_identity();
        let packer = &self.conversion.packer;
        let mut rects = Vec::new();
        let mut push = |part: &mut dyn Iterator<Item = Rect>| {
            let start = rects.len();
            rects.extend(part);
            start..rects.len()
        };
        let finished = push(&mut changed.iter().map(|rect| packer.needed(*rect)));
        let bypass: Vec<Range<usize>> = self
            .bypass_planes
            .iter()
            .map(|it| push(&mut changed.iter().map(|rect| it.grid.samples(*rect))))
            .collect();
        let packed = push(&mut outdated.iter().copied());
        list.send(rects)?;

        if !in_place {
            self.finish(canvas, source, params, &list.slice(finished))?;
        }
        for ((it, (_, from)), range) in
            self.bypass_planes.iter().zip(&source.bypass_planes).zip(bypass)
        {
            let from =
                Finish { canvas: (from, &it.resampler), input: None, share: 1.0, grain: None };
            self.device.finish(&from, &list.slice(range), &it.picture)?;
        }
        let model = match &self.finished {
            Some(finished) if !in_place => finished,
            _ => canvas,
        };
        let pictures = FramePictures {
            model,
            chroma: self.bypass_picture(BypassKind::Chroma),
            alpha: self.bypass_picture(BypassKind::Alpha),
        };
        self.device.pack(pictures, &self.downsampler, &list.slice(packed), frame)
    }

    fn finish(
        &mut self,
        canvas: &DevicePicture,
        source: &Source,
        params: &FrameParams,
        rects: &DeviceSlice<'_, Rect>,
    ) -> Result<(), Error> {
        let out = match &self.finished {
            Some(finished) => finished,
            None => {
                let FrameInfo { width, height, .. } = *self.layout.info();
                let channels = canvas.channels() as usize;
                let new = DevicePicture::new(&self.device, channels, (width, height), Samples::F32);
                self.finished.insert(new?)
            }
        };
        let grain = Grain::new(
            params.grain.max(0.0),
            params.number,
            self.layout.info().colorimetry.transfer,
        );
        let from = Finish {
            canvas: (canvas, &self.canvas),
            input: Some((&source.main, &self.input)),
            share: params.blend,
            grain: Some((&grain, &self.noise)),
        };
        self.device.finish(&from, rects, out)
    }

    fn bypass_picture(&self, kind: BypassKind) -> Option<&DevicePicture> {
        self.bypass_planes.iter().find(|it| it.kind == kind).map(|it| &it.picture)
    }
}

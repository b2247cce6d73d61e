//! Stages 5 and 6: from the canvas to the asked size, blended and grained, into planes.

use std::{ops::Range, sync::Arc};

use super::{
    super::{FrameParams, conversion::Conversion},
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

/// Everything between the canvas and the output's planes, set up once per caps.
pub(super) struct Finisher {
    device: Arc<Device>,
    pub conversion: Conversion,
    pub layout: Arc<FrameLayout>,
    canvas: DeviceResampler,
    input: DeviceResampler,
    downsampler: DeviceResampler,
    bypass_planes: Vec<BypassPicture>,
    /// The picture at the asked size, where it is not the canvas itself.
    finished: Option<DevicePicture>,
    noise: Buffer,
}

/// What goes beside the model, at the asked size.
struct BypassPicture {
    kind: BypassKind,
    grid: Grid,
    resampler: DeviceResampler,
    picture: DevicePicture,
}

/// What of an output is to be made.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    /// Pixels that differ from the output before.
    pub stale: &'a [Rect],
    /// Those and what else this frame's memory does not hold yet.
    pub lagging: &'a [Rect],
}

impl Finisher {
    pub fn new(
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
    pub fn run(
        &mut self,
        canvas: &DevicePicture,
        source: &Source,
        params: &FrameParams,
        Made { stale, lagging }: Made<'_>,
        list: &mut DeviceList<Rect>,
        frame: &DeviceFrame,
    ) -> Result<(), Error> {
        let untouched = params.blend >= 1.0 && params.grain <= 0.0;
        let as_it_is = untouched && self.conversion.canvas.is_identity();
        let packer = &self.conversion.packer;
        let mut rects = Vec::new();
        let mut push = |part: &mut dyn Iterator<Item = Rect>| {
            let start = rects.len();
            rects.extend(part);
            start..rects.len()
        };
        let main = push(&mut stale.iter().map(|rect| packer.needed(*rect)));
        let beside: Vec<Range<usize>> = self
            .bypass_planes
            .iter()
            .map(|it| push(&mut stale.iter().map(|rect| it.grid.samples(*rect))))
            .collect();
        let packed = push(&mut lagging.iter().copied());
        list.send(rects)?;

        if !as_it_is {
            self.finish(canvas, source, params, &list.slice(main))?;
        }
        for ((it, (_, from)), range) in
            self.bypass_planes.iter().zip(&source.bypass_planes).zip(beside)
        {
            let from =
                Finish { canvas: (from, &it.resampler), input: None, share: 1.0, grain: None };
            self.device.finish(&from, &list.slice(range), &it.picture)?;
        }
        let model = match &self.finished {
            Some(finished) if !as_it_is => finished,
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
        let grain = Grain::new(params.grain.max(0.0), params.number);
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

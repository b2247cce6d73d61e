//! Stages 5 and 6: from the canvas to the asked size, blended and grained, into planes.

use std::{ops::Range, sync::Arc};

use super::{
    super::{FrameParams, conversion::Conversion},
    layout::Layout,
    picture::{DevicePicture, List, Tables, as_kernels_do, constant, work},
    source::Source,
};
use crate::{
    cuda::{Buffer, Device, Error, Kernel},
    frame::{BypassKind, FrameInfo, Grain, Grid, Rect},
    kernels::{self, Address, FINISHED, Finish, Pack, SPAN, Samples},
};

/// Everything between the canvas and the output's planes, set up once per caps.
pub(super) struct Finisher {
    device: Arc<Device>,
    pub conversion: Conversion,
    pub layout: Layout,
    canvas: Tables,
    input: Tables,
    downsampler: Tables,
    bypass_planes: Vec<BypassPicture>,
    /// The picture at the asked size, where it is not the canvas itself.
    finished: Option<DevicePicture>,
    noise: Buffer,
}

/// What goes beside the model, at the asked size.
struct BypassPicture {
    kind: BypassKind,
    grid: Grid,
    tables: Tables,
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

/// Rectangles in one list.
#[derive(Default)]
struct Rects {
    all: Vec<Rect>,
}

impl Rects {
    fn push(&mut self, rects: impl IntoIterator<Item = Rect>) -> Range<usize> {
        let start = self.all.len();
        self.all.extend(rects);
        start..self.all.len()
    }

    fn get(&self, range: &Range<usize>) -> &[Rect] {
        self.all.get(range.clone()).unwrap_or_default()
    }
}

impl Finisher {
    pub fn new(
        device: &Arc<Device>,
        output: FrameInfo,
        conversion: Conversion,
    ) -> Result<Self, Error> {
        let bypass_planes = conversion.packer.bypass_planes().iter().zip(&conversion.bypass_planes);
        let bypass = |(it, resampler): (&crate::frame::BypassPlanes, _)| {
            let size = (it.grid.width(), it.grid.height());
            Ok(BypassPicture {
                kind: it.kind,
                grid: it.grid,
                tables: Tables::new(device, resampler)?,
                picture: DevicePicture::new(device, it.channels(), size, Samples::F32)?,
            })
        };
        Ok(Self {
            canvas: Tables::new(device, &conversion.canvas)?,
            input: Tables::new(device, &conversion.input)?,
            downsampler: Tables::new(device, conversion.packer.downsampler())?,
            bypass_planes: bypass_planes.map(bypass).collect::<Result<_, Error>>()?,
            finished: None,
            noise: constant(device, kernels::noise())?,
            layout: Layout::new(output),
            conversion,
            device: device.clone(),
        })
    }

    /// Has the output made in the frame at `frame`, on the compute stream. `list` is free.
    pub fn run(
        &mut self,
        canvas: &DevicePicture,
        source: &Source,
        params: &FrameParams,
        Made { stale, lagging }: Made<'_>,
        list: &mut List,
        frame: Address,
    ) -> Result<(), Error> {
        let untouched = params.blend >= 1.0 && params.grain <= 0.0;
        let as_it_is = untouched && self.conversion.canvas.is_identity();
        let packer = &self.conversion.packer;
        let mut rects = Rects::default();
        let main = rects.push(stale.iter().map(|rect| packer.needed(*rect)));
        let beside: Vec<_> = self
            .bypass_planes
            .iter()
            .map(|it| rects.push(stale.iter().map(|rect| it.grid.samples(*rect))))
            .collect();
        let packed = rects.push(lagging.iter().copied());
        let base = list.send(&self.device, self.device.compute(), &as_kernels_do(&rects.all))?;
        let at = |range: &Range<usize>| base + (range.start * size_of::<kernels::Rect>()) as u64;

        if !as_it_is {
            self.finish(canvas, source, params, rects.get(&main), at(&main))?;
        }
        for ((it, (_, from)), range) in
            self.bypass_planes.iter().zip(&source.bypass_planes).zip(&beside)
        {
            self.enlarge_bypass(it, from, rects.get(range), at(range))?;
        }
        let main = match &self.finished {
            Some(finished) if !as_it_is => finished,
            _ => canvas,
        };
        self.pack(main, rects.get(&packed), at(&packed), frame)
    }

    fn finish(
        &mut self,
        canvas: &DevicePicture,
        source: &Source,
        params: &FrameParams,
        rects: &[Rect],
        list: Address,
    ) -> Result<(), Error> {
        let out = match &self.finished {
            Some(finished) => finished,
            None => {
                let FrameInfo { width, height, .. } = self.layout.info;
                let channels = canvas.channels as usize;
                let new = DevicePicture::new(&self.device, channels, (width, height), Samples::F32);
                self.finished.insert(new?)
            }
        };
        let ([canvas_across, canvas_down], [input_across, input_down]) =
            (self.canvas.get(), self.input.get());
        let grain = Grain::new(params.grain.max(0.0), params.number);
        let arguments = Finish {
            canvas: canvas.picture(),
            input: source.main.picture(),
            out: out.picture(),
            canvas_across,
            canvas_down,
            input_across,
            input_down,
            grain: kernels::Grain::new(&grain, self.noise.address()),
            rects: list,
            share: params.blend.clamp(0.0, 1.0),
            channels: canvas.channels,
        };
        let kernel = Kernel::Finish(canvas.samples);
        // SAFETY: pictures and tables of these sizes, rectangles inside of the output.
        unsafe {
            self.device.launch(self.device.compute(), kernel, &arguments, work(rects, FINISHED))
        }
    }

    fn enlarge_bypass(
        &self,
        bypass: &BypassPicture,
        from: &DevicePicture,
        rects: &[Rect],
        list: Address,
    ) -> Result<(), Error> {
        let [canvas_across, canvas_down] = bypass.tables.get();
        let arguments = Finish {
            canvas: from.picture(),
            out: bypass.picture.picture(),
            canvas_across,
            canvas_down,
            rects: list,
            share: 1.0,
            channels: from.channels,
            ..Default::default()
        };
        let kernel = Kernel::Finish(Samples::F32);
        // SAFETY: as in `finish`.
        unsafe {
            self.device.launch(self.device.compute(), kernel, &arguments, work(rects, FINISHED))
        }
    }

    fn pack(
        &self,
        main: &DevicePicture,
        rects: &[Rect],
        list: Address,
        frame: Address,
    ) -> Result<(), Error> {
        let [across, down] = self.downsampler.get();
        let mut arguments = Pack {
            frame: kernels::Frame::new(&self.layout.info, &self.layout.planes(frame)),
            main: main.picture(),
            across,
            down,
            rects: list,
            channels: main.channels,
            ..Default::default()
        };
        for it in &self.bypass_planes {
            match it.kind {
                BypassKind::Chroma => arguments.chroma = it.picture.picture(),
                BypassKind::Alpha => arguments.alpha = it.picture.picture(),
            }
        }
        let kernel = Kernel::Pack(main.samples);
        // SAFETY: a frame of this layout, and pictures as large.
        unsafe { self.device.launch(self.device.compute(), kernel, &arguments, work(rects, SPAN)) }
    }
}

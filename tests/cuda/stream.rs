//! The same stream on the emulated GPU and on the CPU.

use std::{collections::VecDeque, sync::Arc};

use gstupscale::{
    cuda::Device,
    frame::{FrameInfo, PixelFormat, Rect},
    reuse::CostModel,
    upscaler::{
        self, EngineTraits, Error, FrameParams, FrameReport, Next, Pipeline, Reuse, StreamSettings,
    },
};

use super::{blur::Blur, frame::Frame, model::DeviceBlur};

pub const MODEL_ONLY: FrameParams =
    FrameParams { blend: 1.0, grain: 0.0, number: 7, reuse: Reuse::Off };

/// A model whose regions equal the whole frame.
pub const EXACT_REGIONS: EngineTraits = EngineTraits { exact_regions: true, tolerant_halo: None };

/// What runs of the model cost: a run as much as a hundred pixels.
const COST: CostModel = CostModel { per_call: 100e-6, per_pixel: 1e-6, whole: 1.0 };

pub fn settings() -> StreamSettings {
    StreamSettings { threads: 1, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 }
}

pub fn format(name: &str) -> PixelFormat {
    PixelFormat::from_name(name).unwrap()
}

/// Sends frames through a pipeline with `depth` in flight, and keeps the outputs.
pub struct Stream {
    upscaler: Box<dyn Pipeline>,
    output: FrameInfo,
    depth: usize,
    in_flight: usize,
    last: Option<Frame>,
    pub done: VecDeque<(Frame, Option<FrameReport>)>,
}

impl Stream {
    pub fn on_cpu(model: Blur, input: FrameInfo, (width, height): (u32, u32)) -> Self {
        let output = FrameInfo { width, height, ..input };
        let upscaler =
            upscaler::CpuPipeline::new(Box::new(model), EXACT_REGIONS, input, output, settings())
                .unwrap();
        Self::new(Box::new(upscaler), output)
    }

    /// Plans regions with [`COST`], so that the plans are the same on every machine.
    pub fn on_gpu(
        device: &Arc<Device>,
        model: DeviceBlur,
        input: FrameInfo,
        size: (u32, u32),
    ) -> Self {
        let (pipeline, output) = pipeline(device, model, input, size, settings()).unwrap();
        Self::new(Box::new(pipeline.with_cost(COST)), output)
    }

    /// Plans regions with the cost that the pipeline measures.
    pub fn try_on_gpu(
        device: &Arc<Device>,
        model: DeviceBlur,
        input: FrameInfo,
        size: (u32, u32),
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        let (pipeline, output) = pipeline(device, model, input, size, settings)?;
        Ok(Self::new(Box::new(pipeline), output))
    }

    fn new(upscaler: Box<dyn Pipeline>, output: FrameInfo) -> Self {
        let (depth, in_flight, last, done) = (1, 0, None, VecDeque::new());
        Self { upscaler, output, depth, in_flight, last, done }
    }

    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    pub fn upscaler(&mut self) -> &mut dyn Pipeline {
        self.upscaler.as_mut()
    }

    /// Submits a frame, and takes one out if enough are in flight.
    pub fn submit(&mut self, input: &Frame, params: &FrameParams) -> Result<(), Error> {
        self.upscaler.submit(&input.read(), params)?;
        self.in_flight += 1;
        while self.in_flight >= self.depth {
            self.take()?;
        }
        Ok(())
    }

    /// Takes out all frames.
    pub fn drain(&mut self) -> Result<(), Error> {
        while self.in_flight > 0 {
            self.take()?;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(), Error> {
        self.in_flight -= 1;
        let next = self.upscaler.next()?.expect("a frame in flight");
        if next == Next::Same
            && let Some(last) = &self.last
        {
            self.done.push_back((last.clone(), None));
            return Ok(());
        }
        let mut output = Frame::new(self.output, 8);
        let last = self.last.as_ref().map(Frame::read);
        let report = self.upscaler.finish(last.as_ref(), &mut output.write())?;
        self.last = Some(output.clone());
        self.done.push_back((output, Some(report)));
        Ok(())
    }

    /// The output for `input`, with its report unless the previous output was reused.
    #[track_caller]
    pub fn push(&mut self, input: &Frame, params: FrameParams) -> (Frame, Option<FrameReport>) {
        self.submit(input, &params).unwrap();
        self.drain().unwrap();
        self.done.pop_front().unwrap()
    }
}

fn pipeline(
    device: &Arc<Device>,
    model: DeviceBlur,
    input: FrameInfo,
    (width, height): (u32, u32),
    settings: StreamSettings,
) -> Result<(upscaler::CudaPipeline, FrameInfo), Error> {
    let output = FrameInfo { width, height, ..input };
    let (model, device) = (Box::new(model), device.clone());
    let pipeline =
        upscaler::CudaPipeline::new(model, EXACT_REGIONS, device, input, output, settings)?;
    Ok((pipeline, output))
}

/// Sets a component of the pixels of `rect`.
pub fn paint(frame: &mut Frame, component: usize, rect: Rect, code: u32) {
    let [shift_x, shift_y] = frame.info.format.layout().subsampling_of(component);
    let (width, height) = frame.size(component);
    for y in (rect.y as usize >> shift_y)..(rect.bottom() as usize >> shift_y).min(height) {
        for x in (rect.x as usize >> shift_x)..(rect.right() as usize >> shift_x).min(width) {
            frame.set(component, x, y, code);
        }
    }
}

//! The stages on the processor, over frames in system memory.

mod finish;
mod infer;

use std::time::Instant;

use self::{finish::Finish, infer::Inference};
use super::{
    Error, FrameParams, FrameReport, Geometry, Region, Settings, memory, region::MIN_EDGE,
};
use crate::{
    frame::{FrameInfo, FrameMut, FrameRef, Image, Unpacker},
    inference::{self, Infer},
    model::ModelInfo,
};

/// One stream's way from small frames to large ones.
pub struct Upscaler {
    settings: Settings,
    model: ModelInfo,
    geometry: Geometry,
    /// How a whole frame is cut.
    regions: Vec<Region>,
    inference: Inference,
    /// The enlarged picture of the last frame, at the model's own factor.
    canvas: Image,
    finish: Finish,
    pool: rayon::ThreadPool,
}

impl Upscaler {
    /// For a stream that goes from `input` to `output` frames (same format and colour, any sizes).
    ///
    /// # Errors
    /// [`Error::Frame`] for sizes that cannot be handled, [`Error::NoMemory`] and
    /// [`Error::Impossible`] where the model cannot take such frames.
    pub fn new(
        engine: Box<dyn Infer>,
        input: FrameInfo,
        output: FrameInfo,
        settings: Settings,
    ) -> Result<Self, Error> {
        let model = engine.info().clone();
        input.check()?;
        output.check()?;
        let canvas = canvas(&model, &input)?;
        let geometry = Geometry::new((input.width, input.height), &model, settings.halo);
        let regions = cut(&geometry, settings.tile_size, &settings, &model)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.max(1))
            .thread_name(|index| format!("upscale-{index}"))
            .build()
            .map_err(|error| Error::Impossible(format!("threads could not be started: {error}")))?;
        Ok(Self {
            canvas,
            finish: Finish::new(input, output, model.channels, model.factor)?,
            inference: Inference::new(engine, Unpacker::new(input, model.channels)?),
            settings,
            model,
            geometry,
            regions,
            pool,
        })
    }

    /// Enlarges `input` into `output`.
    ///
    /// # Errors
    /// See [`Error`]; `output` then holds no picture.
    pub fn process(
        &mut self,
        input: &FrameRef<'_>,
        output: &mut FrameMut<'_>,
        params: &FrameParams,
    ) -> Result<FrameReport, Error> {
        let mut report = FrameReport::default();
        if params.blend > 0.0 {
            self.infer(input, &mut report)?;
        }
        let start = Instant::now();
        let rects = [self.finish.whole()];
        self.pool.install(|| self.finish.run(&self.canvas, input, None, output, &rects, params))?;
        report.finish = start.elapsed();
        Ok(report)
    }

    /// The whole frame through the model, in smaller regions where memory runs out.
    fn infer(&mut self, input: &FrameRef<'_>, report: &mut FrameReport) -> Result<(), Error> {
        loop {
            let outcome = self
                .regions
                .iter()
                .try_for_each(|region| self.inference.run(input, region, &mut self.canvas, report));
            match outcome {
                Err(Error::Inference(inference::Error::OutOfMemory)) => self.halve_regions()?,
                done => return done,
            }
        }
    }

    fn halve_regions(&mut self) -> Result<(), Error> {
        let edge = |region: &Region| region.compute.width.max(region.compute.height);
        let half = self.regions.iter().map(edge).max().unwrap_or(0) / 2;
        if half < MIN_EDGE || self.geometry.halo.is_none() || self.geometry.fixed_size.is_some() {
            return Err(Error::NoMemory { side: half.max(MIN_EDGE) });
        }
        self.regions = cut(&self.geometry, half, &self.settings, &self.model)?;
        Ok(())
    }

    /// Forgets everything about earlier frames (after a flush, seek or discontinuity).
    pub fn reset(&mut self) {}

    /// The engine back, for the next stream of the same model.
    pub fn into_engine(self) -> Box<dyn Infer> {
        self.inference.into_engine()
    }
}

/// Room for the enlarged picture.
fn canvas(model: &ModelInfo, input: &FrameInfo) -> Result<Image, Error> {
    let [width, height] =
        [input.width, input.height].map(|side| u64::from(side) * u64::from(model.factor));
    let bytes = (width * height).saturating_mul((model.channels.count() * size_of::<f32>()) as u64);
    if bytes > memory::free() {
        return Err(Error::TooLarge { width, height, megabytes: bytes >> 20 });
    }
    Ok(Image::new(model.channels.count(), width as usize, height as usize))
}

fn cut(
    geometry: &Geometry,
    max_edge: u32,
    settings: &Settings,
    model: &ModelInfo,
) -> Result<Vec<Region>, Error> {
    let bytes = memory::allowance(settings.memory_limit);
    geometry.cut(max_edge, memory::pixels_within(bytes, model))
}

//! The stages on the processor, over frames in system memory.
//!
//! Each stage owns what it works with, and a [`Job`] carries a frame from one to the next:
//! [`Prepare`] knows what came in before, the [`Worker`] has the model, [`Canvas`] and [`Finish`]
//! know what went out.

mod buffer_pool;
mod canvas;
mod finish;
mod infer;
mod job;
mod prepare;
mod worker;

use std::{collections::VecDeque, time::Instant};

use self::{
    buffer_pool::BufferPool, canvas::Canvas, finish::Finish, infer::Inference, job::Job,
    prepare::Prepare, worker::Worker,
};
use super::{
    Error, FrameParams, FrameReport, Geometry, Next, Pipeline, StreamSettings,
    conversion::Conversion, memory,
};
use crate::{
    engine::{AnyEngine, Infer},
    frame::{FrameInfo, FrameMut, FrameRef},
    model::ModelInfo,
};

/// A frame in flight.
enum Flight {
    /// The worker has it; whether it fills the whole canvas.
    AtWork { whole: bool },
    /// The model has nothing to do for it.
    Ready(Box<Job>),
}

/// [`Pipeline`] on the processor.
pub struct CpuPipeline {
    prepare: Prepare,
    worker: Worker,
    flights: VecDeque<Flight>,
    /// The frame that is to be finished.
    next: Option<Job>,
    canvas: Canvas,
    finish: Finish,
    pool: rayon::ThreadPool,
    input: FrameInfo,
}

impl CpuPipeline {
    /// For a stream that goes from `input` to `output` frames (same format and colour, any sizes).
    ///
    /// # Errors
    /// [`Error::Frame`] for sizes that cannot be handled, [`Error::NoMemory`],
    /// [`Error::TooLarge`] and [`Error::Impossible`] where the model cannot take such frames.
    pub fn new(
        engine: Box<dyn Infer>,
        input: FrameInfo,
        output: FrameInfo,
        settings: StreamSettings,
    ) -> Result<Self, Error> {
        let model = engine.info().clone();
        input.check()?;
        output.check()?;
        check_room(&model, &input)?;
        let buffers = BufferPool::default();
        let geometry = Geometry::new((input.width, input.height), &model, settings.halo);
        let grid = engine.shape_grid();
        let prepare = Prepare::new(input, &model, geometry, grid, &settings, buffers.clone())?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.max(1))
            .thread_name(|index| format!("upscale-{index}"))
            .build()
            .map_err(|error| Error::Impossible(format!("threads could not be started: {error}")))?;
        Ok(Self {
            prepare,
            worker: Worker::start(Inference::new(engine, geometry, buffers.clone()))?,
            flights: VecDeque::new(),
            next: None,
            canvas: Canvas::new(model.factor, buffers),
            finish: Finish {
                conversion: Conversion::new(input, output, model.channels, model.factor)?,
            },
            pool,
            input,
        })
    }

    /// Lets the picture of the canvas be written again where the frame that comes next does not
    /// build on it.
    fn release_canvas(&mut self) {
        if self.next.is_none()
            && let Some(Flight::AtWork { whole: true }) = self.flights.front()
        {
            self.canvas.release();
        }
    }

    fn take(&mut self) -> Result<Option<Next>, Error> {
        self.release_canvas();
        let job = match self.flights.pop_front() {
            None => return Ok(None),
            Some(Flight::Ready(job)) => *job,
            Some(Flight::AtWork { .. }) => self.worker.receive()?,
        };
        if let Some(edge) = job.cut_to {
            self.prepare.cut_to(edge)?;
        }
        let next = if job.is_same() { Next::Same } else { Next::Changed };
        self.next = Some(job);
        Ok(Some(next))
    }

    fn paint(
        &mut self,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error> {
        let start = Instant::now();
        let mut job = self.next.take().ok_or(Error::NoFrame)?;
        self.canvas.update(std::mem::take(&mut job.update));
        let (canvas, finish) = (&self.canvas, &self.finish);
        let (rects, previous) = match (&job.stale, previous) {
            (Some(stale), Some(previous)) => {
                let rects = stale.iter().map(|rect| finish.conversion.dependents(*rect)).collect();
                (rects, Some(previous))
            }
            _ => (vec![finish.conversion.whole()], None),
        };
        let source = job.frame(self.input);
        self.pool.install(|| {
            finish.run(canvas.picture(), &source, previous, output, &rects, &job.params)
        })?;
        self.release_canvas();
        job.report.finish = start.elapsed();
        Ok(job.report)
    }
}

impl Pipeline for CpuPipeline {
    fn submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error> {
        let worker = &self.worker;
        let costs = |part: job::Part| worker.costs(part.region, part.picture);
        let job = self.prepare.prepare(input, params, costs)?;
        self.flights.push_back(match job.inputs.is_empty() {
            true => Flight::Ready(Box::new(job)),
            false => {
                let whole = job.whole;
                self.worker.send(job)?;
                Flight::AtWork { whole }
            }
        });
        self.release_canvas();
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Next>, Error> {
        // What was not finished is not on the canvas.
        if self.next.take().is_some_and(|job| !job.is_same()) {
            self.abort();
        }
        self.take().inspect_err(|_| self.abort())
    }

    fn finish(
        &mut self,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error> {
        self.paint(previous, output).inspect_err(|_| self.abort())
    }

    fn reset(&mut self) {
        self.prepare.reset();
    }

    fn abort(&mut self) {
        self.prepare.reset();
        self.worker.abort();
        self.flights.clear();
        self.next = None;
    }

    fn into_engine(self: Box<Self>) -> Option<AnyEngine> {
        let inference = self.worker.into_inference()?;
        Some(AnyEngine::Host(inference.into_engine()))
    }
}

/// Checks that there is room for the enlarged picture.
fn check_room(model: &ModelInfo, input: &FrameInfo) -> Result<(), Error> {
    let [width, height] =
        [input.width, input.height].map(|side| u64::from(side) * u64::from(model.factor));
    let bytes = (width * height).saturating_mul((model.channels.count() * size_of::<f32>()) as u64);
    if bytes > memory::free() {
        return Err(Error::TooLarge { width, height, megabytes: bytes >> 20 });
    }
    Ok(())
}

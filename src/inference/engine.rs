//! The engine on the processor: loading a model onto the best backend, and running it.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    Backend, EngineOptions, Error, Infer, Monitor, Precision,
    fitted::{self, FittedSession},
    int8,
    selection::{self, Candidate},
    session::Session,
};
use crate::{
    frame::Image,
    model::{Model, ModelInfo},
};

/// A model's session, warmed up.
pub struct Engine {
    info: ModelInfo,
    candidate: Candidate,
    identity: String,
    session: Session,
    /// Where one pays.
    fitted: Option<FittedSession>,
    /// What the user should know of how it turned out.
    pub(super) remark: Option<String>,
}

impl Engine {
    /// Builds the session for `model` on the backend that `options` name, or on the fastest that
    /// works, of those that the processor has ([`load`](super::load) has the GPU's too), and
    /// proves it by a run. The first load of a model with [`Backend::Auto`] or
    /// [`Precision::Auto`] measures the candidates, which takes some seconds; the answer is kept
    /// in [`EngineOptions::cache_dir`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self, Error> {
        let progress = Progress::new(monitor);
        progress.step(0, "loading ONNX Runtime")?;
        let engine = Self::load_with(model, options, &progress)?;
        progress.step(100, "ready")?;
        Ok(engine)
    }

    /// Likewise, as a part of a load.
    pub(super) fn load_with(
        model: &Model,
        options: &EngineOptions,
        progress: &Progress<'_>,
    ) -> Result<Self, Error> {
        let candidates = selection::candidates(options)?;
        let engine = match candidates[..] {
            [Candidate { precision: Precision::Int8, .. }] => int8::load(model, options, progress)?,
            _ => selection::best(model, &candidates, options, progress)?,
        };
        Ok(engine)
    }

    /// What others are held against: fp32 by ONNX Runtime itself, with as many threads as there
    /// are processors.
    pub(super) fn build_on_cpu(model: &Model, cache_dir: &Path) -> Result<Self, Error> {
        let (backend, precision) = (Backend::Cpu, Precision::Fp32);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let cache_dir = cache_dir.to_owned();
        let options = EngineOptions { backend, precision, device_id: 0, threads, cache_dir };
        Self::build(model, Candidate { backend, precision }, &options)
    }

    /// Builds and warms up the session of one candidate.
    pub(super) fn build(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let mut session = Session::build(model, candidate, options)?;
        // Some providers do their work, or fail, only at the first run.
        let (width, height) = probe_size(&model.info, 16);
        let input = Image::new(model.info.channels.count(), width, height);
        session.run(&input, &mut Image::default())?;
        let identity = Session::identity(model, candidate)?;
        let fitted = match candidate.backend {
            Backend::OpenVino => FittedSession::new(model, candidate, options),
            _ => None,
        };
        Ok(Self { info: model.info.clone(), candidate, identity, session, fitted, remark: None })
    }

    pub(super) fn candidate(&self) -> Candidate {
        self.candidate
    }

    /// The backend in use (never `Auto`).
    pub fn backend(&self) -> Backend {
        self.candidate.backend
    }

    /// The precision in use (never `Auto`).
    pub fn precision(&self) -> Precision {
        self.candidate.precision
    }

    /// A sentence for the user where the engine is not what was asked for: int8 that would have
    /// shown, so that [`Engine::precision`] is fp32.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }
}

impl Infer for Engine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        if self.fitted.as_mut().is_some_and(|fitted| fitted.run(input, output)) {
            return Ok(());
        }
        self.session.run(input, output)?;
        if let Some(fitted) = &mut self.fitted {
            fitted.watch(input, output);
        }
        Ok(())
    }

    fn shape_grid(&self) -> u32 {
        if self.candidate.backend == Backend::OpenVino { 32 } else { 1 }
    }

    fn whole_share(&self) -> f64 {
        if self.fitted.is_some() { fitted::SHARE } else { 1.0 }
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

/// Where a load stands. It never goes back, though one backend after the other may be tried.
pub(super) struct Progress<'a> {
    monitor: &'a dyn Monitor,
    percent: AtomicU32,
}

impl<'a> Progress<'a> {
    pub fn new(monitor: &'a dyn Monitor) -> Self {
        Self { monitor, percent: AtomicU32::new(0) }
    }

    /// Reports the next step, unless the load is to be given up.
    pub fn step(&self, percent: u32, what: &str) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.tell(percent, what);
        Ok(())
    }

    /// Reports how far the step at hand is.
    pub fn tell(&self, percent: u32, what: &str) {
        let before = self.percent.fetch_max(percent, Ordering::SeqCst);
        self.monitor.progress(percent.max(before), what);
    }

    pub fn is_cancelled(&self) -> bool {
        self.monitor.cancelled()
    }
}

/// An engine that does not run any more once the load is to be given up.
pub(super) struct Interruptible<'a> {
    pub infer: &'a mut dyn Infer,
    pub progress: &'a Progress<'a>,
}

impl Infer for Interruptible<'_> {
    fn info(&self) -> &ModelInfo {
        self.infer.info()
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.infer.run(input, output)
    }

    fn shape_grid(&self) -> u32 {
        self.infer.shape_grid()
    }

    fn identity(&self) -> &str {
        self.infer.identity()
    }
}

/// Width and height of a picture that the model takes, with sides near `side`.
pub(super) fn probe_size(info: &ModelInfo, side: u32) -> (usize, usize) {
    let side = side.max(info.min_side).max(1).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side, side));
    (width as usize, height as usize)
}

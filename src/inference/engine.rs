//! The engine: which session serves a model, and running it.

use super::{
    Backend, EngineOptions, Error, Infer, Monitor, Precision,
    session::{Candidate, Session},
};
use crate::{
    frame::Image,
    model::{Model, ModelInfo},
};

/// A model's session, warmed up.
pub struct Engine {
    info: ModelInfo,
    candidate: Candidate,
    session: Session,
}

impl Engine {
    /// Builds the session for `model` on the first backend that works, and proves it by a run.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self, Error> {
        let mut last = None;
        for candidate in candidates(options)? {
            match Self::load_candidate(model, candidate, options, monitor) {
                Ok(engine) => return Ok(engine),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(Error::NotBuiltIn { backend: options.backend }))
    }

    fn load_candidate(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self, Error> {
        let Candidate { backend, precision } = candidate;
        step(monitor, 10, &format!("building {} on {backend:?} at {precision:?}", model.name))?;
        let session = Session::build(model, candidate, options)?;
        step(monitor, 60, "trying it")?;
        let mut engine = Self { info: model.info.clone(), candidate, session };
        engine.warm_up()?;
        step(monitor, 100, "ready")?;
        Ok(engine)
    }

    /// A run on a small picture: some providers do their work, or fail, only then.
    fn warm_up(&mut self) -> Result<(), Error> {
        let (width, height) = probe_size(&self.info, 16);
        let input = Image::new(self.info.channels.count(), width, height);
        self.session.run(&input, &mut Image::default())
    }

    /// The backend in use (never `Auto`).
    pub fn backend(&self) -> Backend {
        self.candidate.backend
    }

    /// The precision in use (never `Auto`).
    pub fn precision(&self) -> Precision {
        self.candidate.precision
    }
}

impl Infer for Engine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        self.session.run(input, output)
    }

    fn shape_grid(&self) -> u32 {
        // OpenVINO keeps memory for each shape that it has seen.
        if self.candidate.backend == Backend::OpenVino { 32 } else { 1 }
    }
}

/// Reports progress, unless the load is to be given up.
fn step(monitor: &dyn Monitor, percent: u32, what: &str) -> Result<(), Error> {
    if monitor.cancelled() {
        return Err(Error::Cancelled);
    }
    monitor.progress(percent, what);
    Ok(())
}

/// Width and height of a picture that the model takes, with sides near `side`.
pub(super) fn probe_size(info: &ModelInfo, side: u32) -> (usize, usize) {
    let side = side.max(info.min_side).max(1).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side, side));
    (width as usize, height as usize)
}

/// What `options` allow, in the order to try.
fn candidates(options: &EngineOptions) -> Result<Vec<Candidate>, Error> {
    let EngineOptions { backend, precision, .. } = *options;
    let on = |backend, precision| Candidate { backend, precision };
    let cannot = |why: &str| Error::Precision { backend, precision, why: why.into() };
    match (backend, precision) {
        (Backend::TensorRt | Backend::Cuda, _) => Err(Error::NotBuiltIn { backend }),
        (Backend::Auto | Backend::Cpu, Precision::Auto | Precision::Fp32) => {
            Ok(vec![on(Backend::Cpu, Precision::Fp32)])
        }
        (Backend::OpenVino, Precision::Auto | Precision::Fp32) => {
            Ok(vec![on(Backend::OpenVino, Precision::Fp32)])
        }
        (Backend::OpenVino, Precision::Bf16) => Ok(vec![on(Backend::OpenVino, Precision::Bf16)]),
        (Backend::Auto | Backend::Cpu, Precision::Bf16) => {
            Err(cannot("only openvino does it here: use backend=openvino"))
        }
        (_, Precision::Fp16) => Err(cannot("fp16 needs a GPU: use precision=fp32 or auto")),
        (_, Precision::Int8) => Err(cannot("use precision=fp32 or auto")),
    }
}

//! An engine on the CPU, whichever backend it is of.

use crate::{
    engine::{AnyEngine, Backend, Candidate, EngineOptions, Error, Fallback, Infer, Precision},
    frame::Image,
    model::{Model, ModelInfo},
    native,
    onnxruntime::OrtEngine,
};

/// A model's engine on the CPU, warmed up.
pub struct CpuEngine {
    infer: AnyEngine,
    candidate: Candidate,
    /// A backend that would have come first, and why it is not in use.
    pub(super) fallback: Option<Fallback>,
}

impl CpuEngine {
    pub(super) fn new(infer: impl Infer + 'static, candidate: Candidate) -> Self {
        Self { infer: AnyEngine::Host(Box::new(infer)), candidate, fallback: None }
    }

    /// Builds and warms up the engine of `candidate`.
    ///
    /// # Errors
    /// [`Error::NotOnCpu`] for a backend of the GPU, and the errors of the backend.
    pub(super) fn build(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        match candidate.backend {
            Backend::Native => {
                let threads = options.threads;
                let precision = match candidate.precision {
                    Precision::Int16 => native::Precision::Int16,
                    _ => native::Precision::Fp32,
                };
                let options = native::Options { threads, precision, ..Default::default() };
                let engine = native::Engine::open(model, &options)?;
                let infer = AnyEngine::Incremental(Box::new(engine));
                Ok(Self { infer, candidate, fallback: None })
            }
            Backend::Cpu | Backend::OpenVino | Backend::WebGpu => {
                Ok(Self::new(OrtEngine::build(model, candidate, options)?, candidate))
            }
            backend @ (Backend::Auto | Backend::TensorRt | Backend::Cuda) => {
                Err(Error::NotOnCpu(backend))
            }
        }
    }

    /// Builds the engine that others are compared with: fp32 by ONNX Runtime's own kernels.
    ///
    /// # Errors
    /// The errors of the backend.
    pub(super) fn reference(model: &Model, options: &EngineOptions) -> Result<Self, Error> {
        let (backend, precision) = (Backend::Cpu, Precision::Fp32);
        let options = EngineOptions { backend, precision, ..options.clone() };
        Self::build(model, Candidate { backend, precision }, &options)
    }

    pub(super) fn candidate(&self) -> Candidate {
        self.candidate
    }

    pub(super) fn into_engine(self) -> AnyEngine {
        self.infer
    }

    fn as_infer(&self) -> Option<&dyn Infer> {
        match &self.infer {
            AnyEngine::Host(engine) => Some(&**engine),
            AnyEngine::Incremental(engine) => Some(&**engine),
            AnyEngine::Device(..) => None,
        }
    }

    /// The backend in use (never `Auto`).
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.candidate.backend
    }

    /// The precision in use (never `Auto`).
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.candidate.precision
    }
}

impl Infer for CpuEngine {
    fn info(&self) -> &ModelInfo {
        self.infer.info()
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        self.infer.run(input, output)
    }

    fn shape_grid(&self) -> u32 {
        self.as_infer().map_or(1, Infer::shape_grid)
    }

    fn whole_share(&self) -> f64 {
        self.as_infer().map_or(1.0, Infer::whole_share)
    }

    fn identity(&self) -> &str {
        self.as_infer().map_or("", Infer::identity)
    }
}

//! Runs of a model that is not understood: whatever goes in, and whatever comes out.

use ort::{session::Session as OrtSession, value::TensorRef};

use super::{library::Library, messages::runtime_error, session::builder};
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Precision},
    frame::Image,
    model::Model,
};

/// What came out of a run.
pub(crate) struct TrialOutput {
    /// The shape; N, C, H, W if the model is an upscaler.
    pub dims: Vec<i64>,
    /// All samples, row-major.
    pub samples: Vec<f32>,
}

/// A session on the CPU in fp32, without checks of shapes.
pub(crate) struct Trial(OrtSession);

impl Trial {
    /// Builds the session of `model`.
    ///
    /// # Errors
    /// [`Error::NoLibrary`], [`Error::OutOfMemory`] or [`Error::Failed`].
    pub(crate) fn new(model: &Model, options: &EngineOptions) -> Result<Self, Error> {
        let library = Library::with(Backend::Cpu)?;
        let candidate = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
        let session = builder(library, model, candidate, options)
            .and_then(|mut builder| builder.commit_from_memory(&model.onnx))
            .map_err(|error| runtime_error("load the model", &error))?;
        Ok(Self(session))
    }

    /// Runs the model on `input`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Failed`].
    pub(crate) fn run(&mut self, input: &Image) -> Result<TrialOutput, Error> {
        let shape = [1, input.channels() as i64, input.height() as i64, input.width() as i64];
        let mut run = || -> ort::Result<TrialOutput> {
            let from = TensorRef::from_array_view((shape, input.data()))?;
            let outputs = self.0.run(ort::inputs![from])?;
            let Some(value) = outputs.values().next() else {
                return Ok(TrialOutput { dims: Vec::new(), samples: Vec::new() });
            };
            let (dims, samples) = value.try_extract_tensor::<f32>()?;
            Ok(TrialOutput { dims: dims.to_vec(), samples: samples.to_vec() })
        };
        run().map_err(|error| runtime_error("run the model", &error))
    }
}

//! A placeholder for the model while it is being loaded, with `startup=resample`. Frames are
//! processed with a `blend` of 0, so that it never runs.

use crate::{
    engine::{AnyEngine, Error, Infer},
    frame::Image,
    model::ModelInfo,
    upscaler::{FrameParams, Reuse},
};

struct Placeholder(ModelInfo);

/// An engine that must not run, for frames of the model with this `info`.
pub(super) fn engine(info: ModelInfo) -> AnyEngine {
    AnyEngine::Host(Box::new(Placeholder(info)))
}

/// The settings of a frame that is enlarged without the model.
pub(super) fn params(params: FrameParams) -> FrameParams {
    FrameParams { blend: 0.0, reuse: Reuse::Off, ..params }
}

impl Infer for Placeholder {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn run(&mut self, _input: &Image, _output: &mut Image) -> Result<(), Error> {
        let message = "the model is still being loaded".into();
        Err(Error::Failed { task: "run the model", message })
    }
}

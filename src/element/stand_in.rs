//! What stands in for the model while it is being loaded, with `startup=resample`: nothing that
//! runs. Frames are asked for without the model's share, which leaves the Lanczos enlargement.

use crate::{
    engine::{AnyEngine, Error, Infer},
    frame::Image,
    model::ModelInfo,
    upscaler::{FrameParams, Reuse},
};

struct StandIn(ModelInfo);

/// An engine that is never run, for frames of the model with this `info`.
pub(super) fn engine(info: ModelInfo) -> AnyEngine {
    AnyEngine::Host(Box::new(StandIn(info)))
}

/// As a frame is to be made that the model has no share in.
pub(super) fn params(params: FrameParams) -> FrameParams {
    FrameParams { blend: 0.0, reuse: Reuse::Off, ..params }
}

impl Infer for StandIn {
    fn info(&self) -> &ModelInfo {
        &self.0
    }

    fn run(&mut self, _input: &Image, _output: &mut Image) -> Result<(), Error> {
        let why = "it is being loaded".into();
        Err(Error::Runtime { task: "run the model", why })
    }
}

//! An engine on the CPU: a session, and one for the shape of whole frames where that is faster.

use super::{
    fixed_shape::{self, FixedShapeSession},
    library::identity,
    session::Session,
};
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Infer, test_picture::probe_size},
    frame::Image,
    model::{Model, ModelInfo},
};

/// A model's session on the CPU, warmed up.
pub(crate) struct OrtEngine {
    info: ModelInfo,
    candidate: Candidate,
    identity: String,
    session: Session,
    /// Only for backends that it makes faster.
    fixed_shape: Option<FixedShapeSession>,
}

impl OrtEngine {
    /// Builds and warms up the session of `candidate`.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], [`Error::NoLibrary`], [`Error::NoProvider`], [`Error::OutOfMemory`] or
    /// [`Error::Failed`].
    pub(crate) fn build(
        model: &Model,
        candidate: Candidate,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let mut session = Session::build(model, candidate, options)?;
        // Some providers compile, or fail, only at the first run.
        let (width, height) = probe_size(&model.info, 16);
        let input = Image::new(model.info.channels.count(), width, height);
        session.run(&input, &mut Image::default())?;
        let identity = identity(model, candidate)?;
        let fixed_shape = match candidate.backend {
            Backend::OpenVino => FixedShapeSession::new(model, candidate, options),
            _ => None,
        };
        Ok(Self { info: model.info.clone(), candidate, identity, session, fixed_shape })
    }
}

impl Infer for OrtEngine {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
        if self.fixed_shape.as_mut().is_some_and(|session| session.run(input, output)) {
            return Ok(());
        }
        self.session.run(input, output)?;
        if let Some(fixed_shape) = &mut self.fixed_shape {
            fixed_shape.observe(input, output);
        }
        Ok(())
    }

    fn shape_grid(&self) -> u32 {
        if self.candidate.backend == Backend::OpenVino { 32 } else { 1 }
    }

    fn whole_share(&self) -> f64 {
        if self.fixed_shape.is_some() { fixed_shape::SHARE } else { 1.0 }
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

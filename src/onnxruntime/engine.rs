//! An engine on the CPU: a session, and one for the shape of whole frames where that is faster.

use std::time::Duration;

use super::{
    fixed_shape::{self, FixedShapeSession},
    library::identity,
    session::Session,
};
use crate::{
    engine::{
        Backend, Candidate, EngineOptions, Error, Infer, Interrupt, test_picture::probe_size,
    },
    frame::Image,
    model::{Model, ModelInfo},
};

/// The longest first run. The largest published models take a second on a slow machine.
const MAX_FIRST_RUN: Duration = Duration::from_secs(120);

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
        first_run(&mut session, &input, MAX_FIRST_RUN)?;
        let identity = identity(model, candidate)?;
        let fixed_shape = match candidate.backend {
            Backend::OpenVino => FixedShapeSession::new(model, candidate, options),
            _ => None,
        };
        Ok(Self { info: model.info.clone(), candidate, identity, session, fixed_shape })
    }
}

/// Runs a session for the first time, on a small picture. A graph may have been made to run without
/// end.
///
/// # Errors
/// [`Error::Failed`] after `limit`, and the errors of [`Session::run`].
fn first_run(session: &mut Session, input: &Image, limit: Duration) -> Result<(), Error> {
    let interrupt = Interrupt::current().child();
    // Without a thread for it there is no limit.
    let _limit = interrupt.raise_after(limit);
    let result = interrupt.enter(|| session.run(input, &mut Image::default()));
    match result {
        Err(Error::Cancelled) if !Interrupt::current().is_raised() => {
            let (width, height) = (input.width(), input.height());
            let seconds = limit.as_secs();
            let message =
                format!("a picture of {width}x{height} pixels took more than {seconds} seconds");
            Err(Error::Failed { task: "run the model", message })
        }
        result => result,
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
        match self.candidate.backend {
            // Memory, and shaders or code, are kept for each size.
            Backend::OpenVino | Backend::WebGpu => 32,
            _ => 1,
        }
    }

    fn whole_share(&self) -> f64 {
        if self.fixed_shape.is_some() { fixed_shape::SHARE } else { 1.0 }
    }

    fn identity(&self) -> &str {
        &self.identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Precision, onnxruntime::session::tests::endless};

    #[test]
    fn a_first_run_without_end_is_an_error() {
        let candidate = Candidate { backend: Backend::Cpu, precision: Precision::Fp32 };
        let Candidate { backend, precision } = candidate;
        let cache_dir = std::env::temp_dir();
        let options = EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir };
        let mut session = Session::build(&endless(), candidate, &options).unwrap();
        let limit = Duration::from_millis(50);
        let error = first_run(&mut session, &Image::new(1, 16, 16), limit).unwrap_err();
        assert!(error.to_string().contains("a picture of 16x16 pixels took more than"), "{error}");
    }
}

//! The engines to test: backends in their precisions.

use std::fmt;

use gstupscale::{
    backend::{self, Loaded},
    engine::{self, Backend, EngineOptions, Fallback, Precision, Silent},
    model::Model,
};

use super::{Arguments, Outcome};
use crate::harness;

/// Whether the user named the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    Named,
    Automatic,
}

impl Selection {
    pub fn of(backend: Backend) -> Self {
        if backend == Backend::Auto { Self::Automatic } else { Self::Named }
    }

    /// The outcome if the backend is not available: a failure if the user named it.
    pub fn not_available(self, reason: String) -> Outcome {
        match self {
            Self::Named => Outcome::Failed(reason),
            Self::Automatic => Outcome::NotAvailable(reason),
        }
    }

    /// The outcome if an engine could not be loaded. A precision that the backend does not support
    /// is never a failure.
    pub fn not_loaded(self, error: &engine::Error) -> Outcome {
        use engine::Error as E;
        match error {
            E::Precision { .. } => Outcome::NotAvailable(error.to_string()),
            // The row names the backend already.
            E::Unavailable { tried, .. } if !tried.is_empty() => {
                let reasons: Vec<_> = tried.iter().map(ToString::to_string).collect();
                self.not_available(reasons.join("; "))
            }
            E::NoLibrary { .. }
            | E::Unavailable { .. }
            | E::NoProvider { .. }
            | E::NotBuilt { .. } => self.not_available(error.to_string()),
            _ => Outcome::Failed(error.to_string()),
        }
    }
}

/// A backend in a precision, neither of them `Auto`, for one model.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSpec {
    pub options: EngineOptions,
    /// The model's name or file.
    pub model: String,
}

impl fmt::Display for EngineSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.options.backend, self.options.precision)
    }
}

impl EngineSpec {
    /// # Errors
    /// As [`backend::load`].
    pub fn load(&self, model: &Model) -> Result<Loaded, engine::Error> {
        backend::load(model, &self.options, &Silent)
    }

    /// If `engine` has another backend or precision than this: the reason.
    pub fn mismatch(&self, engine: &Loaded) -> Option<String> {
        let matches =
            engine.backend == self.options.backend && engine.precision == self.options.precision;
        let reason = || engine.note.clone().unwrap_or_else(|| Fallback::list(&engine.fallbacks));
        (!matches).then(reason)
    }

    /// The element's properties that select this engine.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        harness::properties(&self.model, &self.options)
    }
}

/// The engines that the arguments select, the reference first.
pub fn engine_specs(arguments: &Arguments) -> Vec<EngineSpec> {
    use {Backend as B, Precision as P};
    const ALL: &[(Backend, Precision)] = &[
        (B::Cpu, P::Fp32),
        (B::Native, P::Fp32),
        (B::Native, P::Int16),
        (B::OpenVino, P::Fp32),
        (B::OpenVino, P::Bf16),
        (B::WebGpu, P::Fp32),
        (B::WebGpu, P::Fp16),
        (B::Cuda, P::Fp32),
        (B::Cuda, P::Fp16),
        (B::TensorRt, P::Fp32),
        (B::TensorRt, P::Fp16),
    ];
    let selected = ALL
        .iter()
        .filter(|(backend, _)| arguments.backend == Backend::Auto || arguments.backend == *backend);
    let spec = |&(backend, precision): &(Backend, Precision)| EngineSpec {
        model: arguments.model.clone(),
        options: arguments.engine.options(backend, precision),
    };
    selected.map(spec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_backend_is_a_failure_only_if_it_was_named() {
        let library = engine::Error::NoLibrary { searched: String::new() };
        assert!(matches!(Selection::Named.not_loaded(&library), Outcome::Failed(_)));
        assert!(matches!(Selection::Automatic.not_loaded(&library), Outcome::NotAvailable(_)));
        let cancelled = engine::Error::Cancelled;
        assert!(matches!(Selection::Automatic.not_loaded(&cancelled), Outcome::Failed(_)));
    }
}

//! What is checked: a backend in a precision.

use std::{fmt, path::PathBuf};

use gstupscale::{
    backend::{self, Loaded},
    engine::{Backend, EngineOptions, Error, Precision},
    model::Model,
};

use super::Arguments;
use crate::{
    harness,
    machine::{self, Patient},
};

/// A backend in a precision (neither is `Auto`), and how it is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub options: EngineOptions,
    /// The model as the user named it.
    pub model: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.options.backend, self.options.precision)
    }
}

impl Subject {
    /// # Errors
    /// As [`backend::load`].
    pub fn load(&self, model: &Model) -> Result<Loaded, Error> {
        backend::load(model, &self.options, &Patient)
    }

    /// Why `engine` is not what this asks for, where it is not.
    pub fn why_not(&self, engine: &Loaded) -> Option<String> {
        let is =
            engine.backend == self.options.backend && engine.precision == self.options.precision;
        let why = || engine.note.clone().unwrap_or_else(|| engine.fallbacks.join("; "));
        (!is).then(why)
    }

    /// The element's properties that ask for the same.
    pub fn properties(&self) -> Vec<(&'static str, String)> {
        harness::properties(&self.model, &self.options)
    }
}

/// All that the arguments ask for, the reference first.
pub fn subjects(arguments: &Arguments) -> Vec<Subject> {
    use {Backend as B, Precision as P};
    const ALL: &[(Backend, Precision)] = &[
        (B::Cpu, P::Fp32),
        (B::Cpu, P::Int8),
        (B::OpenVino, P::Fp32),
        (B::OpenVino, P::Bf16),
        (B::Cuda, P::Fp32),
        (B::Cuda, P::Fp16),
        (B::TensorRt, P::Fp32),
        (B::TensorRt, P::Fp16),
    ];
    let cache_dir: PathBuf = arguments.cache_dir.clone().unwrap_or_else(machine::cache_dir);
    let wanted = ALL
        .iter()
        .filter(|(backend, _)| arguments.backend == Backend::Auto || arguments.backend == *backend);
    let subject = |&(backend, precision): &(Backend, Precision)| Subject {
        model: arguments.model.clone(),
        options: EngineOptions {
            backend,
            precision,
            device_id: arguments.device_id,
            threads: machine::threads(arguments.threads),
            cache_dir: cache_dir.clone(),
        },
    };
    wanted.map(subject).collect()
}

/// Whether an engine is only not to be had here. Where its backend was asked for by name, its
/// absence is a failure; a precision that it cannot do is not.
pub fn is_absence(error: &Error, asked: bool) -> bool {
    match error {
        Error::Precision { .. } => true,
        Error::NoLibrary { .. } | Error::Unavailable { .. } | Error::NoProvider { .. } => !asked,
        _ => false,
    }
}

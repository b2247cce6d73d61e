//! From a model to the best engine that works here.

use std::sync::Arc;

use super::{
    AnyEngine, Backend, Engine, EngineOptions, Error, Monitor, Precision, chain,
    chain::{Chosen, Providers},
    engine::{Interruptible, Progress},
    gpu, regions_are_exact,
    selection::Candidate,
    tolerant_halo,
};
use crate::{
    cuda::{self, Device},
    model::Model,
};

/// An engine, and how it runs.
pub struct LoadedEngine {
    pub infer: AnyEngine,
    /// Never `Auto`.
    pub backend: Backend,
    /// Never `Auto`.
    pub precision: Precision,
    /// See [`upscaler::StreamSettings::regions_exact`](crate::upscaler::StreamSettings::regions_exact).
    pub regions_exact: bool,
    /// See [`upscaler::StreamSettings::tolerant_halo`](crate::upscaler::StreamSettings::tolerant_halo).
    pub tolerant_halo: Option<u32>,
    /// Anything the user should know of, such as a precision that was asked for in vain.
    pub remark: Option<String>,
    /// Backends that were tried before this one, and why each is not in use.
    pub fallbacks: Vec<String>,
}

/// Builds the engine of `model` on the backend that `options` name, or on the fastest that
/// works, and proves it by runs.
///
/// TensorRT is tried first, then CUDA, then the processor ([`Engine::load`]). Measurements,
/// proofs and compiled engines are kept in [`EngineOptions::cache_dir`].
///
/// # Errors
/// See [`Error`]. [`Backend::Auto`] ends with what works; a GPU that was asked for and cannot be
/// had is [`Error::Unavailable`].
pub fn load(
    model: &Model,
    options: &EngineOptions,
    monitor: &dyn Monitor,
) -> Result<LoadedEngine, Error> {
    let progress = Progress::new(monitor);
    progress.step(0, "loading ONNX Runtime")?;
    let mut here = ThisMachine { model, options, progress: &progress, device: None };
    let Chosen { engine, fallbacks, warning } =
        chain::load(options.backend, options.precision, &mut here)?;
    let remarks: Vec<String> = engine.remark.into_iter().chain(warning).collect();
    progress.step(100, "ready")?;
    Ok(LoadedEngine {
        remark: (!remarks.is_empty()).then(|| remarks.join("; ")),
        fallbacks: fallbacks.iter().map(ToString::to_string).collect(),
        ..engine
    })
}

/// The best engine of `model` on the processor, whatever else there is.
///
/// # Errors
/// See [`Error`].
pub fn load_on_host(
    model: &Model,
    options: &EngineOptions,
    monitor: &dyn Monitor,
) -> Result<LoadedEngine, Error> {
    let progress = Progress::new(monitor);
    progress.step(0, "loading ONNX Runtime")?;
    ThisMachine { model, options, progress: &progress, device: None }.on_host()
}

struct ThisMachine<'a> {
    model: &'a Model,
    options: &'a EngineOptions,
    progress: &'a Progress<'a>,
    device: Option<Arc<Device>>,
}

impl Providers for ThisMachine<'_> {
    type Engine = LoadedEngine;

    fn open_gpu(&mut self) -> Result<(), cuda::Error> {
        self.device = Some(Device::open(self.options.device_id)?);
        Ok(())
    }

    fn on_gpu(&mut self, candidate: Candidate) -> Result<LoadedEngine, Error> {
        let Some(device) = &self.device else { return Err(cuda::Error::NoDevice.into()) };
        let (engine, regions_exact) =
            gpu::load(self.model, candidate, device, self.options, self.progress)?;
        Ok(LoadedEngine {
            infer: AnyEngine::Device(engine, device.clone()),
            backend: candidate.backend,
            precision: candidate.precision,
            regions_exact,
            tolerant_halo: None,
            remark: None,
            fallbacks: Vec::new(),
        })
    }

    fn on_host(&mut self) -> Result<LoadedEngine, Error> {
        // Its streams and buffers are of no use any more.
        self.device = None;
        let mut engine = Engine::load_with(self.model, self.options, self.progress)?;
        let (regions_exact, tolerant_halo) = match self.model.info.halo {
            Some(halo) => {
                let folder = &self.options.cache_dir;
                let mut engine = Interruptible { infer: &mut engine, progress: self.progress };
                self.progress.step(97, "proving that regions equal the whole")?;
                let exact = regions_are_exact(&mut engine, halo, folder)?;
                self.progress.step(98, "measuring how far around a place it looks")?;
                (exact, tolerant_halo(&mut engine, halo, folder)?)
            }
            None => (false, None),
        };
        Ok(LoadedEngine {
            backend: engine.backend(),
            precision: engine.precision(),
            remark: engine.remark().map(str::to_owned),
            regions_exact,
            tolerant_halo,
            fallbacks: Vec::new(),
            infer: AnyEngine::Host(Box::new(engine)),
        })
    }
}

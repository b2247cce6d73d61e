//! From a model to the best engine that works on this machine.

use std::sync::Arc;

use super::{
    candidates::{Native, candidates},
    chain::{self, Chosen, Providers},
    cpu_engine::CpuEngine,
    exactness::regions_are_exact,
    proof::{self, Choice, Difference, Reference},
    timing,
    tolerance::tolerant_halo,
};
use crate::{
    cuda::{self, Device},
    engine::{
        AnyEngine, Backend, Candidate, EngineOptions, EngineTraits, Error, Fallback, InferOnDevice,
        Interruptible, Monitor, OnHost, Precision, PrecisionError, Progress, measured,
    },
    model::Model,
    native,
    onnxruntime::{gpu, webgpu},
};

/// An engine, and the results of its tests.
pub struct Loaded {
    /// The engine.
    pub infer: AnyEngine,
    /// The backend in use (never `Auto`).
    pub backend: Backend,
    /// The precision in use (never `Auto`).
    pub precision: Precision,
    /// The driver's name of the GPU in use.
    pub device: Option<String>,
    /// What tests of the engine found out ([`regions_are_exact`], [`tolerant_halo`]).
    pub traits: EngineTraits,
    /// A message for the user, for instance why a requested precision is not in use.
    pub note: Option<String>,
    /// The backends that were tried before this one, and why they are not in use.
    pub fallbacks: Vec<Fallback>,
}

/// Builds the engine of `model` on the backend that `options` name, or on the fastest one that
/// works, and tests it.
///
/// TensorRT is tried first, then CUDA, then the CPU ([`fastest_on_cpu`]). Measurements and
/// compiled engines are stored in [`EngineOptions::cache_dir`].
///
/// ```no_run
/// use gstupscale::{
///     backend,
///     engine::{Backend, EngineOptions, Precision, Silent},
///     frame::Image,
///     model::Model,
/// };
///
/// let model = Model::open("builtin")?;
/// let options = EngineOptions {
///     backend: Backend::Auto,
///     precision: Precision::Auto,
///     device_id: 0,
///     threads: 4,
///     cache_dir: std::env::temp_dir(),
/// };
/// let mut loaded = backend::load(&model, &options, &Silent)?;
/// let picture = Image::new(model.info.channels.count(), 64, 48);
/// let mut enlarged = Image::default();
/// loaded.infer.run(&picture, &mut enlarged)?;
/// println!("{}x{} on {}", enlarged.width(), enlarged.height(), loaded.backend);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`Error`]. With [`Backend::Auto`] a backend that does not work is skipped; a GPU that was
/// requested and is not available is [`Error::Unavailable`].
pub fn load(
    model: &Model,
    options: &EngineOptions,
    monitor: &dyn Monitor,
) -> Result<Loaded, Error> {
    let progress = Progress::new(monitor);
    progress.step(0, "Loading the model")?;
    let mut machine = ThisMachine { model, options, progress: &progress, device: None };
    let Chosen { engine, fallbacks, warning } =
        chain::load(options.backend, options.precision, &mut machine)?;
    let notes = model.note.iter().cloned().chain(engine.note).chain(warning);
    let notes: Vec<String> = notes.collect();
    progress.step(100, "Ready")?;
    Ok(Loaded {
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        fallbacks: fallbacks.into_iter().chain(engine.fallbacks).collect(),
        ..engine
    })
}

/// Builds and tests the engine of `model` on the CPU, even if there is a GPU.
///
/// # Errors
/// See [`Error`].
pub fn load_on_cpu(
    model: &Model,
    options: &EngineOptions,
    monitor: &dyn Monitor,
) -> Result<Loaded, Error> {
    let progress = Progress::new(monitor);
    progress.step(0, "Loading the model")?;
    ThisMachine { model, options, progress: &progress, device: None }.on_cpu()
}

/// Builds the engine of `model` on the CPU without the measurements of [`load_on_cpu`].
///
/// The native engine runs every model that it supports, unless `options` name another. For other
/// models, with [`Backend::Auto`] or [`Precision::Auto`], the first load times the candidates, which
/// takes some seconds; the result is stored in [`EngineOptions::cache_dir`].
///
/// # Errors
/// See [`Error`].
pub fn fastest_on_cpu(
    model: &Model,
    options: &EngineOptions,
    monitor: &dyn Monitor,
) -> Result<CpuEngine, Error> {
    let progress = Progress::new(monitor);
    progress.step(0, "Loading the model")?;
    let engine = build_on_cpu(model, options, &progress)?;
    progress.step(100, "Ready")?;
    Ok(engine)
}

fn build_on_cpu(
    model: &Model,
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<CpuEngine, Error> {
    let unsupported = native::Engine::supports(model).err();
    let native = Native::offer(unsupported.is_none(), model.info.macs_per_pixel);
    let candidates = candidates(options, native)?;
    let mut engine = match candidates[..] {
        // WebGPU follows only where there is a GPU, which may be slower or faster.
        [
            Candidate { backend: Backend::Native, .. },
            ..,
            Candidate { backend: Backend::WebGpu, .. },
        ] => timing::fastest(model, &candidates, options, progress)?,
        [Candidate { backend: Backend::Native, .. }, ..] => {
            first_that_works(model, &candidates, options, progress)?
        }
        _ => timing::fastest(model, &candidates, options, progress)?,
    };
    if engine.backend() == Backend::WebGpu {
        prove_on_host(model, options, &mut engine)?;
    }
    let fp32 = matches!(options.precision, Precision::Auto | Precision::Fp32);
    if let Some(reason) = unsupported.filter(|_| options.backend == Backend::Auto && fp32) {
        engine.fallback = Some(Fallback { backend: Backend::Native, reason: reason.to_string() });
    }
    Ok(engine)
}

/// The engine of the first candidate that works.
///
/// # Errors
/// The last candidate's error when none works.
fn first_that_works(
    model: &Model,
    candidates: &[Candidate],
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<CpuEngine, Error> {
    let mut result = Err(Error::Unavailable { backend: options.backend, tried: Vec::new() });
    for &candidate in candidates {
        progress.step(10, &format!("Building {} for {candidate}", model.name))?;
        result = CpuEngine::build(model, candidate, options);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Fails unless the engine, which may run on a GPU, is close enough to fp32 on the CPU.
fn prove_on_host(
    model: &Model,
    options: &EngineOptions,
    engine: &mut CpuEngine,
) -> Result<(), Error> {
    let Candidate { backend, precision } = engine.candidate();
    let requested = options.precision == precision;
    let limits =
        proof::limits(precision, if requested { Choice::Explicit } else { Choice::Automatic });
    let mut reference = CpuEngine::reference(model, options)?;
    let difference = Reference::run(&mut reference, limits.side)?.difference(engine)?;
    if limits.allow(difference) {
        return Ok(());
    }
    let Difference { psnr_db, largest } = difference;
    let reason = PrecisionError::Inexact { psnr_db, largest };
    Err(Error::Precision { backend, precision, reason })
}

struct ThisMachine<'a> {
    model: &'a Model,
    options: &'a EngineOptions,
    progress: &'a Progress<'a>,
    device: Option<Arc<Device>>,
}

impl ThisMachine<'_> {
    /// Fails unless the engine is close enough to fp32 on the CPU. A broken driver, for instance,
    /// computes garbage.
    fn prove(
        &self,
        engine: &mut dyn InferOnDevice,
        candidate: Candidate,
        device: &Arc<Device>,
    ) -> Result<(), Error> {
        let requested = self.options.precision == candidate.precision;
        let choice = if requested { Choice::Explicit } else { Choice::Automatic };
        let limits = proof::limits(candidate.precision, choice);
        let folder = self.options.cache_dir.join("gpu");
        let key = format!("{} on {}", engine.identity(), self.options.device_id);
        let difference = match measured::read(&folder, &key).filter(Difference::is_possible) {
            Some(stored) => stored,
            None => {
                let mut reference = CpuEngine::reference(self.model, self.options)?;
                let reference = Reference::run(&mut reference, limits.side)?;
                reference.difference(&mut OnHost::new(engine, device))?
            }
        };
        if limits.allow(difference) {
            measured::write(&folder, &key, difference);
            return Ok(());
        }
        let Difference { psnr_db, largest } = difference;
        let Candidate { backend, precision } = candidate;
        let reason = PrecisionError::Inexact { psnr_db, largest };
        Err(Error::Precision { backend, precision, reason })
    }
}

impl Providers for ThisMachine<'_> {
    type Engine = Loaded;

    fn open_gpu(&mut self) -> Result<(), cuda::Error> {
        self.device = Some(Device::open(self.options.device_id)?);
        Ok(())
    }

    fn on_gpu(&mut self, candidate: Candidate) -> Result<Loaded, Error> {
        let Some(device) = &self.device else { return Err(cuda::Error::NoDevice.into()) };
        let mut engine = gpu::build(self.model, candidate, device, self.options, self.progress)?;
        self.progress.step(85, "Comparing with the CPU")?;
        self.prove(&mut *engine, candidate, device)?;
        // NVIDIA's libraries choose algorithms by shape, so each stream compares regions with a
        // whole frame of its own size (`CudaPipeline::new`).
        let exact_regions = self.model.info.halo.is_some();
        Ok(Loaded {
            infer: AnyEngine::Device(engine, device.clone()),
            backend: candidate.backend,
            precision: candidate.precision,
            device: Some(device.name().to_owned()),
            traits: EngineTraits { exact_regions, tolerant_halo: None },
            note: None,
            fallbacks: Vec::new(),
        })
    }

    fn on_cpu(&mut self) -> Result<Loaded, Error> {
        // Frees its streams and buffers.
        self.device = None;
        let mut engine = build_on_cpu(self.model, self.options, self.progress)?;
        let traits = match self.model.info.halo {
            // It runs on whole frames, and computes what changed by itself.
            _ if engine.backend() == Backend::Native => EngineTraits::default(),
            Some(halo) => {
                let folder = &self.options.cache_dir;
                let mut engine = Interruptible { infer: &mut engine, progress: self.progress };
                self.progress.step(97, "Testing whether regions equal the whole picture")?;
                let exact_regions = regions_are_exact(&mut engine, halo, folder)?;
                self.progress.step(98, "Measuring the visible part of the receptive field")?;
                let tolerant_halo = tolerant_halo(&mut engine, halo, folder)?;
                EngineTraits { exact_regions, tolerant_halo }
            }
            None => EngineTraits::default(),
        };
        Ok(Loaded {
            backend: engine.backend(),
            precision: engine.precision(),
            device: (engine.backend() == Backend::WebGpu).then(webgpu::adapter).flatten(),
            note: None,
            traits,
            fallbacks: engine.fallback.iter().cloned().collect(),
            infer: engine.into_engine(),
        })
    }
}

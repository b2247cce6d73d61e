//! Sessions on an NVIDIA GPU, through TensorRT or CUDA.
//!
//! Pictures stay in the GPU's memory; a session works on the stream that the stages around it
//! work on, so nothing waits for the host.

mod build_time;
mod engine;
mod options;
mod profile;
mod session;
mod tensorrt_cache;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ort::ep::{self, ExecutionProviderDispatch};

pub(crate) use self::engine::GpuEngine;
use self::{
    options::{Options, Target},
    profile::Profile,
    session::{DeviceSession, Place},
    tensorrt_cache::{Key, Source, TensorRtCache},
};
use super::library::Library;
use crate::{
    cuda::Device,
    engine::{
        Backend, Candidate, EngineOptions, Error, OnHost, Precision, Progress, Samples, measured,
        test_picture::probe_size,
    },
    model::{Element, Model, onnx::Layout},
};

/// Share of the GPU's memory that running may take: frames and other programs want some. Of all
/// that it has, not of what is free: engines are built for bounds that must not change from start
/// to start.
const SHARE: u64 = 3;

/// Builds and warms up the engine of `candidate` on `device`.
///
/// # Errors
/// [`Error::NoProvider`], [`Error::Precision`], [`Error::Cancelled`], and the errors of building
/// and running.
pub(crate) fn build(
    model: &Model,
    candidate: Candidate,
    device: &Arc<Device>,
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<GpuEngine, Error> {
    let library = Library::get()?;
    if !library.has(candidate.backend) {
        let library = library.path.display().to_string();
        return Err(Error::NoProvider { backend: candidate.backend, library });
    }
    let loading = Loading { model, candidate, device, options, progress };
    match candidate.backend {
        Backend::TensorRt => loading.tensorrt(),
        _ => loading.cuda(),
    }
}

struct Loading<'a> {
    model: &'a Model,
    candidate: Candidate,
    device: &'a Arc<Device>,
    options: &'a EngineOptions,
    progress: &'a Progress<'a>,
}

impl Loading<'_> {
    fn cuda(&self) -> Result<GpuEngine, Error> {
        let what = format!("building {} for {}", self.model.name, self.candidate);
        self.progress.step(5, &what)?;
        let info = &self.model.info;
        // Anything that fits goes.
        let sides =
            info.fixed_size.map_or([(1, 1), (1, 1), (u32::MAX, u32::MAX)], |size| [size; 3]);
        let most = if info.batch { profile::MOST_REGIONS } else { 1 };
        let profile = Profile { most, sides, tuned: 1 };
        let session = self.session(&self.onnx()?, vec![self.cuda_provider()])?;
        let mut engine = self.engine(vec![(profile, session)]);
        let (width, height) = probe_size(info, 128);
        self.warm_up(&mut engine, 1, (width as u32, height as u32))?;
        self.warm_up(&mut engine, most, (width as u32, height as u32))?;
        Ok(engine)
    }

    fn tensorrt(&self) -> Result<GpuEngine, Error> {
        let graph = self.model.graph.as_deref();
        if self.candidate.precision == Precision::Fp32 {
            return Err(self.cannot("it would compute in TF32: use backend=cuda"));
        }
        let graph = graph.ok_or_else(|| self.cannot("this model's graph is not known"))?;
        let onnx = self.onnx()?;
        let (_, memory) = self.device.memory()?;
        let channels = self.model.info.channels.count();
        let mut sessions = Vec::new();
        for profile in Profile::all(&self.model.info, memory / SHARE) {
            let what = format!("building {} for {}", self.model.name, self.candidate);
            self.progress.step(10, &what)?;
            let shapes = profile.texts(&graph.input, channels).join(" ");
            let (device, library) = (self.device, Library::get()?);
            let (major, minor) = device.capability();
            let key = Key {
                model: &self.model.digest,
                shapes: &shapes,
                precision: &self.candidate.precision.to_string(),
                runtime: library.build,
                tensorrt: &tensorrt_version(),
                driver: &device.driver_version(),
                gpu: &format!("{} ({major}.{minor})", device.name()),
            };
            let make = |folder: &Path| {
                let configured_options =
                    options::tensorrt(self.target(), &profile, &graph.input, channels, folder);
                let providers = vec![
                    configured(ep::TensorRT::default(), configured_options),
                    self.cuda_provider(),
                ];
                let session = self.session(&onnx, providers)?;
                // A kept engine that does not fit may fail only now.
                let mut engine = self.engine(vec![(profile, session)]);
                self.warm_up(&mut engine, profile.tuned, profile.sides[1])?;
                engine.sessions.pop().ok_or(Error::OutOfMemory)
            };
            let times = self.options.cache_dir.join("tensorrt-times");
            let last: Option<Duration> = measured::read(&times, &key.work());
            let begun = Instant::now();
            let (session, source) = build_time::reporting(self.progress, &what, last, || {
                TensorRtCache::new(&self.options.cache_dir, &key)
                    .engine(&|| self.progress.is_cancelled(), make)
            })?;
            if source == Source::Built {
                measured::write(&times, &key.work(), begun.elapsed());
            }
            sessions.push(session);
        }
        Ok(self.engine(sessions))
    }

    fn engine(&self, sessions: Vec<(Profile, DeviceSession)>) -> GpuEngine {
        let runtime = Library::get().map_or("", |library| library.build);
        let (gpu, driver) = (self.device.name(), self.device.driver_version());
        let Self { model, candidate, .. } = self;
        GpuEngine {
            info: model.info.clone(),
            samples: self.samples(),
            identity: format!("{} {candidate}, {runtime}, {gpu}, driver {driver}", model.digest),
            sessions,
        }
    }

    fn session(
        &self,
        onnx: &[u8],
        mut providers: Vec<ExecutionProviderDispatch>,
    ) -> Result<DeviceSession, Error> {
        providers.push(ep::CPU::default().build().error_on_failure());
        let (model, place) = (self.model, Place::Gpu(self.target().device));
        let folder = model.external.as_deref();
        DeviceSession::build(onnx, folder, &model.info, self.samples(), place, providers)
    }

    fn warm_up(
        &self,
        engine: &mut GpuEngine,
        count: u32,
        (width, height): (u32, u32),
    ) -> Result<(), Error> {
        OnHost::new(engine, self.device).warm_up(count, width, height)
    }

    fn onnx(&self) -> Result<bytes::Bytes, Error> {
        let element = match self.samples() {
            Samples::F16 => Element::F16,
            Samples::F32 => Element::F32,
        };
        let layout = Layout { element, ends: element, ..Layout::default() };
        self.model.onnx_at(layout).map_err(|error| self.cannot(&error.to_string()))
    }

    fn samples(&self) -> Samples {
        if self.candidate.precision == Precision::Fp16 { Samples::F16 } else { Samples::F32 }
    }

    fn target(&self) -> Target {
        Target {
            device: i32::try_from(self.device.id()).unwrap_or(0),
            stream: self.device.compute().raw().expose_provenance(),
        }
    }

    fn cuda_provider(&self) -> ExecutionProviderDispatch {
        configured(ep::CUDA::default(), options::cuda(self.target()))
    }

    fn cannot(&self, why: &str) -> Error {
        let Candidate { backend, precision } = self.candidate;
        Error::Precision { backend, precision, why: why.into() }
    }
}

/// The provider, told `options`, failing where it is not there.
fn configured<P>(provider: P, options: Options) -> ExecutionProviderDispatch
where
    P: ep::ArbitrarilyConfigurableExecutionProvider + Into<ExecutionProviderDispatch>,
{
    let provider = options
        .into_iter()
        .fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value));
    let dispatch: ExecutionProviderDispatch = provider.into();
    dispatch.error_on_failure()
}

/// What TensorRT's library says of itself; `unknown` where it cannot be asked.
fn tensorrt_version() -> String {
    // SAFETY: its initialisers run as they would when the provider loads it, and stay loaded.
    let Ok(library) = (unsafe { libloading::Library::new("libnvinfer.so.10") }) else {
        return "unknown".into();
    };
    // SAFETY: declared so in NvInferRuntimeBase.h.
    let version = unsafe { library.get::<unsafe extern "C" fn() -> i32>(b"getInferLibVersion\0") };
    // SAFETY: takes nothing and only gives a number.
    let version = version.map_or("unknown".into(), |version| unsafe { version() }.to_string());
    std::mem::forget(library);
    version
}

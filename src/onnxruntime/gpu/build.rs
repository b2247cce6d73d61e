//! Builds engines on the GPU.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ort::ep::{self, ExecutionProviderDispatch};

use super::{
    build_time,
    engine::GpuEngine,
    options::{self, Features, Options, Target},
    profile::{self, Profile},
    session::{DeviceSession, Place},
    tensorrt_cache::{Key, Origin, TensorRtCache},
};
use crate::{
    cuda::{Buffer, Device},
    engine::{
        Backend, Candidate, DeviceBatch, EngineOptions, Error, InferOnDevice, Precision,
        PrecisionError, Progress, Samples, measured, test_picture::probe_size,
    },
    model::{Element, Model, onnx::Layout},
    onnxruntime::library::Library,
};

/// Inference may use one part in this number of the GPU's memory; frames and other programs need
/// the rest. Of the total memory, because the bounds that engines are compiled for must not depend
/// on what is free at the moment.
const MEMORY_PARTS: u64 = 3;

/// Sides of the picture, about, with which the storage of features is chosen, in pixels.
const MEASURED_SIDE: u32 = 512;
/// Runs of which the fastest counts.
const MEASURED_RUNS: u32 = 3;

/// Builds and warms up the engine of `candidate` on `device`.
///
/// # Errors
/// [`Error::NotBuilt`], [`Error::NoLibrary`], [`Error::NoProvider`], [`Error::Precision`],
/// [`Error::Cancelled`], and the errors of building and running.
pub(crate) fn build(
    model: &Model,
    candidate: Candidate,
    device: &Arc<Device>,
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<Box<dyn InferOnDevice>, Error> {
    let library = Library::with(candidate.backend)?;
    let builder = Builder { model, candidate, device, options, progress, library };
    let engine = match candidate.backend {
        Backend::TensorRt => builder.tensorrt()?,
        _ => builder.cuda()?,
    };
    Ok(Box::new(engine))
}

/// Black pictures, and memory for their enlargement.
struct Black {
    batch: DeviceBatch,
    _memory: [Buffer; 2],
}

struct Builder<'a> {
    model: &'a Model,
    candidate: Candidate,
    device: &'a Arc<Device>,
    options: &'a EngineOptions,
    progress: &'a Progress<'a>,
    library: &'a Library,
}

impl Builder<'_> {
    fn cuda(&self) -> Result<GpuEngine, Error> {
        self.progress.step(5, &self.step())?;
        let (info, onnx) = (&self.model.info, self.onnx()?);
        let features = self.faster_features(&onnx)?;
        let mut engine = self.engine(Vec::new());
        engine.tile = profile::tile(info);
        for profile in Profile::of_one_shape(info) {
            let session = self.session(&onnx, vec![self.cuda_provider(features)])?;
            engine.sessions.push((profile, session));
        }
        let (width, height) = probe_size(info, 128);
        self.warm_up(&mut engine, 1, (width as u32, height as u32))?;
        Ok(engine)
    }

    /// The storage of features with which a picture takes less time on this GPU. Only the planar
    /// one has to work.
    fn faster_features(&self, onnx: &[u8]) -> Result<Features, Error> {
        let planar = self.run_time(onnx, Features::Planar)?;
        let interleaved = self.run_time(onnx, Features::Interleaved);
        let faster = interleaved.is_ok_and(|time| time < planar);
        Ok(if faster { Features::Interleaved } else { Features::Planar })
    }

    /// The time of a run on a picture of some size.
    fn run_time(&self, onnx: &[u8], features: Features) -> Result<Duration, Error> {
        let info = &self.model.info;
        let sides = info.fixed_size.map_or([(1, 1), (1, 1), (u32::MAX, u32::MAX)], |it| [it; 3]);
        let profile = Profile { max_batch: 1, exact: true, sides, tuned_batch: 1 };
        let session = self.session(onnx, vec![self.cuda_provider(features)])?;
        let mut engine = self.engine(vec![(profile, session)]);
        let (width, height) = probe_size(info, MEASURED_SIDE);
        let size = (width as u32, height as u32);
        let (begin, end) = (self.device.event()?, self.device.event()?);
        let (stream, black) = (self.device.compute(), self.black(&engine, 1, size)?);
        // The first run plans.
        engine.run(&black.batch)?;
        let mut least = Duration::MAX;
        for _ in 0..MEASURED_RUNS {
            stream.record(&begin)?;
            engine.run(&black.batch)?;
            stream.record(&end)?;
            end.synchronize()?;
            least = least.min(end.since(&begin));
        }
        Ok(least)
    }

    fn tensorrt(&self) -> Result<GpuEngine, Error> {
        if self.candidate.precision == Precision::Fp32 {
            return Err(self.unavailable(PrecisionError::Tf32));
        }
        let graph = self.model.graph.as_deref();
        let graph = graph.ok_or_else(|| self.unavailable(PrecisionError::NoGraph))?;
        let onnx = self.onnx()?;
        let (_, memory) = self.device.memory()?;
        let mut engine = self.engine(Vec::new());
        for profile in Profile::all(&self.model.info, memory / MEMORY_PARTS) {
            self.progress.step(10, &self.step())?;
            engine.sessions.extend(self.tensorrt_session(&onnx, &graph.input, profile)?);
        }
        Ok(engine)
    }

    /// The session for one profile, from the cache if possible; `input` is the graph's input.
    fn tensorrt_session(
        &self,
        onnx: &[u8],
        input: &str,
        profile: Profile,
    ) -> Result<Vec<(Profile, DeviceSession)>, Error> {
        let channels = self.model.info.channels.count();
        let (major, minor) = self.device.capability();
        let key = Key {
            model: &self.model.digest,
            shapes: &profile.texts(input, channels).join(" "),
            precision: self.candidate.precision.name(),
            runtime: self.library.build,
            tensorrt: &tensorrt_version(),
            driver: &self.device.driver_version(),
            gpu: &format!("{} ({major}.{minor})", self.device.name()),
        };
        let make = |folder: &Path| {
            let options = options::tensorrt(self.target(), &profile, input, channels, folder);
            let cuda = self.cuda_provider(Features::Planar);
            let providers = vec![configured(ep::TensorRT::default(), options), cuda];
            let session = self.session(onnx, providers)?;
            // A stored engine that does not match may fail only now.
            let mut engine = self.engine(vec![(profile, session)]);
            self.warm_up(&mut engine, profile.tuned_batch, profile.sides[1])?;
            Ok(engine.sessions)
        };
        let times = self.options.cache_dir.join("tensorrt-times");
        let last: Option<Duration> = measured::read(&times, &key.work());
        let begun = Instant::now();
        let (sessions, origin) = build_time::reporting(self.progress, &self.step(), last, || {
            TensorRtCache::new(&self.options.cache_dir, &key)
                .engine(&|| self.progress.is_cancelled(), make)
        })?;
        if origin == Origin::Built {
            measured::write(&times, &key.work(), begun.elapsed());
        }
        Ok(sessions)
    }

    fn step(&self) -> String {
        format!("Building {} for {}", self.model.name, self.candidate)
    }

    fn engine(&self, sessions: Vec<(Profile, DeviceSession)>) -> GpuEngine {
        let (gpu, driver) = (self.device.name(), self.device.driver_version());
        let Self { model, candidate, library, .. } = self;
        let (digest, runtime) = (&model.digest, library.build);
        GpuEngine {
            info: model.info.clone(),
            samples: self.samples(),
            identity: format!("{digest} {candidate}, {runtime}, {gpu}, driver {driver}"),
            sessions,
            tile: None,
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

    /// Runs a batch of `count` black pictures of this size.
    fn warm_up(&self, engine: &mut GpuEngine, count: u32, size: (u32, u32)) -> Result<(), Error> {
        let black = self.black(engine, count, size)?;
        engine.run(&black.batch)?;
        Ok(self.device.compute().synchronize()?)
    }

    /// A batch of `count` black pictures of this size.
    fn black(
        &self,
        engine: &GpuEngine,
        count: u32,
        (width, height): (u32, u32),
    ) -> Result<Black, Error> {
        let (channels, factor) = (engine.info.channels.count(), engine.info.factor);
        let bytes = |width: u32, height: u32| {
            let samples = count as usize * channels * width as usize * height as usize;
            samples * engine.samples.size()
        };
        let from = Buffer::new(self.device, bytes(width, height))?;
        let to = Buffer::new(self.device, bytes(width * factor, height * factor))?;
        self.device.compute().fill(&from, 0)?;
        let (input, output) = (from.address(), to.address());
        let batch = DeviceBatch { input, output, count, width, height };
        Ok(Black { batch, _memory: [from, to] })
    }

    fn onnx(&self) -> Result<bytes::Bytes, Error> {
        let element = match self.samples() {
            Samples::F16 => Element::F16,
            Samples::F32 => Element::F32,
        };
        let layout = Layout { element, ends: element, ..Layout::default() };
        self.model.onnx_at(layout).map_err(|error| self.unavailable(PrecisionError::Model(error)))
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

    fn cuda_provider(&self, features: Features) -> ExecutionProviderDispatch {
        let options = options::cuda(self.target(), self.candidate.precision, features);
        configured(ep::CUDA::default(), options)
    }

    fn unavailable(&self, reason: PrecisionError) -> Error {
        let Candidate { backend, precision } = self.candidate;
        Error::Precision { backend, precision, reason }
    }
}

/// The provider with these options. Building a session fails when it is missing.
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

/// The version of TensorRT's library, or `unknown`.
fn tensorrt_version() -> String {
    // SAFETY: its initializers run as they would when the provider loads it. It stays loaded.
    let Ok(library) = (unsafe { libloading::Library::new("libnvinfer.so.10") }) else {
        return "unknown".into();
    };
    // SAFETY: declared with this type in NvInferRuntimeBase.h.
    let version = unsafe { library.get::<unsafe extern "C" fn() -> i32>(b"getInferLibVersion\0") };
    // SAFETY: the function takes no arguments and only returns a number.
    let version = version.map_or("unknown".into(), |version| unsafe { version() }.to_string());
    std::mem::forget(library);
    version
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf};

    use super::*;
    use crate::engine::Silent;

    /// Runs the real provider over libraries that write a line for each call to `STUB_LOG`
    /// (tests/provider/runtime.c), on the emulated driver.
    #[test]
    #[ignore = "run by scripts/provider.sh"]
    fn the_cuda_provider_plans_and_waits_only_at_the_first_runs() {
        let log = PathBuf::from(env::var_os("STUB_LOG").unwrap());
        let device = Device::open(0).unwrap();
        let stream = format!("on stream {:p}", device.compute().raw());
        let model = Model::open("builtin-quality").unwrap();
        for (precision, convolutions) in [
            (Precision::Fp16, "convolution with tensor cores"),
            (Precision::Fp32, "convolution without tensor cores"),
        ] {
            let (backend, cache_dir) = (Backend::Cuda, env::temp_dir());
            let options = EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir };
            let candidate = Candidate { backend, precision };
            let progress = Progress::new(&Silent);
            let mut engine = build(&model, candidate, &device, &options, &progress).unwrap();
            let tile = engine.tile().unwrap();
            let buffer = || Buffer::new(&device, 64 << 20).unwrap();
            let (from, to) = (buffer(), buffer());
            let (input, output) = (from.address(), to.address());
            // The runs of a stream of one size: whole frames, and as many tiles as changed.
            let mut run_stream = || {
                for (mut count, (width, height)) in
                    [(1, (640, 360)), (4, tile), (1, tile), (1, (640, 360)), (3, tile), (7, tile)]
                {
                    while count > 0 {
                        let part = count.min(engine.max_batch((width, height)));
                        let batch = DeviceBatch { input, output, count: part, width, height };
                        engine.run(&batch).unwrap();
                        count -= part;
                    }
                }
            };
            run_stream();
            let before = fs::read_to_string(&log).unwrap().len();
            run_stream();
            let text = fs::read_to_string(&log).unwrap();
            let lines: Vec<&str> = text[before..].lines().collect();
            let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
            eprintln!("{candidate}: {} calls, {} convolutions", lines.len(), count("convolution"));
            assert!(count("convolution") > 0);
            assert_eq!(count(convolutions), count("convolution"), "{candidate}");
            for unwanted in ["plan ", "synchron", "allocate", "free", "cudnn handle"] {
                assert_eq!(count(unwanted), 0, "{candidate}: {unwanted}");
            }
            assert_eq!(count(&stream), count("on stream"), "{candidate}");
        }
    }
}

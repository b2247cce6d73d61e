//! Takes the fastest of several candidates that has no visible difference from fp32.
//!
//! The candidates are timed on one region. The result is stored for this model, library,
//! CPU and number of threads until it is measured again (see [`Timings`]).

use std::time::{Duration, Instant, SystemTime};

use super::{
    cpu::Cpu,
    cpu_engine::CpuEngine,
    proof::{self, Choice, Reference},
    timings::Timings,
};
use crate::{
    engine::{
        Candidate, EngineOptions, Error, Infer as _, Precision, Progress, measured,
        test_picture::{probe_size, scene},
    },
    frame::Image,
    model::{Model, ModelInfo},
    onnxruntime,
};

/// Rounds of measuring, unless they exceed [`MAX_TIME`].
const ROUNDS: u32 = 25;
const MAX_TIME: Duration = Duration::from_secs(3);
/// Multiply-adds of one measured run, at most.
const MAX_MACS: f64 = 1e10;

/// The engine of the fastest of `candidates`.
///
/// # Errors
/// The first candidate's error when none works.
pub(super) fn fastest(
    model: &Model,
    candidates: &[Candidate],
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<CpuEngine, Error> {
    if let [candidate] = candidates {
        progress.step(10, &format!("Building {} for {candidate}", model.name))?;
        return CpuEngine::build(model, *candidate, options);
    }
    let folder = options.cache_dir.join("timings");
    let key = key(model, candidates, options);
    let mut stored: Option<Timings> = measured::read(&folder, &key).filter(Timings::are_possible);
    if let Some(timings) = &mut stored
        && let Some(candidate) = timings.fastest().filter(|fastest| candidates.contains(fastest))
        && !timings.count_load(now())
    {
        progress.step(10, &format!("Building {} for {candidate}", model.name))?;
        measured::write(&folder, &key, &*timings);
        if let Ok(engine) = CpuEngine::build(model, candidate, options) {
            return Ok(engine);
        }
    }
    let mut engines = Vec::new();
    let mut failure = None;
    for (&candidate, percent) in candidates.iter().zip((10..).step_by(20)) {
        progress.step(percent, &format!("Building {} for {candidate}", model.name))?;
        match CpuEngine::build(model, candidate, options) {
            Ok(engine) => engines.push(engine),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    progress.step(70, "Measuring which is fastest")?;
    drop_inexact(&mut engines);
    let times = measure(&mut engines, &model.info, &mut failure, progress)?;
    let timings = Timings::new(now(), times).combined_with(stored);
    let fastest = engines.iter().position(|engine| Some(engine.candidate()) == timings.fastest());
    match fastest {
        Some(index) => {
            measured::write(&folder, &key, &timings);
            Ok(engines.swap_remove(index))
        }
        None => {
            Err(failure
                .unwrap_or(Error::Unavailable { backend: options.backend, tried: Vec::new() }))
        }
    }
}

/// Unix time in seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn key(model: &Model, candidates: &[Candidate], options: &EngineOptions) -> String {
    let candidates: Vec<String> = candidates.iter().map(Candidate::to_string).collect();
    let (candidates, threads) = (candidates.join(", "), options.threads);
    let (cpu, runtime) = (&Cpu::get().identity, onnxruntime::build_info().unwrap_or("absent"));
    format!("{} {candidates}; {threads} threads on {cpu}; ONNX Runtime {runtime}", model.digest)
}

/// Keeps the reference, which is the first fp32 engine, and the engines that are close enough to it.
/// Keeps all fp32 engines when the reference does not run.
fn drop_inexact(engines: &mut Vec<CpuEngine>) {
    let side = proof::limits(Precision::Fp32, Choice::Automatic).side;
    let first = engines.iter().position(|engine| engine.precision() == Precision::Fp32);
    let reference = first
        .and_then(|index| engines.get_mut(index))
        .and_then(|engine| Reference::run(engine, side).ok());
    let mut indices = 0..;
    engines.retain_mut(|engine| {
        let is_reference = indices.next() == first;
        let precision = engine.precision();
        match &reference {
            Some(_) if is_reference => true,
            Some(reference) => reference.difference(engine).is_ok_and(|difference| {
                proof::limits(precision, Choice::Automatic).allow(difference)
            }),
            None => precision == Precision::Fp32,
        }
    });
}

/// The shortest time of each engine over one region. The engines take turns, so that other work on
/// the machine affects all of them. An engine that fails is left out; the first error becomes
/// `failure`.
fn measure(
    engines: &mut [CpuEngine],
    info: &ModelInfo,
    failure: &mut Option<Error>,
    progress: &Progress<'_>,
) -> Result<Vec<(Candidate, Duration)>, Error> {
    let (width, height) = probe_size(info, measured_side(info));
    let input = scene(info.channels.count(), width, height, 2);
    let mut output = Image::default();
    let mut shortest = vec![Duration::MAX; engines.len()];
    let begun = Instant::now();
    for round in 0..=ROUNDS {
        // With a large fixed size one run can take minutes.
        if round > 1 && begun.elapsed() > MAX_TIME {
            break;
        }
        progress.step(75 + 20 * round / ROUNDS, "Measuring which is fastest")?;
        for (engine, shortest) in engines.iter_mut().zip(&mut shortest) {
            let start = Instant::now();
            match engine.run(&input, &mut output) {
                // The first round allocates buffers and compiles kernels.
                Ok(()) if round > 0 => *shortest = start.elapsed().min(*shortest),
                Ok(()) => {}
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
    }
    let timed = engines.iter().map(CpuEngine::candidate).zip(shortest);
    Ok(timed.filter(|(_, time)| *time < Duration::MAX).collect())
}

/// Side of a region that keeps all threads busy and is quick to run, in pixels.
fn measured_side(info: &ModelInfo) -> u32 {
    let pixels = MAX_MACS / info.macs_per_pixel.max(1.0);
    (pixels.sqrt() as u32).clamp(48, 192)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Backend, Infer},
        frame::Channels,
    };

    /// Copies a picture and adds `error` to its first sample.
    struct Copy {
        info: ModelInfo,
        error: f32,
    }

    impl Infer for Copy {
        fn info(&self) -> &ModelInfo {
            &self.info
        }

        fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
            if self.error.is_nan() {
                return Err(Error::OutOfMemory);
            }
            output.clone_from(input);
            if let Some(sample) = output.data_mut().first_mut() {
                *sample = 0.5 + self.error;
            }
            Ok(())
        }
    }

    /// An engine with an error in steps of 8-bit samples; one with an error of NaN fails.
    fn engine(backend: Backend, precision: Precision, steps: f32) -> CpuEngine {
        let info = ModelInfo {
            channels: Channels::Luma,
            factor: 1,
            halo: Some(0),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: false,
            parameters: 0,
            macs_per_pixel: 0.0,
            peak_floats_per_pixel: 2.0,
        };
        CpuEngine::new(Copy { info, error: steps / 255.0 }, Candidate { backend, precision })
    }

    #[test]
    fn only_engines_that_are_close_to_the_first_fp32_engine_are_timed() {
        use {Backend::OpenVino, Precision::Bf16, Precision::Fp32};
        let reference = || engine(Backend::Cpu, Fp32, 0.0);
        for (precision, steps, kept) in
            [(Fp32, 0.5, true), (Fp32, 3.0, false), (Bf16, 3.0, true), (Bf16, 5.0, false)]
        {
            let mut engines = vec![reference(), engine(OpenVino, precision, steps)];
            drop_inexact(&mut engines);
            assert_eq!(engines.len() == 2, kept, "{precision} {steps}");
            assert_eq!(engines[0].backend(), Backend::Cpu);
        }
    }

    #[test]
    fn without_a_reference_only_fp32_engines_are_timed() {
        let mut engines = vec![
            engine(Backend::Cpu, Precision::Fp32, f32::NAN),
            engine(Backend::OpenVino, Precision::Fp32, 0.0),
            engine(Backend::OpenVino, Precision::Bf16, 0.0),
        ];
        drop_inexact(&mut engines);
        let kept: Vec<Precision> = engines.iter().map(CpuEngine::precision).collect();
        assert_eq!(kept, [Precision::Fp32, Precision::Fp32]);
    }
}

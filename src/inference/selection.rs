//! Which of several candidates is taken: the fastest that shows no visible difference.
//!
//! They are measured against each other on one region, and the answer is kept for this model,
//! library, processor and number of threads, until it is measured again (see [`Race`]).

use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::{
    Backend, EngineOptions, Error, Library, Precision, cache,
    cpu::Cpu,
    engine::{Engine, Progress, probe_size},
    picture,
    race::Race,
};
use crate::{
    frame::Image,
    inference::Infer,
    model::{Model, ModelInfo},
};

/// Rounds of measuring, unless they take longer than [`ENOUGH`] together.
const ROUNDS: u32 = 25;
const ENOUGH: Duration = Duration::from_secs(3);

/// A backend with a precision: neither is `Auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub backend: Backend,
    pub precision: Precision,
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.backend, self.precision)
    }
}

/// What `options` allow, the most exact first. Where nobody asked for a certain one, only what
/// the library and the processor can do.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Precision`] where they allow nothing.
pub(super) fn candidates(options: &EngineOptions) -> Result<Vec<Candidate>, Error> {
    use {Backend as B, Precision as P};
    let EngineOptions { backend, precision, .. } = *options;
    let cannot = |why: &str| Err(Error::Precision { backend, precision, why: why.into() });
    let wanted: &[(B, P)] = match (backend, precision) {
        (B::TensorRt | B::Cuda, _) => {
            let reasons = "only the processor is asked here".into();
            return Err(Error::Unavailable { backend, reasons });
        }
        (B::Auto, P::Auto) => &[(B::Cpu, P::Fp32), (B::OpenVino, P::Fp32), (B::OpenVino, P::Bf16)],
        (B::Auto, P::Fp32) => &[(B::Cpu, P::Fp32), (B::OpenVino, P::Fp32)],
        (B::Cpu, P::Auto | P::Fp32) => &[(B::Cpu, P::Fp32)],
        (B::OpenVino, P::Auto) => &[(B::OpenVino, P::Fp32), (B::OpenVino, P::Bf16)],
        (B::OpenVino, P::Fp32) => &[(B::OpenVino, P::Fp32)],
        (B::Auto | B::OpenVino, P::Bf16) if Cpu::get().bf16 => &[(B::OpenVino, P::Bf16)],
        (B::Auto | B::OpenVino, P::Bf16) => {
            return cannot("this processor does not compute in bf16: use precision=auto");
        }
        (B::Cpu, P::Bf16) => return cannot("openvino does it: use backend=openvino"),
        (_, P::Fp16) => return cannot("it needs a GPU: use precision=auto"),
        (B::Auto | B::Cpu, P::Int8) => &[(B::Cpu, P::Int8)],
        (B::OpenVino, P::Int8) => return cannot("the cpu does it: use backend=cpu"),
    };
    let mut candidates: Vec<_> =
        wanted.iter().map(|&(backend, precision)| Candidate { backend, precision }).collect();
    if precision == P::Auto {
        candidates.retain(|candidate| candidate.precision != P::Bf16 || Cpu::get().bf16);
    }
    if backend == B::Auto && candidates.len() > 1 {
        let library = Library::get()?;
        candidates.retain(|candidate| library.has(candidate.backend));
    }
    Ok(candidates)
}

/// The engine of the best of `candidates`.
///
/// # Errors
/// The first candidate's, where none works.
pub(super) fn best(
    model: &Model,
    candidates: &[Candidate],
    options: &EngineOptions,
    progress: &Progress<'_>,
) -> Result<Engine, Error> {
    if let [candidate] = candidates {
        progress.step(10, &format!("building {} for {candidate}", model.name))?;
        return Engine::build(model, *candidate, options);
    }
    let folder = options.cache_dir.join("selection");
    let key = key(model, candidates, options)?;
    let mut kept: Option<Race> = cache::read(&folder, &key);
    if let Some(race) = &mut kept
        && let Some(candidate) = race.winner().filter(|winner| candidates.contains(winner))
        && !race.load(now())
    {
        progress.step(10, &format!("building {} for {candidate}", model.name))?;
        cache::write(&folder, &key, &*race);
        if let Ok(engine) = Engine::build(model, candidate, options) {
            return Ok(engine);
        }
    }
    let mut engines = Vec::new();
    let mut failure = None;
    for (&candidate, percent) in candidates.iter().zip((10..).step_by(20)) {
        progress.step(percent, &format!("building {} for {candidate}", model.name))?;
        match Engine::build(model, candidate, options) {
            Ok(engine) => engines.push(engine),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    progress.step(70, "measuring which is fastest")?;
    drop_inexact(&mut engines, &model.info);
    let times = measure(&mut engines, &model.info, progress)?;
    let race = Race::new(now(), times).after(kept);
    let fastest = engines.iter().position(|engine| Some(engine.candidate()) == race.winner());
    match fastest {
        Some(index) => {
            cache::write(&folder, &key, &race);
            Ok(engines.swap_remove(index))
        }
        None => Err(failure.unwrap_or_else(|| {
            let reasons = "no candidate ran".into();
            Error::Unavailable { backend: options.backend, reasons }
        })),
    }
}

/// Unix time in seconds.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn key(model: &Model, candidates: &[Candidate], options: &EngineOptions) -> Result<String, Error> {
    let (library, cpu) = (Library::get()?.build, &Cpu::get().identity);
    let threads = options.threads;
    Ok(format!("{} {candidates:?} {threads} threads on {cpu}, {library}", model.digest))
}

/// Keeps the bf16 ones that show no visible difference from the first fp32 one: at least 50 dB,
/// and no sample off by more than 4/255.
fn drop_inexact(engines: &mut Vec<Engine>, info: &ModelInfo) {
    let (width, height) = probe_size(info, 96);
    let input = picture::scene(info.channels.count(), width, height, 1);
    let mut reference = Image::default();
    let has_reference = engines
        .iter_mut()
        .find(|engine| engine.precision() == Precision::Fp32)
        .is_some_and(|engine| engine.run(&input, &mut reference).is_ok());
    let mut output = Image::default();
    engines.retain_mut(|engine| {
        if engine.precision() == Precision::Fp32 || !has_reference {
            return engine.precision() == Precision::Fp32;
        }
        let (psnr, largest) = match engine.run(&input, &mut output) {
            Ok(()) => picture::distance(&output, &reference),
            Err(_) => return false,
        };
        psnr >= 50.0 && largest <= 4.0 / 255.0
    });
}

/// The best time of each over one region, taken in turns so that what else goes on in the
/// machine meets all of them. One that fails is left out.
fn measure(
    engines: &mut [Engine],
    info: &ModelInfo,
    progress: &Progress<'_>,
) -> Result<Vec<(Candidate, Duration)>, Error> {
    let (width, height) = probe_size(info, measured_side(info));
    let input = picture::scene(info.channels.count(), width, height, 2);
    let mut output = Image::default();
    let mut best = vec![Duration::MAX; engines.len()];
    let begun = Instant::now();
    for round in 0..=ROUNDS {
        // A large fixed size can take minutes a run.
        if round > 1 && begun.elapsed() > ENOUGH {
            break;
        }
        progress.step(75 + 20 * round / ROUNDS, "measuring which is fastest")?;
        for (engine, best) in engines.iter_mut().zip(&mut best) {
            let start = Instant::now();
            let done = engine.run(&input, &mut output).is_ok();
            // The first round shapes buffers and kernels, and is not counted.
            if done && round > 0 {
                *best = start.elapsed().min(*best);
            }
        }
    }
    let timed = engines.iter().map(Engine::candidate).zip(best);
    Ok(timed.filter(|(_, time)| *time < Duration::MAX).collect())
}

/// A region large enough to keep the threads busy, of about 10¹⁰ multiply-adds at most.
fn measured_side(info: &ModelInfo) -> u32 {
    let pixels = 1e10 / info.macs_per_pixel.max(1.0);
    (pixels.sqrt() as u32).clamp(48, 192)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(backend: Backend, precision: Precision) -> Result<Vec<Candidate>, Error> {
        candidates(&EngineOptions {
            backend,
            precision,
            device_id: 0,
            threads: 1,
            cache_dir: "/nowhere".into(),
        })
    }

    #[test]
    fn a_stated_precision_is_never_another() {
        for backend in [Backend::Cpu, Backend::OpenVino] {
            for precision in [Precision::Fp32, Precision::Fp16, Precision::Bf16, Precision::Int8] {
                for candidate in ask(backend, precision).into_iter().flatten() {
                    assert_eq!(candidate, Candidate { backend, precision });
                }
            }
        }
    }

    #[test]
    fn the_gpus_backends_are_not_the_processors() {
        for backend in [Backend::TensorRt, Backend::Cuda] {
            let error = ask(backend, Precision::Auto).unwrap_err();
            assert!(matches!(error, Error::Unavailable { backend: named, .. } if named == backend));
        }
    }
}

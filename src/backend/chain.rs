//! Which backends are tried, in which order, and what is said of those that cannot be had.
//!
//! TensorRT, CUDA, then what the processor has. That a library was compiled with a provider says
//! nothing of this machine: each counts only once its session has run.

use std::fmt;

use crate::{
    cuda,
    engine::{Backend, Candidate, Error, Precision},
};

/// What engines are made by: the GPU's driver and ONNX Runtime. Tests have others.
pub(super) trait Providers {
    type Engine;

    /// Opens the GPU; asked before anything is tried on it.
    fn open_gpu(&mut self) -> Result<(), cuda::Error>;

    /// Builds the engine and proves it by a run over real shapes.
    fn on_gpu(&mut self, candidate: Candidate) -> Result<Self::Engine, Error>;

    /// The best engine on the processor.
    fn on_host(&mut self) -> Result<Self::Engine, Error>;
}

/// A backend that would have come first, and why it is not in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub backend: Backend,
    pub why: String,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.backend, self.why)
    }
}

/// The engine that works.
#[derive(Debug)]
pub(super) struct Chosen<E> {
    pub engine: E,
    pub fallbacks: Vec<Fallback>,
    /// What the user must know: a GPU that is there and not in use as it could be.
    pub warning: Option<String>,
}

/// The first engine that works of those that `backend` and `precision` allow. `Auto` ends with
/// the processor's, `TensorRt` with CUDA.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Precision`] where none does, naming what is missing for
/// each; [`Error::Cancelled`]; what the processor's engine gives.
pub(super) fn load<P: Providers>(
    backend: Backend,
    precision: Precision,
    providers: &mut P,
) -> Result<Chosen<P::Engine>, Error> {
    let steps = steps(backend, precision)?;
    let mut tried = Tried::default();
    match if steps.is_empty() { Ok(()) } else { providers.open_gpu() } {
        Ok(()) => {
            for step in &steps {
                match providers.on_gpu(*step) {
                    Ok(engine) => {
                        let warning = tried.warning_on_gpu(backend, *step);
                        return Ok(Chosen { engine, fallbacks: tried.fallbacks, warning });
                    }
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => tried.failed(step.backend, &error),
                }
            }
        }
        Err(why) => {
            tried.no_gpu = why.is_absence();
            steps.iter().for_each(|step| tried.push(step.backend, why.to_string()));
        }
    }
    let on_host = !matches!(backend, Backend::TensorRt | Backend::Cuda);
    if on_host && precision != Precision::Fp16 {
        let engine = providers.on_host()?;
        let warning = tried.warning_on_host();
        return Ok(Chosen { engine, fallbacks: tried.fallbacks, warning });
    }
    let reasons = tried.reasons();
    Err(match backend {
        Backend::TensorRt | Backend::Cuda => Error::Unavailable { backend, reasons },
        _ => {
            let tried = if reasons.is_empty() { reasons } else { format!(" ({reasons})") };
            let why = format!("it needs a GPU{tried}: use precision=auto");
            Error::Precision { backend, precision, why }
        }
    })
}

/// What is tried on the GPU, in order.
fn steps(backend: Backend, precision: Precision) -> Result<Vec<Candidate>, Error> {
    use {Backend as B, Precision as P};
    let step = |backend, precision| Candidate { backend, precision };
    // TensorRT has no fp32 without TF32: it is not taken where nobody asked.
    let tensorrt = match precision {
        P::Auto | P::Fp16 => vec![step(B::TensorRt, P::Fp16)],
        _ => vec![step(B::TensorRt, precision)],
    };
    let cuda = match precision {
        P::Auto => vec![step(B::Cuda, P::Fp16), step(B::Cuda, P::Fp32)],
        _ => vec![step(B::Cuda, precision)],
    };
    Ok(match (backend, precision) {
        (B::OpenVino | B::Cpu, _) | (B::Auto, P::Bf16 | P::Int8) => Vec::new(),
        (B::TensorRt | B::Cuda, P::Bf16 | P::Int8) => {
            let why = "a GPU does fp16 and fp32: use precision=auto".into();
            return Err(Error::Precision { backend, precision, why });
        }
        (B::Auto | B::TensorRt, _) => [tensorrt, cuda].concat(),
        (B::Cuda, _) => cuda,
    })
}

/// What has not worked so far.
#[derive(Default)]
struct Tried {
    fallbacks: Vec<Fallback>,
    /// There is no driver, or no GPU: nothing to be told of.
    no_gpu: bool,
    /// Something is there that should have worked.
    broken: bool,
}

impl Tried {
    fn failed(&mut self, backend: Backend, error: &Error) {
        self.broken |= !is_not_installed(error) && !matches!(error, Error::Precision { .. });
        self.push(backend, error.to_string());
    }

    /// What two precisions have in common is said once.
    fn push(&mut self, backend: Backend, why: String) {
        let fallback = Fallback { backend, why };
        if !self.fallbacks.contains(&fallback) {
            self.fallbacks.push(fallback);
        }
    }

    fn reasons(&self) -> String {
        let reasons: Vec<String> = self.fallbacks.iter().map(Fallback::to_string).collect();
        reasons.join("; ")
    }

    fn warning_on_gpu(&self, asked: Backend, step: Candidate) -> Option<String> {
        let other = asked != Backend::Auto && asked != step.backend;
        let what = format!("the model runs on {} ({})", step.backend, self.reasons());
        (self.broken || other).then_some(what)
    }

    fn warning_on_host(&self) -> Option<String> {
        let told = self.no_gpu || self.fallbacks.is_empty();
        let reasons = self.reasons();
        (!told).then(|| format!("the GPU is not used, the model runs on the processor ({reasons})"))
    }
}

/// Whether a library is simply not there, as TensorRT is on most machines.
fn is_not_installed(error: &Error) -> bool {
    match error {
        Error::NoProvider { .. } => true,
        Error::Runtime { why, .. } => why.contains("cannot open shared object file"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Providers that answer as they are told to, in this order.
    struct Table {
        gpu: Result<(), cuda::Error>,
        answers: VecDeque<Result<(), Error>>,
        asked: Vec<String>,
    }

    impl Providers for Table {
        type Engine = String;

        fn open_gpu(&mut self) -> Result<(), cuda::Error> {
            self.gpu.clone()
        }

        fn on_gpu(&mut self, candidate: Candidate) -> Result<String, Error> {
            let name = format!("{} {}", candidate.backend, candidate.precision);
            self.asked.push(name.clone());
            self.answers.pop_front().expect("an answer").map(|()| name)
        }

        fn on_host(&mut self) -> Result<String, Error> {
            self.asked.push("host".into());
            Ok("host".into())
        }
    }

    fn table(gpu: Result<(), cuda::Error>, answers: Vec<Result<(), Error>>) -> Table {
        Table { gpu, answers: answers.into(), asked: Vec::new() }
    }

    fn runtime(task: &'static str, why: &str) -> Result<(), Error> {
        Err(Error::Runtime { task, why: why.into() })
    }

    fn not_installed(library: &str) -> Result<(), Error> {
        let why = format!("{library}: cannot open shared object file: No such file or directory");
        runtime("load the model", &why)
    }

    fn texts<E>(chosen: &Chosen<E>) -> Vec<String> {
        chosen.fallbacks.iter().map(Fallback::to_string).collect()
    }

    #[test]
    fn tensorrt_comes_first_and_nothing_is_said_when_it_works() {
        let mut table = table(Ok(()), vec![Ok(())]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!(chosen.engine, "tensorrt fp16");
        assert_eq!((chosen.fallbacks, chosen.warning), (vec![], None));
    }

    #[test]
    fn without_a_driver_or_a_gpu_the_processor_does_it_and_no_one_is_warned() {
        for absence in [cuda::Error::NoDriver, cuda::Error::NoDevice] {
            let mut table = table(Err(absence.clone()), vec![]);
            let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
            assert_eq!((chosen.engine.as_str(), &chosen.warning), ("host", &None));
            let expected = [format!("tensorrt: {absence}"), format!("cuda: {absence}")];
            assert_eq!(texts(&chosen), expected);
        }
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_one_warning() {
        let error = cuda::Error::NoSuchDevice { id: 3, count: 1 };
        let mut table = table(Err(error), vec![]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        let warning = chosen.warning.unwrap();
        assert!(warning.contains("GPU 3") && warning.contains("processor"), "{warning}");
    }

    #[test]
    fn tensorrt_that_is_not_installed_is_kept_in_mind_and_no_warning() {
        let mut table = table(Ok(()), vec![not_installed("libnvinfer.so.10"), Ok(())]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!((chosen.engine.as_str(), &chosen.warning), ("cuda fp16", &None));
        assert!(texts(&chosen)[0].starts_with("tensorrt: ") && texts(&chosen).len() == 1);
        assert!(texts(&chosen)[0].contains("libnvinfer.so.10"));
    }

    #[test]
    fn each_way_to_fail_steps_down_and_a_working_gpu_with_a_broken_provider_is_one_warning() {
        let ways = [
            runtime("load the model", "the engine could not be built"),
            runtime("run the model", "CUDNN_STATUS_EXECUTION_FAILED"),
            Err(Error::OutOfMemory),
        ];
        for way in ways {
            let why = way.as_ref().unwrap_err().to_string();
            let mut table = table(Ok(()), vec![way, Ok(())]);
            let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
            assert_eq!(chosen.engine, "cuda fp16");
            let warning = chosen.warning.unwrap();
            assert!(warning.contains(&why) && warning.contains("runs on cuda"), "{warning}");
        }
    }

    #[test]
    fn providers_that_all_fail_leave_the_processor_one_warning_and_each_reason_once() {
        let answers = vec![
            not_installed("libnvinfer.so.10"),
            not_installed("libcudnn.so.9"),
            not_installed("libcudnn.so.9"),
        ];
        let mut table = table(Ok(()), answers);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!(table.asked, ["tensorrt fp16", "cuda fp16", "cuda fp32", "host"]);
        assert_eq!(chosen.fallbacks.len(), 2);
        let warning = chosen.warning.unwrap();
        assert!(warning.contains("libnvinfer.so.10") && warning.contains("libcudnn.so.9"));
    }

    #[test]
    fn fp16_that_would_show_gives_way_to_fp32_without_a_warning() {
        let precision = || {
            let (backend, precision) = (Backend::Cuda, Precision::Fp16);
            Err(Error::Precision { backend, precision, why: "it keeps 41 dB".into() })
        };
        let mut table = table(Ok(()), vec![precision(), precision(), Ok(())]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!((chosen.engine.as_str(), &chosen.warning), ("cuda fp32", &None));
    }

    #[test]
    fn a_backend_that_was_asked_for_is_told_of_when_another_serves() {
        let mut both = table(Ok(()), vec![not_installed("libnvinfer.so.10"), Ok(())]);
        let chosen = load(Backend::TensorRt, Precision::Auto, &mut both).unwrap();
        assert_eq!(chosen.engine, "cuda fp16");
        assert!(chosen.warning.unwrap().contains("libnvinfer.so.10"));
    }

    #[test]
    fn a_gpu_that_was_asked_for_and_cannot_be_had_is_an_error_that_names_what_is_missing() {
        for backend in [Backend::TensorRt, Backend::Cuda] {
            let mut absent = table(Err(cuda::Error::NoDriver), vec![]);
            let error = load(backend, Precision::Auto, &mut absent).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, Error::Unavailable { .. }) && said.contains("libcuda.so.1"));
            assert!(!absent.asked.contains(&"host".into()));
        }
        let mut broken =
            table(Ok(()), vec![not_installed("libcudnn.so.9"), Err(Error::OutOfMemory)]);
        let said = load(Backend::Cuda, Precision::Auto, &mut broken).unwrap_err().to_string();
        assert!(said.contains("libcudnn.so.9") && said.contains("memory ran out"), "{said}");
    }

    #[test]
    fn a_stated_precision_is_never_another() {
        let mut nothing = table(Err(cuda::Error::NoDriver), vec![]);
        let error = load(Backend::Auto, Precision::Fp16, &mut nothing).unwrap_err();
        let said = error.to_string();
        assert!(
            matches!(error, Error::Precision { .. }) && said.contains("libcuda.so.1"),
            "{said}"
        );
        assert_eq!(steps(Backend::Auto, Precision::Int8).unwrap(), []);
        assert!(steps(Backend::Cuda, Precision::Int8).is_err());
        for precision in [Precision::Fp32, Precision::Fp16] {
            let steps = steps(Backend::TensorRt, precision).unwrap();
            assert!(steps.iter().all(|step| step.precision == precision) && steps.len() == 2);
        }
    }

    #[test]
    fn a_load_that_is_given_up_tries_nothing_more() {
        let mut table = table(Ok(()), vec![Err(Error::Cancelled)]);
        let result = load(Backend::Auto, Precision::Auto, &mut table);
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(table.asked.len(), 1);
    }

    #[test]
    fn the_processors_backends_do_not_ask_for_a_gpu() {
        let mut table = table(Err(cuda::Error::NoSuchDevice { id: 9, count: 1 }), vec![]);
        for backend in [Backend::OpenVino, Backend::Cpu] {
            let chosen = load(backend, Precision::Auto, &mut table).unwrap();
            assert_eq!((chosen.fallbacks, chosen.warning), (vec![], None));
        }
    }
}

//! The order in which backends are tried, and what is reported about those that fail.
//!
//! TensorRT comes first, then CUDA, then the CPU. A library that was compiled with a provider may
//! still miss what the provider needs at run time, so a backend counts only after its session has
//! run.

use crate::{
    cuda,
    engine::{Backend, Candidate, Error, Fallback, Precision, PrecisionError},
};

/// What builds engines: the GPU's driver and ONNX Runtime, or a table in tests.
pub(super) trait Providers {
    type Engine;

    /// Opens the GPU. Called before anything is tried on it.
    fn open_gpu(&mut self) -> Result<(), cuda::Error>;

    /// Builds the engine and tests it by a run.
    fn on_gpu(&mut self, candidate: Candidate) -> Result<Self::Engine, Error>;

    /// Builds the best engine on the CPU.
    fn on_cpu(&mut self) -> Result<Self::Engine, Error>;
}

/// The engine that works.
#[derive(Debug)]
pub(super) struct Chosen<E> {
    pub engine: E,
    /// The backends that were tried before.
    pub fallbacks: Vec<Fallback>,
    /// Set when a GPU exists but is not used as it could be.
    pub warning: Option<String>,
}

/// The first working engine of those that `backend` and `precision` allow. `Auto` ends with
/// the CPU, `TensorRt` with CUDA.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Precision`] with all that was tried; [`Error::Cancelled`];
/// the errors of the engine on the CPU.
pub(super) fn load<P: Providers>(
    backend: Backend,
    precision: Precision,
    providers: &mut P,
) -> Result<Chosen<P::Engine>, Error> {
    let candidates = gpu_candidates(backend, precision)?;
    let mut tried = Tried::default();
    match if candidates.is_empty() { Ok(()) } else { providers.open_gpu() } {
        Ok(()) => {
            for candidate in &candidates {
                match providers.on_gpu(*candidate) {
                    Ok(engine) => {
                        let warning = tried.warning_on_gpu(backend, *candidate);
                        return Ok(Chosen { engine, fallbacks: tried.fallbacks, warning });
                    }
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => tried.failed(candidate.backend, &error),
                }
            }
        }
        Err(error) => {
            tried.no_gpu = error.is_absence();
            for candidate in &candidates {
                tried.push(candidate.backend, error.to_string());
            }
        }
    }
    let on_cpu = !matches!(backend, Backend::TensorRt | Backend::Cuda);
    if on_cpu && (precision != Precision::Fp16 || backend == Backend::WebGpu) {
        let engine = providers.on_cpu()?;
        let warning = tried.warning_on_cpu();
        return Ok(Chosen { engine, fallbacks: tried.fallbacks, warning });
    }
    let tried = tried.fallbacks;
    Err(match backend {
        Backend::TensorRt | Backend::Cuda => Error::Unavailable { backend, tried },
        _ => Error::Precision { backend, precision, reason: PrecisionError::NeedsGpu { tried } },
    })
}

/// What to try on the GPU, in order.
fn gpu_candidates(backend: Backend, precision: Precision) -> Result<Vec<Candidate>, Error> {
    use {Backend as B, Precision as P};
    let candidate = |backend, precision| Candidate { backend, precision };
    // TensorRT has no fp32 without TF32, so an automatic choice never takes its fp32.
    let tensorrt = match precision {
        P::Auto | P::Fp16 => vec![candidate(B::TensorRt, P::Fp16)],
        _ => vec![candidate(B::TensorRt, precision)],
    };
    let cuda = match precision {
        P::Auto => vec![candidate(B::Cuda, P::Fp16), candidate(B::Cuda, P::Fp32)],
        _ => vec![candidate(B::Cuda, precision)],
    };
    Ok(match (backend, precision) {
        (B::WebGpu | B::Native | B::OpenVino | B::Cpu, _) | (B::Auto, P::Bf16 | P::Int16) => {
            Vec::new()
        }
        (B::TensorRt | B::Cuda, P::Bf16 | P::Int16) => {
            let reason = PrecisionError::NotOnGpu;
            return Err(Error::Precision { backend, precision, reason });
        }
        (B::Auto | B::TensorRt, _) => [tensorrt, cuda].concat(),
        (B::Cuda, _) => cuda,
    })
}

/// The backends that failed so far.
#[derive(Default)]
struct Tried {
    fallbacks: Vec<Fallback>,
    /// There is no driver or no GPU, which needs no warning.
    no_gpu: bool,
    /// A backend is installed and failed.
    broken: bool,
}

impl Tried {
    fn failed(&mut self, backend: Backend, error: &Error) {
        self.broken |= !matches!(
            error,
            Error::NotBuilt { .. }
                | Error::NoProvider { .. }
                | Error::NotInstalled { .. }
                | Error::Precision { .. }
        );
        self.push(backend, error.to_string());
    }

    /// Two precisions of a backend that fail for the same reason are listed once.
    fn push(&mut self, backend: Backend, reason: String) {
        let fallback = Fallback { backend, reason };
        if !self.fallbacks.contains(&fallback) {
            self.fallbacks.push(fallback);
        }
    }

    fn warning_on_gpu(&self, requested: Backend, used: Candidate) -> Option<String> {
        let other = requested != Backend::Auto && requested != used.backend;
        (self.broken || other).then(|| {
            format!("the model runs on {} ({})", used.backend, Fallback::list(&self.fallbacks))
        })
    }

    fn warning_on_cpu(&self) -> Option<String> {
        let silent = self.no_gpu || self.fallbacks.is_empty();
        (!silent).then(|| {
            format!(
                "the GPU is not used; the model runs on the CPU ({})",
                Fallback::list(&self.fallbacks)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Providers that give these results in order.
    struct Table {
        gpu: Result<(), cuda::Error>,
        results: VecDeque<Result<(), Error>>,
        /// What was built or tried.
        calls: Vec<String>,
    }

    impl Providers for Table {
        type Engine = String;

        fn open_gpu(&mut self) -> Result<(), cuda::Error> {
            self.gpu.clone()
        }

        fn on_gpu(&mut self, candidate: Candidate) -> Result<String, Error> {
            self.calls.push(candidate.to_string());
            self.results.pop_front().expect("a result").map(|()| candidate.to_string())
        }

        fn on_cpu(&mut self) -> Result<String, Error> {
            self.calls.push("cpu".into());
            Ok("cpu".into())
        }
    }

    fn table(gpu: Result<(), cuda::Error>, results: Vec<Result<(), Error>>) -> Table {
        Table { gpu, results: results.into(), calls: Vec::new() }
    }

    fn runtime(task: &'static str, message: &str) -> Result<(), Error> {
        Err(Error::Failed { task, message: message.into() })
    }

    fn not_installed(library: &str) -> Result<(), Error> {
        Err(Error::NotInstalled { message: format!("{library}: cannot open shared object file") })
    }

    fn texts<E>(chosen: &Chosen<E>) -> Vec<String> {
        chosen.fallbacks.iter().map(Fallback::to_string).collect()
    }

    #[test]
    fn tensorrt_comes_first_and_works_without_a_message() {
        let mut table = table(Ok(()), vec![Ok(())]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!(chosen.engine, "tensorrt fp16");
        assert_eq!((chosen.fallbacks, chosen.warning), (vec![], None));
    }

    #[test]
    fn without_a_driver_or_a_gpu_the_cpu_is_used_without_a_warning() {
        for absence in [cuda::Error::NoDriver, cuda::Error::NoDevice] {
            let mut table = table(Err(absence.clone()), vec![]);
            let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
            assert_eq!((chosen.engine.as_str(), &chosen.warning), ("cpu", &None));
            let expected = [format!("tensorrt: {absence}"), format!("cuda: {absence}")];
            assert_eq!(texts(&chosen), expected);
        }
    }

    #[test]
    fn a_gpu_that_cannot_be_opened_is_a_warning() {
        let error = cuda::Error::NoSuchDevice { id: 3, count: 1 };
        let mut table = table(Err(error), vec![]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        let warning = chosen.warning.unwrap();
        assert!(warning.contains("GPU 3") && warning.contains("on the CPU"), "{warning}");
    }

    #[test]
    fn tensorrt_that_is_not_installed_is_a_fallback_without_a_warning() {
        let mut table = table(Ok(()), vec![not_installed("libnvinfer.so.10"), Ok(())]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!((chosen.engine.as_str(), &chosen.warning), ("cuda fp16", &None));
        assert!(texts(&chosen)[0].starts_with("tensorrt: ") && texts(&chosen).len() == 1);
        assert!(texts(&chosen)[0].contains("libnvinfer.so.10"));
    }

    #[test]
    fn an_installed_backend_that_fails_is_a_warning_and_the_next_is_used() {
        let failures = [
            runtime("load the model", "the engine could not be built"),
            runtime("run the model", "CUDNN_STATUS_EXECUTION_FAILED"),
            Err(Error::OutOfMemory),
        ];
        for failure in failures {
            let text = failure.as_ref().unwrap_err().to_string();
            let mut table = table(Ok(()), vec![failure, Ok(())]);
            let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
            assert_eq!(chosen.engine, "cuda fp16");
            let warning = chosen.warning.unwrap();
            assert!(warning.contains(&text) && warning.contains("runs on cuda"), "{warning}");
        }
    }

    #[test]
    fn when_all_backends_of_the_gpu_fail_one_warning_lists_each_reason_once() {
        let results = vec![
            not_installed("libnvinfer.so.10"),
            not_installed("libcudnn.so.9"),
            not_installed("libcudnn.so.9"),
        ];
        let mut table = table(Ok(()), results);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!(table.calls, ["tensorrt fp16", "cuda fp16", "cuda fp32", "cpu"]);
        assert_eq!(chosen.fallbacks.len(), 2);
        let warning = chosen.warning.unwrap();
        assert!(warning.contains("libnvinfer.so.10") && warning.contains("libcudnn.so.9"));
    }

    #[test]
    fn fp16_with_a_visible_difference_is_replaced_by_fp32_without_a_warning() {
        let inexact = || {
            let (backend, precision) = (Backend::Cuda, Precision::Fp16);
            let reason = PrecisionError::Inexact { psnr_db: 41.0, largest: 0.1 };
            Err(Error::Precision { backend, precision, reason })
        };
        let mut table = table(Ok(()), vec![inexact(), inexact(), Ok(())]);
        let chosen = load(Backend::Auto, Precision::Auto, &mut table).unwrap();
        assert_eq!((chosen.engine.as_str(), &chosen.warning), ("cuda fp32", &None));
    }

    #[test]
    fn another_backend_than_the_requested_one_is_a_warning() {
        let mut both = table(Ok(()), vec![not_installed("libnvinfer.so.10"), Ok(())]);
        let chosen = load(Backend::TensorRt, Precision::Auto, &mut both).unwrap();
        assert_eq!(chosen.engine, "cuda fp16");
        assert!(chosen.warning.unwrap().contains("libnvinfer.so.10"));
    }

    #[test]
    fn a_requested_gpu_that_is_not_available_is_an_error_that_names_what_is_missing() {
        for backend in [Backend::TensorRt, Backend::Cuda] {
            let mut absent = table(Err(cuda::Error::NoDriver), vec![]);
            let error = load(backend, Precision::Auto, &mut absent).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Unavailable { .. }) && text.contains("libcuda.so.1"));
            assert!(!absent.calls.contains(&"cpu".into()));
        }
        let mut broken =
            table(Ok(()), vec![not_installed("libcudnn.so.9"), Err(Error::OutOfMemory)]);
        let text = load(Backend::Cuda, Precision::Auto, &mut broken).unwrap_err().to_string();
        assert!(text.contains("libcudnn.so.9") && text.contains("out of memory"), "{text}");
    }

    #[test]
    fn a_requested_precision_is_never_replaced() {
        let mut nothing = table(Err(cuda::Error::NoDriver), vec![]);
        let error = load(Backend::Auto, Precision::Fp16, &mut nothing).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::Precision { .. }) && text.contains("libcuda.so.1"),
            "{text}"
        );
        assert_eq!(gpu_candidates(Backend::Auto, Precision::Int16).unwrap(), []);
        assert!(gpu_candidates(Backend::Cuda, Precision::Int16).is_err());
        for precision in [Precision::Fp32, Precision::Fp16] {
            let candidates = gpu_candidates(Backend::TensorRt, precision).unwrap();
            assert!(candidates.iter().all(|candidate| candidate.precision == precision));
            assert_eq!(candidates.len(), 2);
        }
    }

    #[test]
    fn a_cancelled_load_tries_nothing_more() {
        let mut table = table(Ok(()), vec![Err(Error::Cancelled)]);
        let result = load(Backend::Auto, Precision::Auto, &mut table);
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(table.calls.len(), 1);
    }

    #[test]
    fn the_backends_of_the_cpu_do_not_open_the_gpu() {
        let mut table = table(Err(cuda::Error::NoSuchDevice { id: 9, count: 1 }), vec![]);
        for backend in [Backend::OpenVino, Backend::Cpu] {
            let chosen = load(backend, Precision::Auto, &mut table).unwrap();
            assert_eq!((chosen.fallbacks, chosen.warning), (vec![], None));
        }
    }
}

//! The candidates on the CPU for a requested backend and precision.

use super::cpu::Cpu;
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Precision, PrecisionError},
    onnxruntime::{self, webgpu},
};

/// What the native engine offers for a model without a request for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    /// Nothing: it does not support the model.
    Nothing,
    /// fp32 only: the calibration of int16 would take long.
    Fp32,
    /// fp32 and int16.
    All,
}

impl Native {
    /// Multiply-adds per input pixel above which int16 is not calibrated without a request: about
    /// 2 seconds on one thread.
    const MAX_MACS: f64 = 2e6;

    /// What the native engine offers for a model with this many multiply-adds per input pixel.
    pub(crate) fn offer(supported: bool, macs_per_pixel: f64) -> Self {
        match (supported, macs_per_pixel <= Self::MAX_MACS) {
            (false, _) => Self::Nothing,
            (true, false) => Self::Fp32,
            (true, true) => Self::All,
        }
    }
}

/// The candidates that `options` allow: either the native engine's, of which the first that works is
/// the fastest, or those of ONNX Runtime, the most exact first. With a GPU for WebGPU, its candidates
/// follow either. Automatic choices are limited to what
/// the library, the CPU and the native engine support.
///
/// # Errors
/// [`Error::NotOnCpu`] or [`Error::Precision`] when there are none.
pub(super) fn candidates(options: &EngineOptions, native: Native) -> Result<Vec<Candidate>, Error> {
    use {Backend as B, Precision as P, PrecisionError as Reason};
    let EngineOptions { backend, precision, .. } = *options;
    let unavailable = |reason| Err(Error::Precision { backend, precision, reason });
    let wanted: &[(B, P)] = match (backend, precision) {
        (B::TensorRt | B::Cuda, _) => return Err(Error::NotOnCpu(backend)),
        (B::WebGpu, P::Auto) => &[(B::WebGpu, P::Fp32), (B::WebGpu, P::Fp16)],
        (B::WebGpu, P::Fp32) => &[(B::WebGpu, P::Fp32)],
        (B::WebGpu, P::Fp16) => &[(B::WebGpu, P::Fp16)],
        (B::WebGpu, P::Bf16 | P::Int16) => return unavailable(Reason::NotOnGpu),
        // The native engine is faster than the other backends (docs/BENCHMARKS.md).
        (B::Auto | B::Native, P::Auto) if native == Native::All => {
            &[(B::Native, P::Int16), (B::Native, P::Fp32)]
        }
        (B::Auto, P::Auto | P::Fp32) if native != Native::Nothing => &[(B::Native, P::Fp32)],
        (B::Native, P::Auto | P::Fp32) => &[(B::Native, P::Fp32)],
        (B::Auto | B::Native, P::Int16) => &[(B::Native, P::Int16)],
        (_, P::Int16) => return unavailable(Reason::OtherBackend(B::Native)),
        (B::Auto, P::Auto) => &[(B::Cpu, P::Fp32), (B::OpenVino, P::Fp32), (B::OpenVino, P::Bf16)],
        (B::Auto, P::Fp32) => &[(B::Cpu, P::Fp32), (B::OpenVino, P::Fp32)],
        (B::Cpu, P::Auto | P::Fp32) => &[(B::Cpu, P::Fp32)],
        (B::OpenVino, P::Auto) => &[(B::OpenVino, P::Fp32), (B::OpenVino, P::Bf16)],
        (B::OpenVino, P::Fp32) => &[(B::OpenVino, P::Fp32)],
        (B::Auto | B::OpenVino, P::Bf16) if Cpu::get().bf16 => &[(B::OpenVino, P::Bf16)],
        (B::Auto | B::OpenVino, P::Bf16) => return unavailable(Reason::NoBf16),
        (B::Cpu | B::Native, P::Bf16) => return unavailable(Reason::OtherBackend(B::OpenVino)),
        (_, P::Fp16) => return unavailable(Reason::NeedsGpu { tried: Vec::new() }),
    };
    let mut candidates: Vec<_> =
        wanted.iter().map(|&(backend, precision)| Candidate { backend, precision }).collect();
    if precision == P::Auto {
        candidates.retain(|candidate| candidate.precision != P::Bf16 || Cpu::get().bf16);
    }
    if backend == B::Auto && candidates.len() > 1 {
        candidates.retain(|candidate| !onnxruntime::lacks(candidate.backend));
    }
    let any = matches!(precision, P::Auto | P::Fp32);
    // A Vulkan driver on the CPU is slower than the other backends there. Asking for the provider
    // loads ONNX Runtime, which the native engine does without.
    if backend == B::Auto && any && webgpu::has_gpu() && !onnxruntime::lacks(B::WebGpu) {
        let candidate = |precision| Candidate { backend: B::WebGpu, precision };
        candidates.push(candidate(P::Fp32));
        candidates.extend((precision == P::Auto).then(|| candidate(P::Fp16)));
    }
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(backend: Backend, precision: Precision) -> Result<Vec<Candidate>, Error> {
        candidates(&options(backend, precision), Native::Nothing)
    }

    fn options(backend: Backend, precision: Precision) -> EngineOptions {
        let cache_dir = "/nowhere".into();
        EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir }
    }

    #[test]
    fn models_that_the_native_engine_supports_run_on_no_other_backend_without_a_request() {
        use Precision::{Auto, Fp32, Int16};
        for (precision, native, expected) in [
            (Auto, Native::All, &[Int16, Fp32][..]),
            (Auto, Native::Fp32, &[Fp32]),
            (Fp32, Native::All, &[Fp32]),
        ] {
            let all = candidates(&options(Backend::Auto, precision), native).unwrap();
            assert!(all.iter().all(|candidate| candidate.backend == Backend::Native), "{all:?}");
            assert!(all.iter().map(|candidate| candidate.precision).eq(expected.iter().copied()));
            let all = allowed(Backend::Auto, precision).unwrap();
            assert!(all.iter().all(|candidate| candidate.backend != Backend::Native), "{all:?}");
        }
    }

    #[test]
    fn a_requested_precision_is_never_replaced() {
        for backend in [Backend::Native, Backend::Cpu, Backend::OpenVino] {
            for precision in Precision::ALL.into_iter().filter(|it| *it != Precision::Auto) {
                for candidate in allowed(backend, precision).into_iter().flatten() {
                    assert_eq!(candidate, Candidate { backend, precision });
                }
            }
        }
    }

    #[test]
    fn the_backends_of_the_gpu_have_no_candidates_on_the_cpu() {
        for backend in [Backend::TensorRt, Backend::Cuda] {
            let error = allowed(backend, Precision::Auto).unwrap_err();
            assert!(matches!(error, Error::NotOnCpu(named) if named == backend));
        }
    }
}

//! The candidates on the CPU for a requested backend and precision.

use super::processor::Processor;
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Precision, PrecisionError},
    onnxruntime,
};

/// The candidates that `options` allow, the most exact first. Automatic choices are limited to
/// what the library and the processor support.
///
/// # Errors
/// [`Error::NotOnCpu`] or [`Error::Precision`] when there are none.
pub(super) fn candidates(options: &EngineOptions) -> Result<Vec<Candidate>, Error> {
    use {Backend as B, Precision as P, PrecisionError as Reason};
    let EngineOptions { backend, precision, .. } = *options;
    let unavailable = |reason| Err(Error::Precision { backend, precision, reason });
    let wanted: &[(B, P)] = match (backend, precision) {
        (B::TensorRt | B::Cuda, _) => return Err(Error::NotOnCpu(backend)),
        (B::Auto, P::Auto) => &[(B::Cpu, P::Fp32), (B::OpenVino, P::Fp32), (B::OpenVino, P::Bf16)],
        (B::Auto, P::Fp32) => &[(B::Cpu, P::Fp32), (B::OpenVino, P::Fp32)],
        (B::Cpu, P::Auto | P::Fp32) => &[(B::Cpu, P::Fp32)],
        (B::OpenVino, P::Auto) => &[(B::OpenVino, P::Fp32), (B::OpenVino, P::Bf16)],
        (B::OpenVino, P::Fp32) => &[(B::OpenVino, P::Fp32)],
        (B::Auto | B::OpenVino, P::Bf16) if Processor::get().bf16 => &[(B::OpenVino, P::Bf16)],
        (B::Auto | B::OpenVino, P::Bf16) => return unavailable(Reason::NoBf16),
        (B::Cpu, P::Bf16) => return unavailable(Reason::OtherBackend(B::OpenVino)),
        (_, P::Fp16) => return unavailable(Reason::NeedsGpu { tried: Vec::new() }),
        (B::Auto | B::Cpu, P::Int8) => &[(B::Cpu, P::Int8)],
        (B::OpenVino, P::Int8) => return unavailable(Reason::OtherBackend(B::Cpu)),
    };
    let mut candidates: Vec<_> =
        wanted.iter().map(|&(backend, precision)| Candidate { backend, precision }).collect();
    if precision == P::Auto {
        candidates.retain(|candidate| candidate.precision != P::Bf16 || Processor::get().bf16);
    }
    if backend == B::Auto && candidates.len() > 1 {
        candidates.retain(|candidate| !onnxruntime::lacks(candidate.backend));
    }
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(backend: Backend, precision: Precision) -> Result<Vec<Candidate>, Error> {
        candidates(&EngineOptions {
            backend,
            precision,
            device_id: 0,
            threads: 1,
            cache_dir: "/nowhere".into(),
        })
    }

    #[test]
    fn a_requested_precision_is_never_replaced() {
        for backend in [Backend::Cpu, Backend::OpenVino] {
            for precision in [Precision::Fp32, Precision::Fp16, Precision::Bf16, Precision::Int8] {
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

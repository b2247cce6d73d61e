//! The candidates on the CPU for a requested backend and precision.

use super::processor::Processor;
use crate::{
    engine::{Backend, Candidate, EngineOptions, Error, Precision},
    onnxruntime,
};

/// The candidates that `options` allow, the most exact first. Automatic choices are limited to
/// what the library and the processor support.
///
/// # Errors
/// [`Error::Unavailable`] or [`Error::Precision`] when there are none.
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
        (B::Auto | B::OpenVino, P::Bf16) if Processor::get().bf16 => &[(B::OpenVino, P::Bf16)],
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
            assert!(matches!(error, Error::Unavailable { backend: named, .. } if named == backend));
        }
    }
}

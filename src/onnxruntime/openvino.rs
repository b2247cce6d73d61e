//! The OpenVINO provider on the CPU. Its options are at
//! <https://onnxruntime.ai/docs/execution-providers/OpenVINO-ExecutionProvider.html>.

use ort::ep::ExecutionProviderDispatch;

use crate::engine::{EngineOptions, Precision};

/// Entries of OpenVINO's cache of code that is compiled for a layer at a shape. Its default of
/// 5,000 takes hundreds of megabytes with the many shapes of regions; code is compiled again
/// within milliseconds.
#[cfg(feature = "openvino")]
const MAX_COMPILED_LAYERS: u32 = 512;

/// The provider; `None` in a build without it.
#[cfg(feature = "openvino")]
pub(super) fn provider(
    precision: Precision,
    options: &EngineOptions,
) -> Option<ExecutionProviderDispatch> {
    use ort::ep::{ArbitrarilyConfigurableExecutionProvider as _, OpenVINO};

    // By default OpenVINO uses bf16 on a CPU that supports it.
    let hint = if precision == Precision::Bf16 { "bf16" } else { "f32" };
    let config = format!(
        r#"{{"CPU":{{"INFERENCE_PRECISION_HINT":"{hint}","CPU_RUNTIME_CACHE_CAPACITY":"{MAX_COMPILED_LAYERS}"}}}}"#
    );
    let provider = OpenVINO::default()
        .with_device_type("CPU")
        .with_num_threads(options.threads.max(1))
        .with_num_streams(1)
        .with_arbitrary_config("load_config", config);
    Some(provider.build().error_on_failure())
}

/// The provider; `None` in a build without it.
#[cfg(not(feature = "openvino"))]
pub(super) fn provider(
    _precision: Precision,
    _options: &EngineOptions,
) -> Option<ExecutionProviderDispatch> {
    None
}

//! The WebGPU provider, which runs on any GPU with a Vulkan driver (through Dawn). Its options are
//! at <https://onnxruntime.ai/docs/execution-providers/WebGPU-ExecutionProvider.html>.

mod vulkan;

use ort::ep::ExecutionProviderDispatch;

/// The provider; `None` in a build without it.
#[cfg(feature = "webgpu")]
pub(super) fn provider() -> Option<ExecutionProviderDispatch> {
    use ort::ep::{WebGPU, webgpu::DawnBackendType};

    let provider = WebGPU::default().with_dawn_backend_type(DawnBackendType::Vulkan);
    Some(provider.build().error_on_failure())
}

/// The provider; `None` in a build without it.
#[cfg(not(feature = "webgpu"))]
pub(super) fn provider() -> Option<ExecutionProviderDispatch> {
    None
}

/// Whether this machine has a GPU with a Vulkan driver, not only one that runs on the CPU.
pub(crate) fn has_gpu() -> bool {
    vulkan::adapters().iter().any(|adapter| adapter.is_gpu)
}

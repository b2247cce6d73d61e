//! The WebGPU provider, which runs on any GPU with a Vulkan driver (through Dawn). Its options are
//! at <https://onnxruntime.ai/docs/execution-providers/WebGPU-ExecutionProvider.html>.

mod vulkan;

use std::path::Path;

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

/// The name of the adapter that Dawn uses: the first GPU, or else the first of all. `None` without
/// Vulkan.
pub(crate) fn adapter() -> Option<String> {
    let adapters = vulkan::adapters();
    let first = adapters.iter().find(|adapter| adapter.is_gpu).or(adapters.first());
    first.map(|adapter| adapter.name.clone())
}

/// Whether this machine has a GPU with a Vulkan driver, not only one that runs on the CPU.
pub(crate) fn has_gpu() -> bool {
    // Without a device no driver is loaded to ask.
    let devices = ["/dev/dri", "/dev/nvidiactl", "/dev/dxg"];
    devices.iter().any(|path| Path::new(path).exists())
        && vulkan::adapters().iter().any(|adapter| adapter.is_gpu)
}

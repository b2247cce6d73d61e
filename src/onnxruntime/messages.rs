//! Reads ONNX Runtime's error messages. It has no error codes for what is recognised here.

use crate::engine::Error;

/// The error that ONNX Runtime gave when it was to do `task`.
pub(super) fn runtime_error<R>(task: &'static str, error: &ort::Error<R>) -> Error {
    error_of(task, error.message().trim())
}

fn error_of(task: &'static str, message: &str) -> Error {
    if is_out_of_memory(message) {
        return Error::OutOfMemory;
    }
    let message = without_location(message).to_owned();
    if is_not_installed(&message) {
        return Error::NotInstalled { message };
    }
    if message.contains("Failed to get a WebGPU adapter") {
        return Error::NoAdapter;
    }
    if is_device_loss(&message) {
        return Error::DeviceLost { task, message };
    }
    Error::Failed { task, message }
}

/// Removes source locations and error codes from a message.
fn without_location(message: &str) -> &str {
    // Messages of NVIDIA's libraries are followed by the call, the host name and the line.
    let quoted = ["CUDA failure ", "CUDNN failure ", "CUBLAS failure "]
        .iter()
        .find_map(|library| message.get(message.find(library)?..));
    if let Some(quoted) = quoted {
        return quoted.split(" ; ").next().unwrap_or(quoted);
    }
    let after_code = message.rsplit_once("[ONNXRuntimeError] : ").map_or("", |(_, rest)| rest);
    let mut parts = after_code.splitn(3, " : ");
    parts.nth(2).unwrap_or(message)
}

/// The phrases of ONNX Runtime's arena, C++'s `new`, oneDNN, `strerror` and NVIDIA's libraries.
fn is_out_of_memory(message: &str) -> bool {
    const PHRASES: [&str; 8] = [
        "failed to allocate memory",
        "could not allocate",
        "cannot allocate memory",
        "bad_alloc",
        "bad allocation",
        "out of memory",
        "out_of_memory",
        "alloc_failed",
    ];
    let message = message.to_lowercase();
    PHRASES.iter().any(|phrase| message.contains(phrase))
}

/// The phrases of Dawn, which runs WebGPU on Vulkan.
fn is_device_loss(message: &str) -> bool {
    ["VK_ERROR_DEVICE_LOST", "device is lost", "device was lost", "Device lost"]
        .iter()
        .any(|phrase| message.contains(phrase))
}

/// The phrase of glibc's `dlopen` for a library that does not exist.
fn is_not_installed(message: &str) -> bool {
    message.contains("cannot open shared object file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_adapter_and_a_lost_device_say_what_to_do() {
        let missing = "status == wgpu::RequestAdapterStatus::Success was false. Failed to get a \
             WebGPU adapter: No supported adapters";
        let error = error_of("load the model", missing);
        assert!(matches!(error, Error::NoAdapter), "{error}");
        assert!(error.to_string().contains("mesa-vulkan-drivers"), "{error}");
        let lost = "vkQueueSubmit failed with VK_ERROR_DEVICE_LOST";
        let error = error_of("run the model", lost);
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
        assert!(error.to_string().contains("restart"), "{error}");
    }

    #[test]
    fn source_locations_are_removed_from_messages() {
        let message = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 \
             onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : \
             FAIL : Failed to load library a.so with error: b.so : gone";
        let expected = "Failed to load library a.so with error: b.so : gone";
        assert_eq!(without_location(message), expected);
        let message = "/onnxruntime_src/cuda_call.cc:154 onnxruntime::CudaCall(int) CUDA failure 35: \
             CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=a ; \
             file=cuda.cc ; line=70 ; expr=cudaGetDeviceCount(&num_devices);";
        let expected =
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version";
        assert_eq!(without_location(message), expected);
        for message in ["", "Invalid rank", "[ONNXRuntimeError] : odd"] {
            assert_eq!(without_location(message), message);
        }
    }

    #[test]
    fn running_out_of_memory_differs_from_other_errors() {
        for message in [
            "Non-zero status code returned while running Conv node. Name:'' Status Message: \
             bfc_arena.cc:359 AllocateRawInternal Failed to allocate memory for requested buffer \
             of size 17179869184",
            "std::bad_alloc",
            "CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
        ] {
            assert!(is_out_of_memory(message), "{message}");
        }
        assert!(!is_out_of_memory("Invalid rank for input: x Got: 3 Expected: 4"));
    }

    #[test]
    fn a_library_that_is_not_installed_differs_from_one_that_fails_to_load() {
        assert!(is_not_installed(
            "Failed to load library libonnxruntime_providers_tensorrt.so with error: \
             libnvinfer.so.10: cannot open shared object file: No such file or directory"
        ));
        assert!(!is_not_installed(
            "Failed to load library libonnxruntime_providers_cuda.so with error: \
             undefined symbol: cudnnCreate"
        ));
    }
}

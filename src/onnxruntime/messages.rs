//! What ONNX Runtime's error messages mean. There are no error codes for these conditions.

use crate::engine::Error;

/// What an error of ONNX Runtime means here.
pub(super) fn runtime_error<R>(task: &'static str, error: &ort::Error<R>) -> Error {
    let why = error.message().trim();
    if is_out_of_memory(why) {
        return Error::OutOfMemory;
    }
    Error::Runtime { task, why: without_place(why).to_owned() }
}

/// What a message of ONNX Runtime says, less where in its sources and under what code.
fn without_place(message: &str) -> &str {
    // NVIDIA's libraries are quoted with the call, the host and the line behind.
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

/// There is no error code for it: the arena, `new`, oneDNN and `strerror` each say it in words.
fn is_out_of_memory(message: &str) -> bool {
    const SAYINGS: [&str; 8] = [
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
    SAYINGS.iter().any(|saying| message.contains(saying))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_without_its_place_in_the_sources() {
        let message = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 \
             onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : \
             FAIL : Failed to load library a.so with error: b.so : gone";
        let expected = "Failed to load library a.so with error: b.so : gone";
        assert_eq!(without_place(message), expected);
        let message = "/onnxruntime_src/cuda_call.cc:154 onnxruntime::CudaCall(int) CUDA failure 35: \
             CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=a ; \
             file=cuda.cc ; line=70 ; expr=cudaGetDeviceCount(&num_devices);";
        let expected =
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version";
        assert_eq!(without_place(message), expected);
        for message in ["", "Invalid rank", "[ONNXRuntimeError] : odd"] {
            assert_eq!(without_place(message), message);
        }
    }

    #[test]
    fn running_out_of_memory_is_told_from_other_errors() {
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
}

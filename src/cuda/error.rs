//! Errors of the GPU and its driver.

use std::{ffi::c_int, fmt};

use super::CudaVersion;

/// Why a GPU cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This machine has no NVIDIA driver.
    #[error("no NVIDIA driver is installed (libcuda.so.1 was not found)")]
    NoDriver,
    /// The library that was found is not a complete driver.
    #[error(
        "the NVIDIA driver has no function {name}: install driver 525 or later, or remove other \
         copies of libcuda.so.1"
    )]
    MissingFunction {
        /// Name of the function.
        name: &'static str,
    },
    /// The driver found no GPU.
    #[error("the NVIDIA driver found no GPU")]
    NoDevice,
    /// The number is not that of a GPU.
    #[error("GPU {id} does not exist: the driver found {count}, numbered from 0; set device-id")]
    NoSuchDevice {
        /// The number that was asked for.
        id: u32,
        /// How many GPUs there are.
        count: u32,
    },
    /// The driver cannot load the kernels.
    #[error("the NVIDIA driver supports CUDA {have} and is too old: install driver 525 or later")]
    DriverTooOld {
        /// The newest version of CUDA that the driver supports.
        have: CudaVersion,
    },
    /// The GPU cannot run the kernels.
    #[error(
        "{name} has compute capability {}.{}, but 7.5 is needed (GeForce RTX 20, T4 or later)",
        capability.0, capability.1
    )]
    DeviceTooOld {
        /// The driver's name of the GPU.
        name: String,
        /// Its compute capability, major and minor.
        capability: (u32, u32),
    },
    /// The GPU, or the host for pinned memory, has too little free memory.
    #[error("the GPU is out of memory{}", requested(*bytes))]
    OutOfMemory {
        /// Bytes that were asked for; 0 if unknown.
        bytes: usize,
    },
    /// The GPU's context is destroyed, and with it everything that this process has on it.
    #[error(
        "the GPU stopped responding during {task} ({code}): restart the program; if it happens \
         again, look for Xid errors in the kernel log (dmesg)"
    )]
    Lost {
        /// What was done, as a noun phrase.
        task: &'static str,
        /// The driver's status.
        code: Code,
    },
    /// Any other status of the driver.
    #[error("the NVIDIA driver failed during {task}: {code}{}", advice(*code))]
    Driver {
        /// What was done, as a noun phrase.
        task: &'static str,
        /// The driver's status.
        code: Code,
    },
    /// The memory given to a copy or a kernel does not fit its other arguments. Nothing was run.
    #[error("invalid arguments for {task}: {reason}")]
    InvalidArguments {
        /// What was to be done, as a noun phrase.
        task: &'static str,
        /// What does not fit.
        reason: &'static str,
    },
}

impl Error {
    /// Whether this machine has no NVIDIA GPU, which is not a failure.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoDriver | Self::NoDevice)
    }

    /// What a status of the driver other than success means.
    pub(super) fn of(task: &'static str, status: c_int) -> Self {
        let code = Code(status);
        match CODES.iter().find(|(known, ..)| *known == status) {
            Some((.., Meaning::OutOfMemory)) => Self::OutOfMemory { bytes: 0 },
            Some((.., Meaning::NoDevice)) => Self::NoDevice,
            Some((.., Meaning::NoDriver)) => Self::NoDriver,
            Some((.., Meaning::Lost)) => Self::Lost { task, code },
            Some((.., Meaning::Other)) | None => Self::Driver { task, code },
        }
    }

    /// The same error with the number of bytes that did not fit.
    pub(super) fn for_bytes(self, bytes: usize) -> Self {
        match self {
            Self::OutOfMemory { .. } => Self::OutOfMemory { bytes },
            other => other,
        }
    }
}

/// What to do about a status, after a semicolon; empty if there is nothing to say.
fn advice(code: Code) -> &'static str {
    match code.0 {
        200 | 209 | 218 | 222 => "; install a newer NVIDIA driver",
        221 => "; install the driver's library libnvidia-ptxjitcompiler.so.1",
        223 => "; unset CUDA_DISABLE_PTX_JIT",
        46 => "; another program uses the GPU exclusively (see nvidia-smi, compute mode)",
        802 => "; start the service nvidia-fabricmanager",
        803 | 804 => "; restart the machine, so that the driver and its libraries match",
        _ => "",
    }
}

fn requested(bytes: usize) -> String {
    if bytes == 0 { String::new() } else { format!(" ({} MiB requested)", bytes.div_ceil(1 << 20)) }
}

/// A status of the driver (`CUresult`), possibly one that this program does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub i32);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.iter().find(|(code, ..)| *code == self.0) {
            Some((code, name, _)) => write!(f, "CUDA_ERROR_{name}, {code}"),
            None => write!(f, "CUDA error {}", self.0),
        }
    }
}

/// What a status says about the GPU.
enum Meaning {
    OutOfMemory,
    NoDevice,
    NoDriver,
    /// The context is destroyed: every later call fails as well.
    Lost,
    Other,
}

/// Every status that has a meaning of its own, and others that users may see.
/// <https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html>
const CODES: [(c_int, &str, Meaning); 40] = {
    use Meaning::{Lost, NoDevice, NoDriver, Other, OutOfMemory};
    [
        (1, "INVALID_VALUE", Other),
        (2, "OUT_OF_MEMORY", OutOfMemory),
        (3, "NOT_INITIALIZED", Other),
        (4, "DEINITIALIZED", Lost),
        // The toolkit's library to link against, which has no driver in it.
        (34, "STUB_LIBRARY", NoDriver),
        (46, "DEVICE_UNAVAILABLE", Other),
        (100, "NO_DEVICE", NoDevice),
        (101, "INVALID_DEVICE", Other),
        (200, "INVALID_IMAGE", Other),
        (201, "INVALID_CONTEXT", Other),
        (209, "NO_BINARY_FOR_GPU", Other),
        (214, "ECC_UNCORRECTABLE", Lost),
        (218, "INVALID_PTX", Other),
        (220, "NVLINK_UNCORRECTABLE", Lost),
        (221, "JIT_COMPILER_NOT_FOUND", Other),
        (222, "UNSUPPORTED_PTX_VERSION", Other),
        (223, "JIT_COMPILATION_DISABLED", Other),
        (226, "CONTAINED", Lost),
        (304, "OPERATING_SYSTEM", Other),
        (400, "INVALID_HANDLE", Other),
        (500, "NOT_FOUND", Other),
        (600, "NOT_READY", Other),
        (700, "ILLEGAL_ADDRESS", Lost),
        (701, "LAUNCH_OUT_OF_RESOURCES", Other),
        (702, "LAUNCH_TIMEOUT", Lost),
        (709, "CONTEXT_IS_DESTROYED", Lost),
        (710, "ASSERT", Lost),
        (714, "HARDWARE_STACK_ERROR", Lost),
        (715, "ILLEGAL_INSTRUCTION", Lost),
        (716, "MISALIGNED_ADDRESS", Lost),
        (717, "INVALID_ADDRESS_SPACE", Lost),
        (718, "INVALID_PC", Lost),
        (719, "LAUNCH_FAILED", Lost),
        (721, "TENSOR_MEMORY_LEAK", Lost),
        (800, "NOT_PERMITTED", Other),
        (801, "NOT_SUPPORTED", Other),
        (802, "SYSTEM_NOT_READY", Other),
        (803, "SYSTEM_DRIVER_MISMATCH", Other),
        (804, "COMPAT_NOT_SUPPORTED_ON_DEVICE", Other),
        (999, "UNKNOWN", Lost),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_named_where_they_are_known() {
        let of = |status| Error::of("kernel launch", status).to_string();
        assert!(of(700).contains("kernel launch (CUDA_ERROR_ILLEGAL_ADDRESS, 700)"), "{}", of(700));
        assert!(of(12_345).ends_with("kernel launch: CUDA error 12345"), "{}", of(12_345));
    }

    #[test]
    fn errors_of_an_incomplete_installation_say_what_to_install() {
        let of = |status| Error::of("kernel compilation", status).to_string();
        for (status, advice) in [
            (209, "install a newer NVIDIA driver"),
            (221, "libnvidia-ptxjitcompiler.so.1"),
            (222, "install a newer NVIDIA driver"),
            (803, "restart the machine"),
        ] {
            assert!(of(status).contains(advice), "{}", of(status));
        }
    }

    #[test]
    fn codes_that_newer_drivers_return_for_a_destroyed_context_mean_a_lost_gpu() {
        for status in [226, 721] {
            assert!(matches!(Error::of("kernel launch", status), Error::Lost { .. }), "{status}");
        }
    }
}

//! What can go wrong with a GPU.

use cudarc::driver::{result::DriverError, sys::CUresult};

use super::CudaVersion;

/// Why a GPU cannot be used. The text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("there is no NVIDIA driver (libcuda.so.1 was not found)")]
    NoDriver,
    #[error("the NVIDIA driver finds no GPU")]
    NoDevice,
    #[error("there is no GPU {id}: the driver finds {count}, numbered from 0; set device-id")]
    NoSuchDevice { id: u32, count: u32 },
    #[error("the NVIDIA driver is for CUDA {have}, too old: install driver 525 or later")]
    DriverTooOld { have: CudaVersion },
    #[error(
        "{name} has compute capability {}.{}, and 7.5 is needed (GeForce RTX 20, T4 or later)",
        capability.0, capability.1
    )]
    DeviceTooOld { name: String, capability: (u32, u32) },
    #[error("the GPU has no {} MB left", bytes.div_ceil(1 << 20))]
    OutOfMemory { bytes: usize },
    /// Nothing of this process runs on it any more.
    #[error(
        "the GPU was lost while it was to {task} ({code}): start the program anew; if it happens \
         again, look at the kernel's log (dmesg) for Xid errors"
    )]
    Lost { task: &'static str, code: String },
    #[error("the NVIDIA driver could not {task}: {code}")]
    Driver { task: &'static str, code: String },
}

impl Error {
    /// Whether this machine simply has no GPU for us, which is no fault.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::NoDriver | Self::NoDevice)
    }

    /// What an answer of the driver means.
    pub(super) fn of(task: &'static str, error: DriverError) -> Self {
        use CUresult as R;
        // Not `{error:?}`: it asks the driver for words, which a lost one may not have.
        let code = format!("{:?}", error.0);
        match error.0 {
            R::CUDA_ERROR_OUT_OF_MEMORY => Self::OutOfMemory { bytes: 0 },
            R::CUDA_ERROR_NO_DEVICE => Self::NoDevice,
            // The toolkit's library to link against, which has no driver in it.
            R::CUDA_ERROR_STUB_LIBRARY => Self::NoDriver,
            R::CUDA_ERROR_DEINITIALIZED
            | R::CUDA_ERROR_ECC_UNCORRECTABLE
            | R::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | R::CUDA_ERROR_ILLEGAL_ADDRESS
            | R::CUDA_ERROR_LAUNCH_TIMEOUT
            | R::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | R::CUDA_ERROR_ASSERT
            | R::CUDA_ERROR_HARDWARE_STACK_ERROR
            | R::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | R::CUDA_ERROR_MISALIGNED_ADDRESS
            | R::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | R::CUDA_ERROR_INVALID_PC
            | R::CUDA_ERROR_LAUNCH_FAILED
            | R::CUDA_ERROR_UNKNOWN => Self::Lost { task, code },
            _ => Self::Driver { task, code },
        }
    }
}

/// Names what the driver was to do.
pub(super) trait ToDo<T> {
    /// `task` completes "could not …".
    fn to(self, task: &'static str) -> Result<T, Error>;
}

impl<T> ToDo<T> for Result<T, DriverError> {
    fn to(self, task: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::of(task, error))
    }
}

impl ToDo<()> for CUresult {
    fn to(self, task: &'static str) -> Result<(), Error> {
        self.result().to(task)
    }
}

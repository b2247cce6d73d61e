//! Errors of the pipelines.

use std::{fmt, io};

use crate::{cuda, engine, frame};

/// Why a pipeline could not be set up or a frame could not be enlarged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A frame has an unexpected format or size, or too little memory.
    #[error(transparent)]
    Frame(#[from] frame::Error),
    /// The engine failed.
    #[error(transparent)]
    Inference(engine::Error),
    /// The GPU failed.
    #[error(transparent)]
    Device(cuda::Error),
    /// Memory ran out, or would run out.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// The model's input has a fixed size, which does not leave room for its halo, so that larger
    /// frames cannot be enlarged in tiles.
    #[error(
        "the model only accepts pictures of {size} pixels per side, which is too small to enlarge \
         the frame in tiles: use frames of at most that size, or set halo to less than {}", size / 2
    )]
    FixedSize {
        /// The side that is too small, in pixels.
        size: u32,
    },
    /// The stages around the model run on a GPU, which has no fidelity.
    #[error(
        "fidelity is not supported by the backends cuda and tensorrt; set fidelity to 0, or use \
         backend=native, cpu or webgpu"
    )]
    NoFidelity,
    /// The operating system refused to start a thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
    /// The engine panicked and is lost.
    #[error("the inference thread panicked, which is a bug in upscale; please report it")]
    Panicked,
    /// [`Pipeline::finish`](super::Pipeline::finish) was called without a frame.
    #[error("there is no frame to finish")]
    NoFrame,
}

/// Memory ran out, or would run out if the stream started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// What the memory was for.
    pub purpose: MemoryUse,
    /// Bytes that are needed, if known.
    pub needed: Option<u64>,
    /// Bytes that are available, if known.
    pub available: Option<u64>,
}

/// What memory was needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// Running the model on the smallest region that is tried.
    Region {
        /// The region's side in pixels, without its halo.
        side: u32,
    },
    /// Running the model, on a region of unknown size.
    Model,
    /// The enlarged picture.
    Canvas {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
    /// Buffers in the memory of a GPU. Another backend may have enough memory.
    Gpu,
}

impl std::error::Error for OutOfMemory {}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.purpose {
            MemoryUse::Region { side } => {
                write!(f, "not enough memory for regions of {side} pixels")?;
            }
            MemoryUse::Model => write!(f, "not enough memory to run the model")?,
            MemoryUse::Canvas { width, height } => {
                write!(f, "not enough memory for the enlarged picture of {width}x{height} pixels")?;
            }
            MemoryUse::Gpu => write!(f, "the GPU is out of memory")?,
        }
        // Rounded apart, so that what is needed never looks available.
        let (unit, name) = match self.needed.or(self.available) {
            Some(bytes) if bytes < 10 << 20 => (1 << 10, "KiB"),
            _ => (1 << 20, "MiB"),
        };
        let needed = self.needed.map(|bytes| bytes.div_ceil(unit));
        let available = self.available.map(|bytes| bytes / unit);
        match (needed, available) {
            (Some(needed), Some(available)) => {
                write!(f, " ({needed} {name} needed, {available} {name} available)")?;
            }
            (Some(needed), None) => write!(f, " ({needed} {name} needed)")?,
            (None, Some(available)) => write!(f, " ({available} {name} available)")?,
            (None, None) => {}
        }
        f.write_str(match self.purpose {
            MemoryUse::Region { .. } | MemoryUse::Model => {
                ": raise memory-limit or use a smaller model"
            }
            MemoryUse::Canvas { .. } => ": use a model with a smaller factor or smaller frames",
            MemoryUse::Gpu => ": close other programs, or reduce tile-size or memory-limit",
        })
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::OutOfMemory => {
                OutOfMemory { purpose: MemoryUse::Model, needed: None, available: None }.into()
            }
            error => Self::Inference(error),
        }
    }
}

impl From<cuda::Error> for Error {
    fn from(error: cuda::Error) -> Self {
        match error {
            cuda::Error::OutOfMemory { bytes } => {
                let needed = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
                OutOfMemory { purpose: MemoryUse::Gpu, needed, available: None }.into()
            }
            error => Self::Device(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_memory_says_what_for_how_much_and_what_to_do() {
        let canvas = OutOfMemory {
            purpose: MemoryUse::Canvas { width: 7680, height: 4320 },
            needed: Some(380 << 20),
            available: Some(100 << 20),
        };
        assert_eq!(
            canvas.to_string(),
            "not enough memory for the enlarged picture of 7680x4320 pixels (380 MiB needed, 100 \
             MiB available): use a model with a smaller factor or smaller frames"
        );
        let region =
            OutOfMemory { purpose: MemoryUse::Region { side: 32 }, needed: None, available: None };
        assert_eq!(
            region.to_string(),
            "not enough memory for regions of 32 pixels: raise memory-limit or use a smaller model"
        );
    }

    #[test]
    fn what_is_needed_and_what_is_available_never_look_equal() {
        for (needed, available, expected) in [
            ((1 << 20) + 1, 1 << 20, "(1025 KiB needed, 1024 KiB available)"),
            (1, 0, "(1 KiB needed, 0 KiB available)"),
            ((100 << 20) + 1, 100 << 20, "(101 MiB needed, 100 MiB available)"),
        ] {
            let (needed, available) = (Some(needed), Some(available));
            let text = OutOfMemory { purpose: MemoryUse::Model, needed, available }.to_string();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn memory_errors_of_engine_and_gpu_become_the_one_memory_error() {
        let purpose = |error: Error| match error {
            Error::OutOfMemory(OutOfMemory { purpose, needed, .. }) => Some((purpose, needed)),
            _ => None,
        };
        let gpu = cuda::Error::OutOfMemory { bytes: 4096 };
        assert_eq!(purpose(gpu.into()), Some((MemoryUse::Gpu, Some(4096))));
        assert_eq!(purpose(engine::Error::OutOfMemory.into()), Some((MemoryUse::Model, None)));
        assert_eq!(purpose(cuda::Error::NoDevice.into()), None);
    }
}

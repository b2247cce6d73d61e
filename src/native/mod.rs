//! The project's own engine for networks of convolutions on the processor.
//!
//! `plan` lowers a model's graph to layers; `kernels` is the arithmetic, once per instruction
//! set; `packed` holds weights as the kernels take them; `features` and `bands` are what layers
//! read and write; `batch` computes some tiles of a layer; `pool` shares them among threads;
//! [`Engine`] runs whole pictures and, keeping every layer's features, only what changed.
//!
//! Every sample is a sum in one fixed order on a grid of 4×4 tiles that begins at the picture's
//! origin: threads, batches, instruction sets and incremental runs change no bit of it.

mod bands;
mod batch;
mod calibration;
mod engine;
mod features;
mod incremental;
mod infer;
mod kernels;
mod mask;
mod packed;
mod plan;
mod pool;

pub use engine::{Engine, Memory, Options, Precision};
pub use incremental::{Tolerance, Update};

/// An instruction set that the engine has kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    Portable,
    Avx2,
    Avx512,
    /// AVX-512 with VNNI, which fixed point gains from.
    Avx512Vnni,
}

impl InstructionSet {
    /// Its value in `UPSCALE_NATIVE_ISA`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
        }
    }

    /// Those that this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        let all = [Self::Avx512Vnni, Self::Avx512, Self::Avx2, Self::Portable];
        let tables = kernels::available();
        all.into_iter().filter(|set| tables.iter().any(|table| table.name == set.name())).collect()
    }
}

/// Why the engine cannot run a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("it does not support the operator {operator}: {why}")]
    Operator { operator: String, why: String },
    #[error("the graph of the model is not known")]
    UnknownGraph,
    #[error("UPSCALE_NATIVE_ISA={name} is not available; use one of {available}")]
    InstructionSet { name: String, available: String },
    #[error(
        "the model cannot take a picture of {channels} channels and {width}x{height}: use one of {expected} channels with sides that are multiples of the model's alignment"
    )]
    Shape { channels: usize, width: usize, height: usize, expected: usize },
    #[error(
        "the model loses too much in 16-bit fixed point ({db:.1} dB, {worst} of 255 on test pictures); use fp32"
    )]
    Precision { db: f64, worst: u32 },
    #[error("memory ran out while running the model")]
    OutOfMemory,
    #[error("threads could not be started: {0}")]
    Threads(rayon::ThreadPoolBuildError),
}

//! The project's own engine for networks of convolutions on the CPU.
//!
//! `plan` lowers a model's graph to layers; `kernels` is the arithmetic, once per instruction
//! set; `packed` holds weights in the order in which kernels read them. `batch` computes some
//! tiles of a layer: it reads windows through `source`, calls kernels or `rearrange`, applies
//! `steps` and writes to `bands` of the layer's output. `pool` shares bands among threads.
//! `strips` cuts pictures that are too large for the memory.
//! [`Engine`] runs whole pictures; `incremental` keeps features of layers, which `segments` selects,
//! and computes only what changed; `partial` does so without features.
//!
//! Every sample is a sum in one fixed order on a grid of 4×4 tiles that begins at the picture's
//! origin: threads, batches, instruction sets and incremental runs do not change a single bit.

mod bands;
mod batch;
mod calibration;
mod changes;
mod engine;
mod features;
mod incremental;
mod infer;
mod input;
mod kept;
mod kernels;
mod lifetimes;
mod mask;
mod memory;
mod open;
mod packed;
mod partial;
mod plan;
mod pool;
mod reach;
mod rearrange;
mod sample_buffer;
mod segments;
mod source;
mod spread;
mod steps;
mod strips;
mod tile;

pub use engine::{Engine, Options, Precision};

/// An instruction set that the engine has kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    /// Plain Rust, for every CPU.
    Portable,
    /// NEON of AArch64.
    Neon,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
    /// AVX-512 with VNNI, which fixed point gains from.
    Avx512Vnni,
}

impl InstructionSet {
    /// Its value in `UPSCALE_NATIVE_ISA`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Vnni => "avx512vnni",
        }
    }

    /// Those that this CPU has, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Avx512Vnni, Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
        let tables = kernels::available();
        all.into_iter().filter(|set| tables.iter().any(|table| table.name == set.name())).collect()
    }
}

/// Why the engine cannot run a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model has an operator, or a form of one, that the engine does not have.
    #[error("it does not support the operator {operator}: {why}")]
    Operator {
        /// The operator's name in ONNX.
        operator: String,
        /// What is not supported.
        why: String,
    },
    /// The model has weights that are NaN or infinite.
    #[error("weights of the model are not finite numbers (NaN or infinity)")]
    NotFinite,
    /// [`Model::graph`](crate::model::Model::graph) is `None`.
    #[error("the graph of the model is not known")]
    UnknownGraph,
    /// The requested instruction set is unknown, or the CPU does not have it.
    #[error("UPSCALE_NATIVE_ISA={name} is not available; use one of {available}")]
    InstructionSet {
        /// The requested name.
        name: String,
        /// The names that can be requested, separated by commas.
        available: String,
    },
    /// The picture does not fit the model.
    #[error(
        "the model does not accept a picture of {width}x{height} with {channels} channels: use {expected} channels and sides that are multiples of the model's alignment"
    )]
    Shape {
        /// Channels of the picture.
        channels: usize,
        /// Width of the picture in pixels.
        width: usize,
        /// Height of the picture in pixels.
        height: usize,
        /// Channels of the model.
        expected: usize,
    },
    /// Fixed point is not close enough to fp32.
    #[error(
        "16-bit fixed point is too inaccurate for this model (PSNR {db:.1} dB, largest error {worst}/255); use fp32"
    )]
    Precision {
        /// PSNR between both in decibels.
        db: f64,
        /// The largest difference in steps of 1/255.
        worst: u32,
    },
    /// The current [`Interrupt`](crate::engine::Interrupt) was raised.
    #[error("the run was stopped before it was done")]
    Cancelled,
    /// A smaller picture may still succeed.
    #[error("out of memory while running the model")]
    OutOfMemory,
    /// The operating system refused to start a thread.
    #[error("cannot start threads: {0}")]
    Threads(rayon::ThreadPoolBuildError),
}

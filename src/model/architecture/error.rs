//! Why weights are not those of an architecture.

use crate::model::fault::Reason;

/// Why the network of an architecture cannot be built from weights; completes "the nearest is
/// SPAN, but …".
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum BuildError {
    #[error("the weight {0:?} is missing")]
    Missing(String),
    #[error("the weight {0:?} is empty")]
    Empty(String),
    #[error("the weight {name:?} has the unexpected shape {dims:?}")]
    Shape { name: String, dims: Vec<u64> },
    #[error(
        "the weight {name:?} has the shape {dims:?}; expected {channels} input channels and a kernel of odd size"
    )]
    Kernel { name: String, dims: Vec<u64>, channels: u64 },
    #[error("the weight {name:?} has {slopes} slopes for {channels} channels")]
    Slopes { name: String, slopes: u64, channels: u64 },
    #[error("the layer {layer:?} has {outputs} output channels; expected {expected}")]
    Outputs { layer: String, outputs: u64, expected: u64 },
    #[error(
        "the layer {layer:?} has {outputs} output channels; expected {channels} times a square"
    )]
    NotSquare { layer: String, outputs: u64, channels: u64 },
    #[error("{channels} channels cannot be divided by {divisor}")]
    Indivisible { channels: u64, divisor: u64 },
    #[error("it does not enlarge: the layer {0:?} has as many channels as the image")]
    NotEnlarging(String),
    #[error("it has {input} input and {output} output channels; expected 1, 3 or 4")]
    Channels { input: u64, output: u64 },
    #[error("it must have three channels, for which the mean is known")]
    MeanNeedsColour,
    #[error("the shapes of the branches of {0:?} do not match")]
    Branches(String),
    #[error("its branches are too large to be merged")]
    BranchesTooLarge,
    #[error("its upsampler, {0}, is not supported")]
    Upsampler(&'static str),
    #[error("its windows are too large")]
    TooLarge,
    #[error("it has weights that do not belong to this architecture: {0:?}")]
    Unused(Vec<String>),
    #[error(
        "the scale factor cannot be determined from the weights; name the file …_x2.pth, or set `factor = 2` in a .toml file next to it"
    )]
    Factor,
}

impl BuildError {
    /// Whether the weights are those of the architecture, and only a setting is missing.
    pub(crate) fn is_setting(&self) -> bool {
        matches!(self, Self::Factor)
    }
}

/// Why no network can be built from weights.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchitectureError {
    #[error("{name}: {error}")]
    Setting { name: &'static str, error: BuildError },
    #[error(
        "the architecture of its weights is not known; the nearest is {name}, but {error}; export the model as .onnx"
    )]
    Nearest { name: &'static str, error: BuildError },
    #[error(
        "the architecture of the weights {seen:?} … is not supported (expected one of {known}); export the model as .onnx"
    )]
    Unknown { seen: Vec<String>, known: String },
}

impl Reason for ArchitectureError {
    fn is_damage(&self) -> bool {
        false
    }
}

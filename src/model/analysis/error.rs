//! Why a graph cannot be analysed, or is not an upscaler.

use crate::model::fault::Reason;

/// Why a graph is not a model that this library can run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum AnalysisError {
    #[error("the operator {op} {problem}")]
    Operator { op: String, problem: Problem },
    #[error("the operator {0} is not supported")]
    UnknownOperator(String),
    #[error("the input is too large")]
    InputTooLarge,
    #[error("the graph scales by fractions that no practical image size is divisible by")]
    NoCommonAlignment,
    #[error("the alignment or the minimum size of the input is too large")]
    SizesTooLarge,
    #[error("no operator produces the output")]
    NoOutput,
    #[error("the output has {0} dimensions; expected 4")]
    OutputRank(usize),
    #[error("the output does not depend on the input image")]
    ConstantOutput,
    #[error("the output has {output} images for {input} input images")]
    Batch { input: i64, output: i64 },
    #[error(
        "the model has {input} input and {output} output channels; expected 3 (R'G'B') or 1 (luma) for both"
    )]
    Channels { input: u64, output: i64 },
    #[error(
        "the model scales by {horizontal:.4} horizontally and by {vertical:.4} vertically; expected the same whole factor from 1 to 64"
    )]
    Factor { horizontal: f64, vertical: f64 },
}

impl Reason for AnalysisError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// Why one operator cannot be analysed; completes "the operator Conv …".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("lacks input {0}")]
    MissingInput(usize),
    #[error("has no constant {0}")]
    NotConstant(&'static str),
    #[error("refers to axis {axis} of a tensor with {rank} dimensions")]
    Axis { axis: i64, rank: usize },
    #[error("has an input with too few dimensions")]
    Rank,
    #[error("combines dimensions of {0} and {1}")]
    Mismatch(i64, i64),
    #[error("has {0} that do not match its input")]
    Count(&'static str),
    #[error("has {name} of {values:?}")]
    Value { name: &'static str, values: Vec<i64> },
    #[error("has weights that depend on the image")]
    VariableWeights,
    #[error("expects {expected} input channels, but gets {actual}")]
    Channels { expected: i64, actual: i64 },
    #[error("has a fixed output_shape, which supports one image size only")]
    FixedOutputShape,
    #[error("cannot reshape {from:?} to {to:?}")]
    Reshape { from: Vec<i64>, to: Vec<i64> },
    #[error("has no valid blocksize")]
    BlockSize,
    #[error("cannot divide {length} by its blocksize of {block}")]
    Block { length: i64, block: i64 },
    #[error("has a scale of {0}")]
    Scale(f64),
    #[error("needs a dimension of at least {needed}, but gets {actual}")]
    TooSmall { needed: i64, actual: i64 },
    #[error("produces a dimension of {0}")]
    Dimension(i64),
    #[error("produces a tensor with {0} dimensions")]
    Dimensions(usize),
    #[error("makes tensors that are too large ({0} elements)")]
    Elements(f64),
    #[error("makes a tensor that the output does not need; remove it from the model")]
    Unused,
}

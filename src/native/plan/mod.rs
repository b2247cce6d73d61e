//! A network as a list of layers: what the engine runs.
//!
//! A layer makes 4×4 tiles of features, sixteen channels (a [`Block`]) at a time. Its [`Root`]
//! is a convolution or a rearrangement of pixels; its [`Step`]s are arithmetic on each sample.
//! A concatenation, a slice of channels, a pixel shuffle or a nearest-neighbour upsampling moves
//! no data where it can be expressed by where a reader looks.

mod deconvolution;
mod fuse;
mod lower;
mod operands;
mod size;

pub(crate) use size::Size;

use super::{
    Error,
    kernels::{Activation, LANES, Lanes, Taps},
};
use crate::model::Graph;

/// The index of a plane: sixteen channels of features.
pub(crate) type PlaneId = usize;

/// A register of the arithmetic on samples. Register 0 holds the root's and the layer's result.
pub(crate) type Register = usize;

/// Sixteen channels that a layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Block {
    Plane(PlaneId),
    /// Channels `first..` of the network's input, after a pixel unshuffle by `factor`: channel
    /// `c · factor² + y · factor + x` is sample (x, y) of each cell of input channel `c`.
    Input {
        factor: usize,
        first: usize,
    },
}

/// Where the sixteen lanes of a vector come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pick {
    Whole(Block),
    /// Lane by lane; lanes beyond the last are 0.
    Lanes(Vec<(Block, usize)>),
}

impl Pick {
    /// The blocks that are read, with repetitions.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block> + '_ {
        let (whole, lanes) = match self {
            Pick::Whole(block) => (Some(*block), &[][..]),
            Pick::Lanes(lanes) => (None, &lanes[..]),
        };
        whole.into_iter().chain(lanes.iter().map(|(block, _)| *block))
    }
}

/// A convolution of stride 1 with zeros around the picture.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    pub source: Vec<Block>,
    /// The lane (counted through all of `source`) of each input channel.
    pub lanes: Vec<usize>,
    pub taps: Taps,
    /// Rows above and columns left of an output that its window begins.
    pub before: [i64; 2],
    pub outputs: usize,
    /// Outputs × inputs × taps.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    /// What negative results are multiplied by, per output.
    pub slope: Vec<f32>,
}

/// What lies outside of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Border {
    Zero,
    Edge,
    /// Mirrored, the border sample not repeated.
    Reflect,
}

/// What makes a layer's samples.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    Convolution(Convolution),
    /// The same pixel of other layers.
    Copy(Vec<Pick>),
    /// A pixel shuffle by `factor`: entry `y · factor + x` of an output's list is the pick for
    /// that place in a cell.
    Shuffle {
        factor: usize,
        picks: Vec<Vec<Pick>>,
    },
    /// A pixel unshuffle by `factor`: lane `l` of an output is lane and place (y, x) `l` of its
    /// list.
    Unshuffle {
        factor: usize,
        picks: Vec<Vec<(Block, usize, [usize; 2])>>,
    },
    /// Bilinear enlargement between sample centres: place `p` of a cell is in output
    /// `p · n + i`, for the `i`th of `n` picks.
    Bilinear {
        factor: usize,
        picks: Vec<Pick>,
    },
    /// The picture moved down and right by `before` (negative: cropped).
    Pad {
        before: [i64; 2],
        border: Border,
        /// The size of the picture that is padded.
        inner: Size,
        picks: Vec<Pick>,
    },
}

/// Arithmetic on each sample. Lists have one entry per vector of output channels.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Load { to: Register, picks: Vec<Pick> },
    Move { to: Register, from: Register },
    Add { to: Register, from: Register },
    Subtract { to: Register, from: Register },
    Multiply { to: Register, from: Register },
    Affine { to: Register, scale: Vec<Lanes>, offset: Vec<Lanes> },
    Activate { to: Register, activations: Vec<Activation> },
}

/// One layer.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub root: Root,
    pub steps: Vec<Step>,
    /// The planes that it writes; the last layer writes the output picture instead.
    pub outputs: Vec<PlaneId>,
    /// Vectors of channels that it makes.
    pub blocks: usize,
    pub size: Size,
}

impl Layer {
    /// Every block that the layer reads, with repetitions.
    pub(crate) fn reads(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        match &self.root {
            Root::Convolution(convolution) => blocks.extend(&convolution.source),
            Root::Copy(picks) | Root::Bilinear { picks, .. } | Root::Pad { picks, .. } => {
                blocks.extend(picks.iter().flat_map(Pick::blocks));
            }
            Root::Shuffle { picks, .. } => {
                blocks.extend(picks.iter().flatten().flat_map(Pick::blocks));
            }
            Root::Unshuffle { picks, .. } => {
                blocks.extend(picks.iter().flatten().map(|(block, ..)| *block));
            }
        }
        for step in &self.steps {
            if let Step::Load { picks, .. } = step {
                blocks.extend(picks.iter().flat_map(Pick::blocks));
            }
        }
        blocks
    }

    /// Whether all weights and other constants are finite. The bounds of a clip may be infinite.
    fn is_finite(&self) -> bool {
        let finite = |numbers: &[f32]| numbers.iter().all(|number| number.is_finite());
        let vectors = |vectors: &[Lanes]| vectors.iter().all(|lanes| finite(&lanes.0));
        let root = match &self.root {
            Root::Convolution(convolution) => {
                [&convolution.weights, &convolution.bias, &convolution.slope]
                    .into_iter()
                    .all(|numbers| finite(numbers))
            }
            _ => true,
        };
        let step = |step: &Step| match step {
            Step::Affine { scale, offset, .. } => vectors(scale) && vectors(offset),
            Step::Activate { activations, .. } => {
                activations.iter().all(|activation| match activation {
                    Activation::Leaky(slope) => finite(&slope.0),
                    Activation::Clip { low, high } => !low.is_nan() && !high.is_nan(),
                    Activation::Sigmoid | Activation::Tanh => true,
                })
            }
            _ => true,
        };
        root && self.steps.iter().all(step)
    }

    /// Registers that the steps use, at least 1.
    pub(crate) fn registers(&self) -> usize {
        let registers = self.steps.iter().map(|step| match *step {
            Step::Load { to, .. } | Step::Affine { to, .. } | Step::Activate { to, .. } => to,
            Step::Move { to, from }
            | Step::Add { to, from }
            | Step::Subtract { to, from }
            | Step::Multiply { to, from } => to.max(from),
        });
        registers.max().unwrap_or(0) + 1
    }
}

/// A network, lowered.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// In an order in which each one's sources come before it. The last makes the output.
    pub layers: Vec<Layer>,
    /// The size of each plane.
    pub planes: Vec<Size>,
    /// Channels of the input picture.
    pub channels: usize,
    /// Channels of the output picture.
    pub outputs: usize,
    /// The last layer's channels are shuffled by this into the output picture.
    pub shuffle: usize,
}

impl Plan {
    /// Lowers a graph.
    ///
    /// # Errors
    /// [`Error::Operator`] for what the engine does not support, [`Error::NotFinite`] for weights
    /// that are NaN or infinite.
    pub(crate) fn new(graph: &Graph) -> Result<Self, Error> {
        let mut plan = lower::lower(graph)?;
        fuse::fuse(&mut plan);
        let finite = plan.layers.iter().all(Layer::is_finite);
        finite.then_some(plan).ok_or(Error::NotFinite)
    }
}

/// Vectors that hold this many channels.
pub(crate) fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

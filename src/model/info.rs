//! Properties of a model that are known before it runs.

use crate::frame::Channels;

/// Properties of a model, computed from its graph alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The channels of input and output.
    pub channels: Channels,
    /// Output size over input size, 1..=64.
    pub factor: u32,
    /// The radius of the receptive field: how many input pixels around a region the output of that
    /// region depends on. `None` if it is not bounded.
    pub halo: Option<u32>,
    /// The width and height of the input, and the positions of regions, must be multiples of this
    /// many pixels, ≥ 1.
    pub align: u32,
    /// The minimum width and height of the input, in pixels, ≥ 1.
    pub min_side: u32,
    /// The only (width, height) of the input, in pixels, if the model has a fixed size.
    pub fixed_size: Option<(u32, u32)>,
    /// Whether the model accepts any batch size.
    pub batch: bool,
    /// The number of trained parameters.
    pub parameters: u64,
    /// Multiply-adds per input pixel.
    pub macs_per_pixel: f64,
    /// The largest number of floats per input pixel that are alive at once, including input and
    /// output. Memory estimates are based on it.
    pub peak_floats_per_pixel: f64,
}

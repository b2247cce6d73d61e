//! What is known of a model before it runs.

use crate::frame::Channels;

/// Worked out from the graph alone.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    pub channels: Channels,
    /// Output size over input size, ≥ 1.
    pub factor: u32,
    /// Input pixels around a place that its picture depends on (the receptive field's
    /// radius); `None` where it cannot be bounded.
    pub halo: Option<u32>,
    /// Input sides, and the positions of regions, must be multiples of this, ≥ 1.
    pub align: u32,
    /// The least side, in input pixels, that the graph can take, ≥ 1.
    pub min_side: u32,
    /// The only size (width, height) that the graph takes, where its input is fixed.
    pub fixed_size: Option<(u32, u32)>,
    /// Whether the batch dimension is free.
    pub batch: bool,
    /// Trained numbers.
    pub parameters: u64,
    /// Multiply-adds per input pixel.
    pub macs_per_pixel: f64,
    /// Floats that are alive at once per input pixel at the graph's widest place, input and
    /// output included: what the memory estimate is made from.
    pub peak_floats_per_pixel: f64,
}

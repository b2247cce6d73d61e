//! Filter coefficients, as the kernels read them.

use bytemuck::{Pod, Zeroable};

use super::Address;
use crate::frame::{self, Resampler};

/// Filter coefficients along one axis, to be copied to the GPU's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterData {
    /// For each output sample, its first input sample and the index of its weights.
    pub windows: Vec<[u32; 2]>,
    /// Sets of `taps` weights.
    pub weights: Vec<f32>,
    /// Weights of an output sample.
    pub taps: u32,
}

impl FilterData {
    /// The coefficients of a resampler, horizontal and vertical.
    #[must_use]
    pub fn of(resampler: &Resampler) -> [Self; 2] {
        resampler.tables().map(Self::of_table)
    }

    fn of_table(table: &frame::FilterTable) -> Self {
        Self {
            windows: table.windows().iter().map(|&(start, index)| [start, index]).collect(),
            weights: table.weights().to_vec(),
            taps: table.taps() as u32,
        }
    }

    /// The kernels' argument, for copies of the windows and weights at these addresses.
    #[must_use]
    pub fn args(&self, windows: Address, weights: Address) -> FilterArgs {
        FilterArgs { windows, weights, taps: self.taps, outputs: self.windows.len() as u32 }
    }
}

/// `Filter` of `kernels/resample.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct FilterArgs {
    pub windows: Address,
    pub weights: Address,
    pub taps: u32,
    pub outputs: u32,
}

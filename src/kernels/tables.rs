//! Tables of coefficients as kernels read them.

use bytemuck::{Pod, Zeroable};

use super::Address;
use crate::frame::{self, Resampler};

/// Coefficients along one direction, to be copied to where kernels can read them.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// Per output its first input sample and the index of its weights.
    pub windows: Vec<[u32; 2]>,
    /// Sets of `taps`.
    pub weights: Vec<f32>,
    /// Weights per output.
    pub taps: u32,
}

impl Coefficients {
    /// Those of a resampler, across and down.
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

    /// The kernels' argument, once windows and weights lie at these addresses.
    pub fn table(&self, windows: Address, weights: Address) -> Table {
        Table { windows, weights, taps: self.taps, outputs: self.windows.len() as u32 }
    }
}

/// `kernels/resample.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
pub struct Table {
    pub windows: Address,
    pub weights: Address,
    pub taps: u32,
    pub outputs: u32,
}

//! Working memory of inference: how much may be used, and how much a run needs.
//!
//! Linux grants memory that it does not have and kills the process later, so the need is
//! estimated before anything is allocated.

use super::{
    error::{Error, MemoryUse, OutOfMemory},
    free_memory::free,
};
use crate::{frame::FrameInfo, model::ModelInfo};

/// Share of the free memory that inference may use by default. The rest is for other parts of the
/// process and other processes.
const SHARE: f64 = 0.5;

/// Memory for running a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    /// Bytes that may be used.
    bytes: u64,
    /// Bytes that a run needs for each input pixel.
    per_pixel: f64,
}

impl Budget {
    /// `bytes` for running `model` with samples of `sample_bytes` bytes.
    pub(crate) fn new(bytes: u64, model: &ModelInfo, sample_bytes: usize) -> Self {
        Self { bytes, per_pixel: model.peak_floats_per_pixel.max(1.0) * sample_bytes as f64 }
    }

    /// `limit` bytes, or half of the free memory, for running `model` on the CPU.
    pub(crate) fn on_cpu(limit: Option<u64>, model: &ModelInfo) -> Self {
        let bytes = limit.unwrap_or_else(|| (free() as f64 * SHARE) as u64);
        Self::new(bytes, model, size_of::<f32>())
    }

    /// Bytes that may be used.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Most input pixels that the model may run on at once.
    pub(crate) fn pixels(&self) -> u64 {
        (self.bytes as f64 / self.per_pixel) as u64
    }

    /// Bytes that a run on `pixels` needs.
    pub(crate) fn bytes_for(&self, pixels: u64) -> u64 {
        (pixels as f64 * self.per_pixel) as u64
    }
}

/// Checks that the enlarged picture of frames like `input` fits into the free memory.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn check_canvas(model: &ModelInfo, input: &FrameInfo) -> Result<(), Error> {
    let [width, height] =
        [input.width, input.height].map(|side| u64::from(side) * u64::from(model.factor));
    let sample = (model.channels.count() * size_of::<f32>()) as u64;
    let (needed, available) = ((width * height).saturating_mul(sample), free());
    if needed <= available {
        return Ok(());
    }
    let purpose = MemoryUse::Canvas { width, height };
    Err(OutOfMemory { purpose, needed: Some(needed), available: Some(available) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Channels;

    fn model() -> ModelInfo {
        ModelInfo {
            channels: Channels::Rgb,
            factor: 2,
            halo: Some(1),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: true,
            parameters: 0,
            macs_per_pixel: 1.0,
            peak_floats_per_pixel: 8.0,
        }
    }

    #[test]
    fn the_default_budget_is_a_part_of_the_free_memory() {
        let budget = Budget::on_cpu(None, &model());
        assert!(budget.bytes > 1 << 20 && budget.bytes < free(), "{budget:?}");
    }

    #[test]
    fn a_given_limit_is_kept_and_divided_by_the_need_of_a_pixel() {
        let budget = Budget::on_cpu(Some(64_000), &model());
        assert_eq!((budget.bytes, budget.pixels()), (64_000, 2000));
        assert_eq!(budget.bytes_for(2000), 64_000);
        assert_eq!(Budget::new(64_000, &model(), 2).pixels(), 4000);
    }
}

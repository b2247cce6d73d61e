//! Working memory of inference: how much may be used, and how much a run needs.
//!
//! Linux grants memory that it does not have and kills the process later, so the need is
//! estimated before anything is allocated.

use super::{
    error::{Error, MemoryUse, OutOfMemory},
    free_memory::free,
};
use crate::{frame::FrameInfo, model::ModelInfo};

/// Share of the memory that inference may use by default of what is free beside the stream's pictures.
/// The rest is for other parts of the process and other processes.
const SHARE: f64 = 0.5;

/// Frames of a stream whose source picture and canvas exist at the same time: the one that is shown,
/// one that waits, and the one that the model works on.
const FRAMES: u64 = 3;

/// The least share of the free memory for inference, beside pictures of any size: a stream of one
/// frame needs fewer pictures.
const LEAST_SHARE: f64 = 1.0 / 8.0;

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

    /// `limit` bytes, or half of what is free beside the pictures of a stream of frames like `input`,
    /// for running `model` on the CPU.
    pub(crate) fn on_cpu(limit: Option<u64>, model: &ModelInfo, input: &FrameInfo) -> Self {
        let bytes = limit.unwrap_or_else(|| default_bytes(free(), model, input));
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

/// The default budget if `free` bytes are free.
fn default_bytes(free: u64, model: &ModelInfo, input: &FrameInfo) -> u64 {
    let pictures = picture_bytes(model, input, 1)
        .saturating_add(picture_bytes(model, input, model.factor))
        .saturating_mul(FRAMES);
    let free = free as f64;
    ((free - pictures as f64).max(free * LEAST_SHARE) * SHARE) as u64
}

/// Bytes of the planes that the model reads of a frame like `input`, `factor` times as large.
fn picture_bytes(model: &ModelInfo, input: &FrameInfo, factor: u32) -> u64 {
    let side = |side: u32| u64::from(side) * u64::from(factor);
    let sample = (model.channels.count() * size_of::<f32>()) as u64;
    (side(input.width) * side(input.height)).saturating_mul(sample)
}

/// Checks that the enlarged picture of frames like `input` fits into the free memory.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn check_canvas(model: &ModelInfo, input: &FrameInfo) -> Result<(), Error> {
    let [width, height] =
        [input.width, input.height].map(|side| u64::from(side) * u64::from(model.factor));
    check(MemoryUse::Canvas { width, height }, picture_bytes(model, input, model.factor))
}

/// Checks that `needed` bytes for running the model fit into the free memory.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn check_run(needed: u64) -> Result<(), Error> {
    check(MemoryUse::Model, needed)
}

fn check(purpose: MemoryUse, needed: u64) -> Result<(), Error> {
    let available = free();
    if needed <= available {
        return Ok(());
    }
    Err(OutOfMemory { purpose, needed: Some(needed), available: Some(available) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Channels, PixelFormat, Range};

    fn input() -> FrameInfo {
        FrameInfo::bt709(PixelFormat::Nv12, 1280, 720, Range::Limited)
    }

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
    fn the_default_budget_is_half_of_what_is_free_beside_the_pictures() {
        // Three sources of 3 channels, and canvases of four times their size.
        let pictures = 3 * 3 * 4 * 1280 * 720 * (1 + 4);
        assert_eq!(default_bytes(pictures + 1000, &model(), &input()), (pictures + 1000) / 16);
        assert_eq!(default_bytes(8 * pictures, &model(), &input()), 7 * pictures / 2);
        assert!(Budget::on_cpu(None, &model(), &input()).bytes > 0);
    }

    #[test]
    fn a_run_that_needs_more_than_is_free_is_refused() {
        check_run(1000).unwrap();
        let error = check_run(u64::MAX).unwrap_err().to_string();
        assert!(error.contains("not enough memory to run the model"), "{error}");
    }

    #[test]
    fn a_given_limit_is_kept_and_divided_by_the_need_of_a_pixel() {
        let budget = Budget::on_cpu(Some(64_000), &model(), &input());
        assert_eq!((budget.bytes, budget.pixels()), (64_000, 2000));
        assert_eq!(budget.bytes_for(2000), 64_000);
        assert_eq!(Budget::new(64_000, &model(), 2).pixels(), 4000);
    }
}

//! Working memory of inference: how much may be used, and how much a run needs.
//!
//! Linux grants memory that it does not have and kills the process later, so the need is
//! estimated before anything is allocated.

use super::error::{Error, MemoryUse, OutOfMemory};
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

/// Bytes that the machine and this process's control group have left.
fn free() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    left(system.available_memory(), system.cgroup_limits())
}

/// `available` bytes, bounded by the `limits` of a control group. Its page cache is released on
/// demand, so only the memory of its processes counts.
fn left(available: u64, limits: Option<sysinfo::CGroupLimits>) -> u64 {
    match limits {
        Some(limits) if limits.total_memory > 0 => {
            available.min(limits.total_memory.saturating_sub(limits.rss))
        }
        _ => available,
    }
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
    fn the_page_cache_of_a_control_group_counts_as_free() {
        let limits = sysinfo::CGroupLimits {
            total_memory: 8 << 30,
            free_memory: 0,
            free_swap: 0,
            rss: 1 << 30,
        };
        assert_eq!(left(20 << 30, Some(limits.clone())), 7 << 30);
        assert_eq!(left(2 << 30, Some(limits)), 2 << 30);
        assert_eq!(left(20 << 30, None), 20 << 30);
    }

    #[test]
    fn a_given_limit_is_kept_and_divided_by_the_need_of_a_pixel() {
        let budget = Budget::on_cpu(Some(64_000), &model());
        assert_eq!((budget.bytes, budget.pixels()), (64_000, 2000));
        assert_eq!(budget.bytes_for(2000), 64_000);
        assert_eq!(Budget::new(64_000, &model(), 2).pixels(), 4000);
    }
}

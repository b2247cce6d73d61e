//! The shapes that a TensorRT engine is compiled for.

use crate::model::ModelInfo;

/// Bounds of a batch: the number of pictures, and their sides in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// Largest number of pictures. A profile that is [`exact`](Self::exact) runs no fewer.
    pub max_batch: u32,
    /// Only batches of exactly [`max_batch`](Self::max_batch) pictures run; otherwise the smallest
    /// number is 1.
    pub exact: bool,
    /// Width and height: smallest, the ones it is optimised for, largest.
    pub sides: [(u32, u32); 3],
    /// Number of pictures that it is optimised for.
    pub tuned_batch: u32,
}

/// Largest number of regions in a batch.
pub(super) const MAX_REGIONS: u32 = 8;
/// Tiles that run at once with the CUDA provider.
const BATCH: u32 = 4;
/// Sides of a tile with the CUDA provider, in pixels.
const TILE_SIDES: std::ops::RangeInclusive<u32> = 128..=512;
/// Smallest side of a frame, in pixels.
const MIN_SIDE: u32 = 8;
/// Largest side of a region, in pixels.
const MAX_REGION_SIDE: u32 = 256;
/// Largest side of a frame that runs as a whole, in pixels. Larger frames run as regions.
const MAX_FRAME_SIDE: u32 = 1920;

impl Profile {
    /// One profile for single frames and one for batches of regions, because one profile for both
    /// would need memory for batches of frames. A model with a fixed size has one profile.
    ///
    /// `bytes` is the device memory that a run may use; samples have 2 bytes.
    pub(crate) fn all(info: &ModelInfo, bytes: u64) -> Vec<Self> {
        let max_batch = if info.batch { MAX_REGIONS } else { 1 };
        if let Some(size) = info.fixed_size {
            let tuned_batch = max_batch.div_ceil(2);
            return vec![Self { max_batch, exact: false, sides: [size; 3], tuned_batch }];
        }
        let align = info.align.max(1);
        let up = |side: u32| side.max(info.min_side).max(1).next_multiple_of(align);
        let square = |side: u32| (side, side);
        let pixels = bytes as f64 / (info.peak_floats_per_pixel.max(1.0) * 2.0);
        let min = up(MIN_SIDE);
        let fitting = (pixels.sqrt() as u32 / align * align).max(min);

        let max = up(MAX_FRAME_SIDE).min(fitting);
        let tuned = (up(1280).min(max), up(720).min(max));
        let sides = [square(min), tuned, square(max)];
        let frames = Self { max_batch: 1, exact: false, sides, tuned_batch: 1 };

        let max = up(MAX_REGION_SIDE).min(fitting);
        let fitting_regions = (pixels / f64::from(max).powi(2)) as u32;
        let max_batch = max_batch.min(fitting_regions.max(1));
        let sides = [square(min), square(up(128).min(max)), square(max)];
        let tuned_batch = max_batch.div_ceil(2);
        let regions = Self { max_batch, exact: false, sides, tuned_batch };
        if max_batch > 1 { vec![regions, frames] } else { vec![frames] }
    }

    /// The sessions of the CUDA provider, which plans every convolution again when a shape or the
    /// size of a batch changes (`UpdateState` in onnxruntime/core/providers/cuda/nn/conv.cc). Each
    /// runs one shape in a stream: [`BATCH`] tiles, one tile, one whole frame.
    pub(crate) fn of_one_shape(info: &ModelInfo) -> Vec<Self> {
        let one = |max_batch, sides| Self { max_batch, exact: true, sides, tuned_batch: max_batch };
        let any = one(1, [(1, 1), (1, 1), (u32::MAX, u32::MAX)]);
        match info.fixed_size.or_else(|| tile(info)) {
            Some(size) => {
                let batches = if info.batch { &[BATCH, 1][..] } else { &[1] };
                let tiles = batches.iter().map(|&batch| one(batch, [size; 3]));
                tiles.chain(info.fixed_size.is_none().then_some(any)).collect()
            }
            None => vec![any],
        }
    }

    /// Whether pictures of this size are within the bounds.
    pub(crate) fn admits(&self, width: u32, height: u32) -> bool {
        let [min, _, max] = self.sides;
        (min.0..=max.0).contains(&width) && (min.1..=max.1).contains(&height)
    }

    /// The provider's options for the graph's `input`: smallest, optimal and largest shape.
    pub(crate) fn texts(&self, input: &str, channels: usize) -> [String; 3] {
        let [min, tuned, max] = self.sides;
        let text =
            |count: u32, (width, height)| format!("{input}:{count}x{channels}x{height}x{width}");
        [text(1, min), text(self.tuned_batch, tuned), text(self.max_batch, max)]
    }
}

/// The size of tiles with the CUDA provider: large enough that the halo is a third of a side.
/// `None` for a model with a halo so long that whole frames are faster.
pub(super) fn tile(info: &ModelInfo) -> Option<(u32, u32)> {
    let halo = info.halo.filter(|_| info.fixed_size.is_none())?;
    let wanted = halo.saturating_mul(6).max(*TILE_SIDES.start()).max(info.min_side);
    let side = wanted.checked_next_multiple_of(32)?.checked_next_multiple_of(info.align.max(1))?;
    (side <= *TILE_SIDES.end()).then_some((side, side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Channels;

    fn info() -> ModelInfo {
        ModelInfo {
            channels: Channels::Rgb,
            factor: 4,
            halo: Some(18),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: true,
            parameters: 600_000,
            macs_per_pixel: 600_000.0,
            peak_floats_per_pixel: 150.0,
        }
    }

    const GIGABYTE: u64 = 1 << 30;

    #[test]
    fn frames_run_alone_and_regions_in_batches() {
        let [regions, frames] = Profile::all(&info(), 4 * GIGABYTE)[..] else { panic!() };
        assert_eq!((frames.max_batch, frames.sides), (1, [(8, 8), (1280, 720), (1920, 1920)]));
        assert_eq!((regions.max_batch, regions.tuned_batch, regions.sides[2]), (8, 4, (256, 256)));
        assert!(frames.admits(1920, 1080) && frames.admits(1080, 1920));
        assert!(!regions.admits(257, 32) && !regions.admits(7, 64));
        let expected = ["x:1x3x8x8", "x:1x3x720x1280", "x:1x3x1920x1920"];
        assert_eq!(frames.texts("x", 3), expected);
    }

    #[test]
    fn bounds_fit_into_memory_and_follow_the_models_rules() {
        for (peak, align, megabytes) in
            [(1200.0, 1, 2048), (1200.0, 4, 300), (150.0, 2, 64), (9000.0, 8, 1)]
        {
            let info = ModelInfo { align, min_side: 5, peak_floats_per_pixel: peak, ..info() };
            for profile in Profile::all(&info, megabytes << 20) {
                let [min, tuned, max] = profile.sides;
                for (low, high) in [(min, tuned), (tuned, max)] {
                    assert!(low.0 <= high.0 && low.1 <= high.1, "{profile:?}");
                }
                for side in [min.0, tuned.0, tuned.1, max.0, max.1] {
                    assert_eq!(side % align, 0, "{profile:?}");
                }
                let pixels = f64::from(profile.max_batch) * f64::from(max.0) * f64::from(max.1);
                let fits = pixels * peak * 2.0 <= (megabytes << 20) as f64;
                assert!(fits || max == min, "{profile:?}");
            }
        }
    }

    #[test]
    fn a_model_with_a_fixed_size_has_one_profile() {
        let info = ModelInfo { fixed_size: Some((320, 240)), batch: false, ..info() };
        let [profile] = Profile::all(&info, GIGABYTE)[..] else { panic!() };
        assert!(profile.admits(320, 240) && !profile.admits(240, 320) && profile.max_batch == 1);
    }

    #[test]
    fn sessions_of_the_cuda_provider_never_change_their_shape_in_a_stream() {
        let info = info();
        let size = tile(&info).unwrap();
        assert_eq!(size, (128, 128));
        let all = Profile::of_one_shape(&info);
        // Every run of a tile or of a frame has a session that runs nothing else.
        let sessions = |size: (u32, u32)| -> Vec<u32> {
            let admitting = all.iter().filter(|profile| profile.admits(size.0, size.1));
            admitting.map(|profile| profile.max_batch).collect()
        };
        assert_eq!((sessions(size), sessions((1920, 1080))), (vec![4, 1, 1], vec![1]));
        assert!(all.iter().all(|profile| profile.exact));
        let long = ModelInfo { halo: Some(350), ..info.clone() };
        assert_eq!((tile(&long), Profile::of_one_shape(&long).len()), (None, 1));
        let fixed = ModelInfo { fixed_size: Some((64, 64)), batch: false, ..info };
        assert_eq!((tile(&fixed), Profile::of_one_shape(&fixed).len()), (None, 1));
    }

    #[test]
    fn a_model_without_batches_has_no_profile_for_regions() {
        let info = ModelInfo { batch: false, ..info() };
        assert_eq!(Profile::all(&info, GIGABYTE).len(), 1);
    }
}

//! The shapes that a TensorRT engine is built for.

use crate::model::ModelInfo;

/// Bounds of a batch: pictures, and the sides of each, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    /// The most pictures at once; one alone always goes.
    pub most: u32,
    /// Width and height: least, what it is tuned for, most.
    pub sides: [(u32, u32); 3],
    /// Pictures that it is tuned for.
    pub tuned: u32,
}

/// Pictures of one batch of regions.
pub(super) const MOST_REGIONS: u32 = 8;
/// The shortest side, where the model has no wish: frames hardly come smaller.
const LEAST: u32 = 8;
/// The longest side of a region of a batch.
const REGION: u32 = 256;
/// The longest side of a picture that comes alone: larger frames come in regions.
const FRAME: u32 = 1920;

impl Profile {
    /// One for frames, which come alone, and one for regions, which come in batches, so that
    /// neither pays for the other's memory. A model of one size has one.
    ///
    /// `bytes`: device memory that running may take; samples are of 2 bytes.
    pub fn all(info: &ModelInfo, bytes: u64) -> Vec<Self> {
        let batch = if info.batch { MOST_REGIONS } else { 1 };
        if let Some(size) = info.fixed_size {
            return vec![Self { most: batch, sides: [size; 3], tuned: batch.div_ceil(2) }];
        }
        let align = info.align.max(1);
        let up = |side: u32| side.max(info.min_side).max(1).next_multiple_of(align);
        let pixels = bytes as f64 / (info.peak_floats_per_pixel.max(1.0) * 2.0);
        let least = up(LEAST);
        let room = (pixels.sqrt() as u32 / align * align).max(least);
        let most = up(FRAME).min(room);
        let square = |side: u32| (side, side);
        let tuned = (up(1280).min(most), up(720).min(most));
        let frames = Self { most: 1, sides: [square(least), tuned, square(most)], tuned: 1 };
        let region = up(REGION).min(room);
        let fitting = (pixels / f64::from(region).powi(2)) as u32;
        let batch = batch.min(fitting.max(1));
        let sides = [square(least), square(up(128).min(region)), square(region)];
        let regions = Self { most: batch, sides, tuned: batch.div_ceil(2) };
        if batch > 1 { vec![regions, frames] } else { vec![frames] }
    }

    /// Whether pictures of this size are within the bounds.
    pub fn admits(&self, width: u32, height: u32) -> bool {
        let [least, _, most] = self.sides;
        (least.0..=most.0).contains(&width) && (least.1..=most.1).contains(&height)
    }

    /// What the provider is told: least, tuned and most, of the input of this name.
    pub fn texts(&self, input: &str, channels: usize) -> [String; 3] {
        let [least, tuned, most] = self.sides;
        let text =
            |count: u32, (width, height)| format!("{input}:{count}x{channels}x{height}x{width}");
        [text(1, least), text(self.tuned, tuned), text(self.most, most)]
    }
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
    fn frames_come_alone_and_regions_in_batches() {
        let [regions, frames] = Profile::all(&info(), 4 * GIGABYTE)[..] else { panic!() };
        assert_eq!((frames.most, frames.sides), (1, [(8, 8), (1280, 720), (1920, 1920)]));
        assert_eq!((regions.most, regions.tuned, regions.sides[2]), (8, 4, (256, 256)));
        assert!(frames.admits(1920, 1080) && frames.admits(1080, 1920));
        assert!(!regions.admits(257, 32) && !regions.admits(7, 64));
        let expected = ["x:1x3x8x8", "x:1x3x720x1280", "x:1x3x1920x1920"];
        assert_eq!(frames.texts("x", 3), expected);
    }

    #[test]
    fn bounds_are_within_the_memory_and_keep_the_models_rules() {
        for (peak, align, megabytes) in
            [(1200.0, 1, 2048), (1200.0, 4, 300), (150.0, 2, 64), (9000.0, 8, 1)]
        {
            let info = ModelInfo { align, min_side: 5, peak_floats_per_pixel: peak, ..info() };
            for profile in Profile::all(&info, megabytes << 20) {
                let [least, tuned, most] = profile.sides;
                for (low, high) in [(least, tuned), (tuned, most)] {
                    assert!(low.0 <= high.0 && low.1 <= high.1, "{profile:?}");
                }
                for side in [least.0, tuned.0, tuned.1, most.0, most.1] {
                    assert_eq!(side % align, 0, "{profile:?}");
                }
                let pixels = f64::from(profile.most) * f64::from(most.0) * f64::from(most.1);
                let fits = pixels * peak * 2.0 <= (megabytes << 20) as f64;
                assert!(fits || most == least, "{profile:?}");
            }
        }
    }

    #[test]
    fn a_model_of_one_size_has_one_profile() {
        let info = ModelInfo { fixed_size: Some((320, 240)), batch: false, ..info() };
        let [profile] = Profile::all(&info, GIGABYTE)[..] else { panic!() };
        assert!(profile.admits(320, 240) && !profile.admits(240, 320) && profile.most == 1);
    }

    #[test]
    fn a_model_without_a_batch_has_no_profile_for_regions() {
        let info = ModelInfo { batch: false, ..info() };
        assert_eq!(Profile::all(&info, GIGABYTE).len(), 1);
    }
}

//! Film grain, and blending of two images.

use std::sync::LazyLock;

use super::Image;
use super::split_mix::mix;

/// Side of the noise tile that all grain is taken from.
const TILE: usize = 256;
/// Side of the blocks that take their grain from one place of the tile.
const BLOCK: usize = 32;
/// Standard deviation of the grain at mid-grey and strength 1.
const SIGMA: f32 = 8.0 / 255.0;

/// Filter along both axes that correlates the noise of neighbouring pixels.
const SMOOTHING: [f32; 3] = [0.25, 1.0, 0.25];

/// Noise with mean 0 and standard deviation 1, correlated between neighbours.
static NOISE: LazyLock<Vec<f32>> = LazyLock::new(noise);

fn noise() -> Vec<f32> {
    // The sum of the eight bytes of a hash is close enough to a normal distribution.
    let white: Vec<f32> = (0..TILE * TILE)
        .map(|i| mix(i as u64).to_le_bytes().into_iter().map(f32::from).sum())
        .collect();
    let at = |x: usize, y: usize| white.get(y % TILE * TILE + x % TILE).copied().unwrap_or(0.0);
    let mut tile: Vec<f32> = (0..TILE * TILE)
        .map(|i| {
            let (x, y) = (i % TILE + TILE - 1, i / TILE + TILE - 1);
            let taps = || SMOOTHING.into_iter().enumerate();
            let around =
                taps().flat_map(|(dy, b)| taps().map(move |(dx, a)| (a * b, x + dx, y + dy)));
            around.map(|(weight, x, y)| weight * at(x, y)).sum()
        })
        .collect();
    let count = tile.len() as f32;
    let mean = tile.iter().sum::<f32>() / count;
    let variance = tile.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
    let gain = 1.0 / variance.sqrt();
    tile.iter_mut().for_each(|value| *value = (*value - mean) * gain);
    tile
}

/// The film grain of one frame: strongest in the midtones, absent in black and white. It depends
/// only on the strength, the frame's number and a pixel's absolute position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grain {
    /// Standard deviation at mid-grey.
    sigma: f32,
    seed: u64,
}

impl Grain {
    /// The grain of frame `number`. `strength` is 0..1; at 1, the standard deviation at mid-grey is
    /// 8/255.
    #[must_use]
    pub fn new(strength: f32, number: u64) -> Self {
        Self { sigma: strength * SIGMA, seed: mix(number) }
    }

    /// The standard deviation at mid-grey, and the seed derived from the frame's number.
    pub(crate) const fn sigma_and_seed(&self) -> (f32, u64) {
        (self.sigma, self.seed)
    }

    /// The noise tile that all grain is taken from: 256 rows of 256 samples.
    pub(crate) fn noise() -> &'static [f32] {
        &NOISE
    }

    /// Whether the strength is 0, so that the grain changes nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.sigma == 0.0
    }

    /// Adds the grain to an image of Y′ or R′G′B′ whose top left pixel lies at (`x`, `y`) of the
    /// whole frame.
    pub fn apply(&self, image: &mut Image, x: u32, y: u32) {
        if self.is_zero() {
            return;
        }
        let mut grain = vec![0.0; image.width()];
        for row in 0..image.height() {
            self.row(x as usize, y as usize + row, &mut grain);
            if image.channels() < 3 {
                for channel in 0..image.channels() {
                    for (value, grain) in image.row_mut(channel, row).iter_mut().zip(&grain) {
                        *value += grain * weight(*value);
                    }
                }
                continue;
            }
            let [red, green, blue] = image.rows_mut(row);
            for (((r, g), b), grain) in red.iter_mut().zip(green).zip(blue).zip(&grain) {
                // The luma of BT.601 is accurate enough for a weight, whatever the matrix.
                let grain = grain * weight(0.299 * *r + 0.587 * *g + 0.114 * *b);
                *r += grain;
                *g += grain;
                *b += grain;
            }
        }
    }

    /// Writes the unweighted grain of the pixels from (`x`, `y`) on to `out`.
    fn row(&self, x: usize, y: usize, out: &mut [f32]) {
        let (block_y, y) = (y / BLOCK, y % BLOCK);
        let (mut x, mut rest) = (x, out);
        while !rest.is_empty() {
            let here = (BLOCK - x % BLOCK).min(rest.len());
            let (now, later) = rest.split_at_mut(here);
            let block = ((block_y as u64) << 32) | (x / BLOCK) as u64;
            let place = mix(self.seed ^ mix(block));
            let left = (place % (TILE - BLOCK) as u64) as usize + x % BLOCK;
            let top = ((place >> 32) % (TILE - BLOCK) as u64) as usize + y;
            let noise = NOISE.get(top * TILE + left..).unwrap_or_default();
            for (out, noise) in now.iter_mut().zip(noise) {
                *out = noise * self.sigma;
            }
            x += here;
            rest = later;
        }
    }
}

/// The weight of the grain at this luma: 0 at black and white, 1 at mid-grey.
#[inline(always)]
fn weight(luma: f32) -> f32 {
    let luma = luma.clamp(0.0, 1.0);
    4.0 * luma * (1.0 - luma)
}

/// Blends a row of the model's output with the Lanczos enlargement, in place. `share` is 0..1: 1
/// keeps `model`, 0 gives `lanczos`.
pub fn blend_row(lanczos: &[f32], model: &mut [f32], share: f32) {
    for (model, lanczos) in model.iter_mut().zip(lanczos) {
        // `lanczos + share · (model − lanczos)` would not be exact at 1.
        *model = (1.0 - share) * lanczos + share * *model;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{PlacedImage, Rect};

    fn grey(channels: usize, width: usize, height: usize, value: f32) -> Image {
        let mut image = Image::new(channels, width, height);
        image.data_mut().fill(value);
        image
    }

    #[test]
    fn grain_at_mid_grey_has_mean_zero_and_the_documented_deviation() {
        let mut image = grey(1, 640, 360, 0.5);
        Grain::new(1.0, 7).apply(&mut image, 0, 0);
        let count = image.data().len() as f64;
        let grain = || image.data().iter().map(|value| f64::from(*value) - 0.5);
        let mean = grain().sum::<f64>() / count;
        let deviation = (grain().map(|it| it * it).sum::<f64>() / count).sqrt() * 255.0;
        assert!(mean.abs() * 255.0 < 0.1, "{mean}");
        assert!((deviation - 8.0).abs() < 0.3, "{deviation}");
        let neighbours = image.data().windows(2).map(|it| (it[0] - 0.5) * (it[1] - 0.5));
        let correlation = neighbours.map(f64::from).sum::<f64>() / count * 255.0 * 255.0 / 64.0;
        assert!((0.2..0.6).contains(&correlation), "{correlation}");
    }

    #[test]
    fn black_and_white_have_no_grain() {
        for value in [0.0, 1.0, -0.1, 1.2] {
            let mut image = grey(3, 40, 40, value);
            Grain::new(1.0, 1).apply(&mut image, 0, 0);
            assert!(image.data().iter().all(|it| *it == value));
        }
    }

    #[test]
    fn a_region_has_the_same_grain_as_in_the_whole_image() {
        let mut whole = grey(3, 100, 90, 0.4);
        Grain::new(0.7, 3).apply(&mut whole, 0, 0);
        let rect = Rect::new(13, 31, 70, 40);
        let mut part = grey(3, 70, 40, 0.4);
        Grain::new(0.7, 3).apply(&mut part, rect.x, rect.y);
        let mut cut = Image::new(3, 70, 40);
        cut.copy_from(PlacedImage::whole(&whole).image, rect, 0, 0);
        assert_eq!(part, cut);
    }

    #[test]
    fn grain_differs_between_frames_and_is_reproducible() {
        let of = |number| {
            let mut image = grey(1, 64, 64, 0.5);
            Grain::new(1.0, number).apply(&mut image, 0, 0);
            image
        };
        assert_eq!(of(5), of(5));
        assert_ne!(of(5), of(6));
    }

    #[test]
    fn blending_mixes_lanczos_and_model_by_share() {
        for (share, expected) in [(0.0, 0.25), (0.5, 0.5), (1.0, 0.75)] {
            let mut model = [0.75];
            blend_row(&[0.25], &mut model, share);
            assert_eq!(model, [expected]);
        }
    }
}

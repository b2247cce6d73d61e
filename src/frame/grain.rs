//! Film grain, and blending of two images.

use std::sync::LazyLock;

use super::{Image, Transfer, split_mix::mix};

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

/// How the strength of grain depends on luma.
///
/// For HDR, the grain has the same deviation in light as in an SDR picture whose white is 203 nits
/// (ITU-R BT.2408) on a display of gamma 2.4: at the luma of L nits it is 4·v·(1 − v) · dL/dv ÷ dL/dluma
/// with v = (L ÷ 203)^(1/2.4), and 0 above 203 nits. The factors are a fit to that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Curve {
    /// 1 ÷ the luma from which on there is no grain.
    pub inverse_white: f32,
    /// Of a polynomial, the lowest power first.
    pub factors: [f32; 4],
}

impl Curve {
    const fn of(transfer: Transfer) -> Self {
        match transfer {
            Transfer::Gamma => Self { inverse_white: 1.0, factors: [4.0, 0.0, 0.0, 0.0] },
            Transfer::Pq => {
                Self { inverse_white: 1.0 / 0.58069, factors: [2.7817, -2.8886, 4.2348, -1.8754] }
            }
            Transfer::Hlg => {
                Self { inverse_white: 1.0 / 0.75, factors: [3.4562, -4.5431, 15.5864, -12.3143] }
            }
        }
    }

    /// The weight of the grain at this luma: 0 at black and white.
    #[inline(always)]
    fn weight(&self, luma: f32) -> f32 {
        let x = (luma * self.inverse_white).clamp(0.0, 1.0);
        let [a, b, c, d] = self.factors;
        x * (1.0 - x) * (a + x * (b + x * (c + x * d)))
    }
}

/// The film grain of one frame: strongest in the midtones, absent in black and white. It depends
/// only on the strength, the frame's number, the transfer function and a pixel's absolute position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grain {
    /// Standard deviation at mid-grey of SDR.
    sigma: f32,
    seed: u64,
    curve: Curve,
}

impl Grain {
    /// The grain of frame `number`. `strength` is 0..1; at 1, the standard deviation at mid-grey of SDR
    /// is 8/255. HDR gets the same grain in light.
    #[must_use]
    pub fn new(strength: f32, number: u64, transfer: Transfer) -> Self {
        Self { sigma: strength * SIGMA, seed: mix(number), curve: Curve::of(transfer) }
    }

    /// The standard deviation at mid-grey of SDR, the seed derived from the frame's number, and the
    /// dependence on luma.
    pub(crate) const fn parts(&self) -> (f32, u64, Curve) {
        (self.sigma, self.seed, self.curve)
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
                        *value += grain * self.curve.weight(*value);
                    }
                }
                continue;
            }
            let [red, green, blue] = image.rows_mut(row);
            for (((r, g), b), grain) in red.iter_mut().zip(green).zip(blue).zip(&grain) {
                // The luma of BT.601 is accurate enough for a weight, whatever the matrix.
                let luma = 0.299 * *r + 0.587 * *g + 0.114 * *b;
                let grain = grain * self.curve.weight(luma);
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
        Grain::new(1.0, 7, Transfer::Gamma).apply(&mut image, 0, 0);
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
            Grain::new(1.0, 1, Transfer::Gamma).apply(&mut image, 0, 0);
            assert!(image.data().iter().all(|it| *it == value));
        }
    }

    /// Light in nits of a luma.
    fn nits(transfer: Transfer, luma: f64) -> f64 {
        match transfer {
            Transfer::Gamma => 203.0 * luma.powf(2.4),
            // SMPTE ST 2084.
            Transfer::Pq => {
                let root = luma.powf(32.0 / 2523.0);
                let (a, b) = (root - 0.8359375, 18.8515625 - 18.6875 * root);
                10_000.0 * (a.max(0.0) / b).powf(16384.0 / 2610.0)
            }
            // ITU-R BT.2100, with a system gamma of 1.2.
            Transfer::Hlg => {
                let a = 0.178_832_77_f64;
                let (b, c) = (1.0 - 4.0 * a, 0.5 - a * (4.0 * a).ln());
                let scene = match luma <= 0.5 {
                    true => luma * luma / 3.0,
                    false => (((luma - c) / a).exp() + b) / 12.0,
                };
                1000.0 * scene.powf(1.2)
            }
        }
    }

    #[test]
    fn hdr_has_the_grain_of_sdr_in_light() {
        for (transfer, tolerance) in [(Transfer::Pq, 0.05), (Transfer::Hlg, 0.15)] {
            for light in [0.5, 2.0, 10.0, 40.0, 90.0, 150.0] {
                let find = |transfer| {
                    let (mut low, mut high) = (0.0, 1.0);
                    for _ in 0..60 {
                        let middle = (low + high) / 2.0;
                        if nits(transfer, middle) < light { low = middle } else { high = middle }
                    }
                    low
                };
                let deviation = |transfer| {
                    let luma: f64 = find(transfer);
                    let slope = (nits(transfer, luma + 1e-5) - nits(transfer, luma - 1e-5)) / 2e-5;
                    slope * f64::from(Curve::of(transfer).weight(luma as f32))
                };
                let ratio = deviation(transfer) / deviation(Transfer::Gamma);
                assert!((ratio - 1.0).abs() < tolerance, "{transfer:?} {light}: {ratio}");
            }
            let white = if transfer == Transfer::Pq { 0.59 } else { 0.76 };
            assert_eq!(Curve::of(transfer).weight(white), 0.0);
        }
    }

    #[test]
    fn a_region_has_the_same_grain_as_in_the_whole_image() {
        let mut whole = grey(3, 100, 90, 0.4);
        Grain::new(0.7, 3, Transfer::Gamma).apply(&mut whole, 0, 0);
        let rect = Rect::new(13, 31, 70, 40);
        let mut part = grey(3, 70, 40, 0.4);
        Grain::new(0.7, 3, Transfer::Gamma).apply(&mut part, rect.x, rect.y);
        let mut cut = Image::new(3, 70, 40);
        cut.copy_from(PlacedImage::whole(&whole).image, rect, 0, 0);
        assert_eq!(part, cut);
    }

    #[test]
    fn grain_differs_between_frames_and_is_reproducible() {
        let of = |number| {
            let mut image = grey(1, 64, 64, 0.5);
            Grain::new(1.0, number, Transfer::Gamma).apply(&mut image, 0, 0);
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

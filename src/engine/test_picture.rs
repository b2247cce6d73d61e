//! Test pictures for models, the same on every machine.

use crate::{
    frame::{Image, SplitMix64},
    model::ModelInfo,
};

/// Width and height of a picture that the model accepts, with sides near `side` pixels.
pub(crate) fn probe_size(info: &ModelInfo, side: u32) -> (usize, usize) {
    let side = side.max(info.min_side).max(1).next_multiple_of(info.align.max(1));
    let (width, height) = info.fixed_size.unwrap_or((side, side));
    (width as usize, height as usize)
}

/// White noise: no filter can hide a difference in it.
pub(crate) fn noise(channels: usize, width: usize, height: usize, seed: u64) -> Image {
    let mut random = SplitMix64(seed);
    let mut image = Image::new(channels, width, height);
    image.data_mut().iter_mut().for_each(|sample| *sample = random.unit());
    image
}

/// A synthetic scene: soft shading, sharp outlines at all angles, fine texture, and a little sensor
/// noise, in 8-bit steps.
pub(crate) fn scene(channels: usize, width: usize, height: usize, seed: u64) -> Image {
    let mut random = SplitMix64(seed);
    let extent = width.max(height).max(1) as f32;
    let discs: Vec<[f32; 7]> = (0..24)
        .map(|_| {
            let (x, y) = (random.unit() * width as f32, random.unit() * height as f32);
            let radius = extent * (0.02 + 0.18 * random.unit() * random.unit());
            [x, y, radius, random.unit(), random.unit(), random.unit(), random.unit()]
        })
        .collect();
    let tints: Vec<f32> = (0..channels).map(|_| random.unit()).collect();
    let mut image = Image::new(channels, width, height);
    for (channel, tint) in tints.iter().enumerate() {
        for y in 0..height {
            for (x, sample) in image.row_mut(channel, y).iter_mut().enumerate() {
                let (x, y) = (x as f32, y as f32);
                let mut value = 0.25 + 0.3 * (x + tint * y) / (2.0 * extent);
                for disc in &discs {
                    let [cx, cy, radius, frequency, angle, ..] = *disc;
                    let shade = disc.get(4 + channel).copied().unwrap_or(angle);
                    if (x - cx).hypot(y - cy) < radius {
                        let (sin, cos) = (angle * std::f32::consts::TAU).sin_cos();
                        let wave = ((x * cos + y * sin) * frequency * 1.5).sin();
                        value = 0.1 + 0.7 * shade + 0.1 * wave;
                    }
                }
                value += 0.02 * (random.unit() - 0.5);
                *sample = (value.clamp(0.0, 1.0) * 255.0).round() / 255.0;
            }
        }
    }
    image
}

/// The difference of two pictures of the same shape, both clamped to 0..1: the PSNR in decibels
/// (infinite when they are equal, NaN when a sample is NaN) and the largest difference of a sample.
#[must_use]
pub fn distance(a: &Image, b: &Image) -> (f64, f32) {
    let (mut squares, mut largest) = (0.0, 0.0f32);
    for (a, b) in a.data().iter().zip(b.data()) {
        let difference = (a.clamp(0.0, 1.0) - b.clamp(0.0, 1.0)).abs();
        squares += f64::from(difference).powi(2);
        largest = largest.max(difference);
    }
    (-10.0 * (squares / a.data().len().max(1) as f64).log10(), largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_reproducible_and_has_shading_and_edges() {
        let picture = scene(3, 64, 48, 1);
        assert_eq!(picture, scene(3, 64, 48, 1));
        assert!(picture.data().iter().all(|sample| (0.0..=1.0).contains(sample)));
        let mean = picture.data().iter().sum::<f32>() / picture.data().len() as f32;
        let steps = picture.row(0, 24).windows(2).map(|pair| (pair[0] - pair[1]).abs());
        assert!((0.2..0.8).contains(&mean), "{mean}");
        assert!(steps.fold(0.0, f32::max) > 0.1);
    }

    #[test]
    fn distance_is_in_decibels_and_clamped() {
        let (mut a, mut b) = (Image::new(1, 10, 10), Image::new(1, 10, 10));
        assert_eq!(distance(&a, &b), (f64::INFINITY, 0.0));
        a.data_mut().fill(1.5);
        b.data_mut().fill(0.9);
        let (psnr, largest) = distance(&a, &b);
        assert!((psnr - 20.0).abs() < 1e-3 && (largest - 0.1).abs() < 1e-6);
    }
}

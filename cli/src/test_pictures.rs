//! Generated pictures, the same on every machine.

use gstupscale::frame::Image;

/// White noise from 0 to 1.
pub fn noise(channels: usize, width: usize, height: usize, seed: u64) -> Image {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut image = Image::new(channels, width, height);
    image.data_mut().iter_mut().for_each(|sample| *sample = random.f32());
    image
}

/// A still background with gradients, hard edges and texture, and a ball that moves with the
/// frame `number`.
pub fn scene(channels: usize, width: usize, height: usize, number: u32) -> Image {
    picture(channels, width, height, |x, y, channel| {
        let ball = (width as f32 * 0.2 + 5.0 * number as f32 % (width as f32 * 0.7).max(1.0), 0.5);
        let (dx, dy) = (x - ball.0, y - height as f32 * ball.1);
        let distance = dx.hypot(dy) / (height as f32 * 0.12).max(2.0);
        if distance < 1.0 {
            0.9 - 0.2 * channel - 0.5 * distance
        } else {
            background(x, y, channel)
        }
    })
}

/// The background of [`scene`], moved by one pixel per frame `number`.
pub fn pan(channels: usize, width: usize, height: usize, number: u32) -> Image {
    picture(channels, width, height, |x, y, channel| background(x + number as f32, y, channel))
}

fn background(x: f32, y: f32, channel: f32) -> f32 {
    let shade = 0.5 + 0.2 * (x * 0.031 + channel).sin() + 0.15 * (y * 0.043).cos();
    let edge = if ((x * 0.7 + y * 0.4) / 19.0) as i32 % 3 == 0 { 0.25 } else { 0.0 };
    let texture = 0.05 * ((x * 1.9).sin() * (y * 1.3 + x).cos());
    shade + edge + texture
}

fn picture(
    channels: usize,
    width: usize,
    height: usize,
    sample: impl Fn(f32, f32, f32) -> f32,
) -> Image {
    let mut image = Image::new(channels, width, height);
    for channel in 0..channels {
        for y in 0..height {
            for (x, to) in image.row_mut(channel, y).iter_mut().enumerate() {
                let value = sample(x as f32, y as f32, channel as f32).clamp(0.0, 1.0);
                *to = (value * 255.0).round() / 255.0;
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_of_a_scene_changes_and_most_of_a_pan() {
        let changed = |picture: fn(usize, usize, usize, u32) -> Image| {
            let (a, b) = (picture(1, 96, 64, 3), picture(1, 96, 64, 4));
            a.data().iter().zip(b.data()).filter(|(a, b)| a != b).count() as f64 / (96.0 * 64.0)
        };
        assert!((0.005..0.2).contains(&changed(scene)), "{}", changed(scene));
        assert!(changed(pan) > 0.7, "{}", changed(pan));
    }
}

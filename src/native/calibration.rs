//! The ranges of fixed point, measured in fp32 on fixed test pictures.

use std::sync::{Mutex, PoisonError};

use super::{
    Error,
    engine::Engine,
    kernels::{Lanes, Layout, POSITIONS},
    packed::Packed,
    plan::Root,
};
use crate::frame::Image;

/// A model that loses more than this is refused.
const LEAST_DB: f64 = 55.0;
const MOST_DIFFERENCE: u32 = 3;

/// How much larger than on the test pictures transformed samples may be: the first with which
/// the model is near enough. Windows that exceed it are computed in fp32.
const HEADROOM: [f32; 4] = [8.0, 4.0, 3.0, 2.0];

/// Sides of the test pictures, before they are made multiples of the model's alignment.
const SIDE: usize = 48;

/// Makes an engine in fp32 one in fixed point.
///
/// # Errors
/// [`Error::Precision`] where its pictures are then too far from those in fp32.
pub(crate) fn calibrate(engine: &mut Engine) -> Result<(), Error> {
    let pictures = pictures(engine);
    let ranges: Vec<Mutex<Vec<Lanes>>> = engine
        .plan
        .layers
        .iter()
        .map(|layer| match &layer.root {
            Root::Convolution(convolution) => {
                Mutex::new(vec![Lanes::default(); POSITIONS * convolution.source.len()])
            }
            _ => Mutex::default(),
        })
        .collect();
    let observe = |layer: usize, transformed: &[Lanes], layout: Layout, tiles: usize| {
        let Some(ranges) = ranges.get(layer) else { return };
        let mut ranges = ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let positions = transformed.chunks(layout.position);
        for (ranges, position) in ranges.chunks_exact_mut(layout.tile).zip(positions) {
            for tile in position.chunks_exact(layout.tile).take(tiles) {
                for (range, value) in ranges.iter_mut().zip(tile) {
                    for (range, value) in range.0.iter_mut().zip(value.0) {
                        *range = range.max(value.abs());
                    }
                }
            }
        }
    };
    let mut expected = Vec::with_capacity(pictures.len());
    for picture in &pictures {
        let mut output = Image::default();
        engine.observed_run(picture, &mut output, Some(&observe))?;
        expected.push(output);
    }
    let ranges: Vec<Vec<Lanes>> = ranges
        .into_iter()
        .map(|ranges| ranges.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect();
    let mut result = Ok(());
    for headroom in HEADROOM {
        let layers = engine.plan.layers.iter().zip(&mut engine.packed);
        for ((layer, packed), ranges) in layers.zip(&ranges) {
            if let (Root::Convolution(convolution), Some(packed)) = (&layer.root, packed) {
                packed.fix(convolution, ranges, headroom);
            }
        }
        result = check(engine, &pictures, &expected)?;
        if result.is_ok() {
            break;
        }
    }
    engine.packed.iter_mut().flatten().for_each(Packed::free_floats);
    result
}

/// Whether each picture is near that in fp32.
///
/// # Errors
/// As [`Engine::run`].
fn check(
    engine: &mut Engine,
    pictures: &[Image],
    expected: &[Image],
) -> Result<Result<(), Error>, Error> {
    let mut output = Image::default();
    for (picture, expected) in pictures.iter().zip(expected) {
        engine.run(picture, &mut output)?;
        let code = |sample: f32| (sample.clamp(0.0, 1.0) * 255.0).round() as i32;
        let (mut squares, mut worst) = (0.0, 0);
        for (&a, &b) in output.data().iter().zip(expected.data()) {
            worst = code(a).abs_diff(code(b)).max(worst);
            squares += f64::from(a.clamp(0.0, 1.0) - b.clamp(0.0, 1.0)).powi(2);
        }
        let db = -10.0 * (squares / f64::max(output.data().len() as f64, 1.0)).log10();
        // A NaN is not near.
        let near = db >= LEAST_DB && worst <= MOST_DIFFERENCE;
        if !near {
            return Ok(Err(Error::Precision { db, worst }));
        }
    }
    Ok(Ok(()))
}

/// Pictures that hold what footage does, and more: edges of every direction and contrast, fine
/// stripes, soft shading, film grain and noise.
pub(super) fn pictures(engine: &Engine) -> Vec<Image> {
    let info = engine.info();
    let align = info.align.max(1) as usize;
    let side = SIDE.max(info.min_side as usize).next_multiple_of(align);
    let mut noise = Noise(1);
    let kinds = (0..KINDS).flat_map(|kind| [(kind, 0), (kind, 1)]);
    kinds.map(|(kind, turn)| picture(info.channels.count(), side, kind, turn, &mut noise)).collect()
}

/// Kinds of test pictures; there are two of each.
const KINDS: usize = 8;

/// Numbers from 0 to 1 in a fixed order.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as f32 / 16_777_216.0
    }
}

/// A test picture. Only exact arithmetic, so that every machine makes the same.
fn picture(channels: usize, side: usize, kind: usize, turn: usize, noise: &mut Noise) -> Image {
    let mut image = Image::new(channels, side, side);
    for channel in 0..channels {
        let shift = channel * (3 - turn);
        for y in 0..side {
            let across = y as f32 / side as f32;
            for (x, sample) in image.row_mut(channel, y).iter_mut().enumerate() {
                let along = x as f32 / side as f32;
                let shade = (along + across) / 2.0;
                let grain = noise.next() - 0.5;
                *sample = match kind {
                    // Shading with grain.
                    0 => shade + grain * (0.05 + 0.1 * turn as f32),
                    // Noise over half of the range, and over all of it.
                    1 => 0.5 + grain * (0.5 + 0.5 * turn as f32),
                    // Squares of growing size, black and white.
                    2 => ((x / (1 + x / 12) + y / (1 + y / 12) + shift) % 2) as f32,
                    // Slanted edges of falling contrast.
                    3 => {
                        let edge = ((x + (1 + turn) * y + shift) / 9) % 2;
                        0.5 + (edge as f32 - 0.5) * (1.0 - across)
                    }
                    // Stripes, a pixel wide in the middle, on shading.
                    4 => {
                        let at = if turn == 0 { x } else { y };
                        let stripe = (at * at / 24 + shift) % 2;
                        shade * 0.6 + stripe as f32 * 0.4 * across
                    }
                    // Squares with noise that grows to the right.
                    5 => {
                        let edge = ((x / 5 + y / 7 + shift) % 2) as f32;
                        (0.1 + 0.7 * edge) * (1.0 - along / 2.0) + (grain + 0.5) * along / 2.0
                    }
                    // Dots and thin lines, dark on bright and the reverse.
                    6 => {
                        let mark = (x * 7 + y * 13 + shift) % 29 < 2 || (x + y) % 17 == 0;
                        if mark == (turn == 0) { 0.03 } else { 0.95 - 0.1 * along }
                    }
                    // Circles of colour with grain.
                    _ => {
                        let (dx, dy) = (x as f32 - side as f32 / 2.0, y as f32 - side as f32 / 2.0);
                        let ring =
                            (dx * dx + dy * dy) / (side as f32 * (1 + turn + channel) as f32);
                        (ring - ring.floor() - 0.5).abs() * 1.8 + grain * 0.1
                    }
                }
                .clamp(0.0, 1.0);
            }
        }
    }
    image
}

//! Whether an engine gives a region of a picture the same samples as the whole picture.
//!
//! In exact arithmetic a region with the model's receptive field around it is equal to the same
//! part of the whole picture. Runtimes choose algorithms by shape, however, and some of them round
//! differently, so this is measured.

use std::path::Path;

use crate::{
    engine::{
        Error, Infer, measured,
        test_picture::{noise, scene},
    },
    frame::{Image, Rect, SplitMix64},
};

/// Multiply-adds that the measurement may take: some seconds on a small machine.
const MAX_MACS: f64 = 4e11;
const MAX_TRIALS: u32 = 16;
const MIN_TRIALS: u32 = 4;

/// Measures whether regions with `halo` input pixels around them equal the whole picture, to the
/// bit, at random places. At the picture's border the halo ends.
///
/// The result is stored in `cache_dir` under the engine's identity, so only the first call takes
/// time. `false` for a model so large that the measurement would take minutes.
///
/// # Errors
/// The errors of the engine's runs.
pub fn regions_are_exact(
    engine: &mut dyn Infer,
    halo: u32,
    cache_dir: &Path,
) -> Result<bool, Error> {
    let folder = cache_dir.join("regions");
    let key = format!("halo {halo}: {}", engine.identity());
    let store = !engine.identity().is_empty();
    if let Some(exact) = measured::read(&folder, &key).filter(|_| store) {
        return Ok(exact);
    }
    let exact = measure(engine, halo)?;
    if store {
        measured::write(&folder, &key, exact);
    }
    Ok(exact)
}

fn measure(engine: &mut dyn Infer, halo: u32) -> Result<bool, Error> {
    let info = engine.info();
    if info.fixed_size.is_some() {
        return Ok(false);
    }
    let align = info.align.max(1);
    // Fits a halo on both sides, and regions of several shapes between them.
    let side = (2 * halo + 72).max(info.min_side).next_multiple_of(align);
    let sizes = [(side + 3 * align, side), (side, side + 7 * align)];
    let macs = info.macs_per_pixel.max(1.0) * f64::from(side).powi(2);
    // Each trial takes about as long as one whole picture.
    let affordable = (MAX_MACS / macs) as u32;
    if affordable < MIN_TRIALS + sizes.len() as u32 {
        return Ok(false);
    }
    let trials = (affordable - sizes.len() as u32).min(MAX_TRIALS) / sizes.len() as u32;
    for ((width, height), seed) in sizes.into_iter().zip(1..) {
        let channels = engine.info().channels.count();
        let (w, h) = (width as usize, height as usize);
        let picture =
            if seed == 1 { noise(channels, w, h, seed) } else { scene(channels, w, h, seed) };
        let mut random = SplitMix64(seed);
        let mut whole = Image::default();
        engine.run(&picture, &mut whole)?;
        for _ in 0..trials {
            let region = random_rect(&mut random, width, height);
            if !region_is_exact(engine, &picture, &whole, region, halo)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A rectangle within a picture of this size. About half of them touch a border.
fn random_rect(random: &mut SplitMix64, width: u32, height: u32) -> Rect {
    let w = 1 + random.below(width.min(48));
    let h = 1 + random.below(height.min(48));
    let (max_x, max_y) = (width - w, height - h);
    let start = |random: &mut SplitMix64, max: u32| match random.below(4) {
        0 => 0,
        1 => max,
        _ => random.below(max + 1),
    };
    Rect::new(start(random, max_x), start(random, max_y), w, h)
}

/// Runs `region` with its halo and compares it with `whole`, the enlarged `picture`.
fn region_is_exact(
    engine: &mut dyn Infer,
    picture: &Image,
    whole: &Image,
    region: Rect,
    halo: u32,
) -> Result<bool, Error> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let (align, factor) = (engine.info().align, engine.info().factor as usize);
    // The shapes that the planner uses.
    let grid = engine.shape_grid().max(1);
    let outer = region.grown_within(halo, width, height);
    let outer = on_grid(outer, grid, engine.info().min_side, width, height)
        .aligned_within(align, width, height);
    let mut input = Image::new(picture.channels(), outer.width as usize, outer.height as usize);
    input.copy_from(picture, outer, 0, 0);
    let mut output = Image::default();
    engine.run(&input, &mut output)?;
    let (from_x, from_y) = ((region.x - outer.x) as usize, (region.y - outer.y) as usize);
    let columns = region.width as usize * factor;
    let bits = |row: &[f32], start: usize| -> Vec<u32> {
        row.iter().skip(start).take(columns).map(|sample| sample.to_bits()).collect()
    };
    Ok((0..picture.channels()).all(|channel| {
        (0..region.height as usize * factor).all(|y| {
            let actual = output.row(channel, from_y * factor + y);
            let expected = whole.row(channel, region.y as usize * factor + y);
            bits(actual, from_x * factor) == bits(expected, region.x as usize * factor)
        })
    }))
}

/// Extends `rect` to the right and down, or else to the left and up, until both sides are at least
/// `min_side` and multiples of `grid`, or the picture ends.
fn on_grid(rect: Rect, grid: u32, min_side: u32, width: u32, height: u32) -> Rect {
    let extend = |start: u32, length: u32, end: u32| {
        let length = length.max(min_side).next_multiple_of(grid).min(end);
        (start.min(end - length), length)
    };
    let (x, width) = extend(rect.x, rect.width, width);
    let (y, height) = extend(rect.y, rect.height, height);
    Rect::new(x, y, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{Interruptible, Monitor, Progress},
        frame::Channels,
        model::ModelInfo,
    };

    /// Doubles the mean of the three samples around each column (zero outside the picture). On
    /// pictures narrower than `inexact_below` it rounds differently.
    struct Blur {
        info: ModelInfo,
        inexact_below: usize,
        runs: u32,
    }

    impl Blur {
        fn new(inexact_below: usize) -> Self {
            let info = ModelInfo {
                channels: Channels::Luma,
                factor: 1,
                halo: Some(1),
                align: 1,
                min_side: 1,
                fixed_size: None,
                batch: false,
                parameters: 3,
                macs_per_pixel: 3.0,
                peak_floats_per_pixel: 2.0,
            };
            Self { info, inexact_below, runs: 0 }
        }
    }

    impl Infer for Blur {
        fn info(&self) -> &ModelInfo {
            &self.info
        }

        fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), Error> {
            self.runs += 1;
            output.resize(1, input.width(), input.height());
            let error = if input.width() < self.inexact_below { f32::EPSILON } else { 0.0 };
            for y in 0..input.height() {
                let row = input.row(0, y);
                let at = |x: usize| row.get(x).copied().unwrap_or(0.0);
                for (x, to) in output.row_mut(0, y).iter_mut().enumerate() {
                    *to = (at(x.wrapping_sub(1)) + at(x) + at(x + 1)) * (2.0 / 3.0 + error);
                }
            }
            Ok(())
        }

        fn identity(&self) -> &str {
            "blur"
        }
    }

    #[test]
    fn regions_with_the_receptive_field_around_them_are_exact() {
        assert!(measure(&mut Blur::new(0), 1).unwrap());
    }

    #[test]
    fn regions_with_too_short_a_halo_are_not_exact() {
        assert!(!measure(&mut Blur::new(0), 0).unwrap());
    }

    #[test]
    fn regions_of_an_engine_that_rounds_by_shape_are_not_exact() {
        assert!(!measure(&mut Blur::new(40), 1).unwrap());
    }

    /// Cancels after the third run.
    struct CancelsAfterThree(std::sync::Mutex<u32>);

    impl Monitor for CancelsAfterThree {
        fn progress(&self, _percent: u32, _what: &str) {}

        fn cancelled(&self) -> bool {
            let mut checks = self.0.lock().unwrap();
            *checks += 1;
            *checks > 3
        }
    }

    #[test]
    fn a_cancelled_measurement_stops_and_stores_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut blur, monitor) = (Blur::new(0), CancelsAfterThree(0.into()));
        let progress = Progress::new(&monitor);
        let mut interruptible = Interruptible { infer: &mut blur, progress: &progress };
        let result = regions_are_exact(&mut interruptible, 1, folder.path());
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!((blur.runs, folder.path().read_dir().unwrap().count()), (3, 0));
    }

    #[test]
    fn the_result_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        assert!(regions_are_exact(&mut Blur::new(0), 1, folder.path()).unwrap());
        let mut again = Blur::new(40);
        assert!(regions_are_exact(&mut again, 1, folder.path()).unwrap());
        assert_eq!(again.runs, 0);
        assert!(!regions_are_exact(&mut again, 0, folder.path()).unwrap());
    }
}

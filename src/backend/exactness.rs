//! Whether an engine gives a region of a picture the same samples as the whole picture.
//!
//! By arithmetic a region with the model's receptive field around it must; but runtimes choose
//! algorithms by shape, and some round differently. Only a trial tells.

use std::path::Path;

use crate::{
    engine::{Error, Infer, measured, test_picture},
    frame::{Image, Rect},
    split_mix::SplitMix64,
};

/// Multiply-adds that a proof may take: some seconds on a small machine.
const BUDGET: f64 = 4e11;
const MOST_TRIALS: u32 = 16;
const FEWEST_TRIALS: u32 = 4;

/// Whether regions with `halo` input pixels around them come out equal to the whole picture, to
/// the bit, in every one of some trials at random places. A region that touches the picture's
/// border ends there.
///
/// The answer is kept in `cache_dir` for this engine's identity, so only the first call takes
/// time. A model so large that a proof would take minutes counts as not exact.
///
/// # Errors
/// What the engine's runs give.
pub fn regions_are_exact(
    engine: &mut dyn Infer,
    halo: u32,
    cache_dir: &Path,
) -> Result<bool, Error> {
    let folder = cache_dir.join("regions");
    let key = format!("halo {halo}: {}", engine.identity());
    let keep = !engine.identity().is_empty();
    if let Some(exact) = measured::read(&folder, &key).filter(|_| keep) {
        return Ok(exact);
    }
    let exact = regions_prove_exact(engine, halo)?;
    if keep {
        measured::write(&folder, &key, exact);
    }
    Ok(exact)
}

fn regions_prove_exact(engine: &mut dyn Infer, halo: u32) -> Result<bool, Error> {
    let info = engine.info();
    if info.fixed_size.is_some() {
        return Ok(false);
    }
    let align = info.align.max(1);
    // Room for a halo on both sides and for regions of several shapes between.
    let side = (2 * halo + 72).max(info.min_side).next_multiple_of(align);
    let sizes = [(side + 3 * align, side), (side, side + 7 * align)];
    let cost = info.macs_per_pixel.max(1.0) * f64::from(side).powi(2);
    // Each trial takes about one whole picture more.
    let affordable = (BUDGET / cost) as u32;
    if affordable < FEWEST_TRIALS + sizes.len() as u32 {
        return Ok(false);
    }
    let trials = (affordable - sizes.len() as u32).min(MOST_TRIALS) / sizes.len() as u32;
    for ((width, height), seed) in sizes.into_iter().zip(1..) {
        let channels = engine.info().channels.count();
        let (w, h) = (width as usize, height as usize);
        let picture = match seed {
            1 => test_picture::noise(channels, w, h, seed),
            _ => test_picture::scene(channels, w, h, seed),
        };
        let mut random = SplitMix64(seed);
        let mut whole = Image::default();
        engine.run(&picture, &mut whole)?;
        for _ in 0..trials {
            let wanted = random_rect(&mut random, width, height);
            if !region_is_exact(engine, &picture, &whole, wanted, halo)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Half of them touch a border.
fn random_rect(random: &mut SplitMix64, width: u32, height: u32) -> Rect {
    let w = 1 + random.below(width.min(48));
    let h = 1 + random.below(height.min(48));
    let (most_x, most_y) = (width - w, height - h);
    let at = |random: &mut SplitMix64, most: u32| match random.below(4) {
        0 => 0,
        1 => most,
        _ => random.below(most + 1),
    };
    Rect::new(at(random, most_x), at(random, most_y), w, h)
}

/// Runs `wanted` with its halo alone and compares with `whole`, the enlarged `picture`.
fn region_is_exact(
    engine: &mut dyn Infer,
    picture: &Image,
    whole: &Image,
    wanted: Rect,
    halo: u32,
) -> Result<bool, Error> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let (align, factor) = (engine.info().align, engine.info().factor as usize);
    // The shapes that a planner would give: on the engine's grid, where the picture has room.
    let grid = engine.shape_grid().max(1);
    let outer = wanted.grown_within(halo, width, height);
    let outer = on_grid(outer, grid, engine.info().min_side, width, height)
        .aligned_within(align, width, height);
    let mut input = Image::new(picture.channels(), outer.width as usize, outer.height as usize);
    input.copy_from(picture, outer, 0, 0);
    let mut output = Image::default();
    engine.run(&input, &mut output)?;
    let (from_x, from_y) = ((wanted.x - outer.x) as usize, (wanted.y - outer.y) as usize);
    let span = wanted.width as usize * factor;
    let bits = |row: &[f32], start: usize| -> Vec<u32> {
        row.iter().skip(start).take(span).map(|sample| sample.to_bits()).collect()
    };
    Ok((0..picture.channels()).all(|channel| {
        (0..wanted.height as usize * factor).all(|y| {
            let region = output.row(channel, from_y * factor + y);
            let expected = whole.row(channel, wanted.y as usize * factor + y);
            bits(region, from_x * factor) == bits(expected, wanted.x as usize * factor)
        })
    }))
}

/// Grown to the right and down, or else to the left and up, until the sides are `least` at least
/// and multiples of `grid`, or the picture ends.
fn on_grid(rect: Rect, grid: u32, least: u32, width: u32, height: u32) -> Rect {
    let stretch = |start: u32, length: u32, end: u32| {
        let length = length.max(least).next_multiple_of(grid).min(end);
        (start.min(end - length), length)
    };
    let (x, width) = stretch(rect.x, rect.width, width);
    let (y, height) = stretch(rect.y, rect.height, height);
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

    /// Doubles the mean of the three samples around each column (zero outside), and is inexact
    /// on pictures narrower than `inexact_below`.
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
        assert!(regions_prove_exact(&mut Blur::new(0), 1).unwrap());
    }

    #[test]
    fn too_short_a_halo_is_found_out() {
        assert!(!regions_prove_exact(&mut Blur::new(0), 0).unwrap());
    }

    #[test]
    fn an_engine_that_rounds_by_shape_is_found_out() {
        assert!(!regions_prove_exact(&mut Blur::new(40), 1).unwrap());
    }

    /// Gives up after the third run.
    struct GivesUp(std::sync::Mutex<u32>);

    impl Monitor for GivesUp {
        fn progress(&self, _percent: u32, _what: &str) {}

        fn cancelled(&self) -> bool {
            let mut asked = self.0.lock().unwrap();
            *asked += 1;
            *asked > 3
        }
    }

    #[test]
    fn a_proof_that_is_given_up_stops_and_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut blur, monitor) = (Blur::new(0), GivesUp(0.into()));
        let progress = Progress::new(&monitor);
        let mut interruptible = Interruptible { infer: &mut blur, progress: &progress };
        let answer = regions_are_exact(&mut interruptible, 1, folder.path());
        assert!(matches!(answer, Err(Error::Cancelled)));
        assert_eq!((blur.runs, folder.path().read_dir().unwrap().count()), (3, 0));
    }

    #[test]
    fn the_answer_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        assert!(regions_are_exact(&mut Blur::new(0), 1, folder.path()).unwrap());
        let mut again = Blur::new(40);
        assert!(regions_are_exact(&mut again, 1, folder.path()).unwrap());
        assert_eq!(again.runs, 0);
        assert!(!regions_are_exact(&mut again, 0, folder.path()).unwrap());
    }
}

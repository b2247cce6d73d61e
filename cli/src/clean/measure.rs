//! How strongly a film is compressed, and how noisy it is, from the luma of some of its frames.
//!
//! `docs/CLEANING.md` describes the measures, and the footage that their limits come from.

use std::{array, fmt};

use serde::{Deserialize, Serialize};

use super::shrink::{SIDE, dct_of_block};
use crate::cadence::evidence::Luma;

/// Frames of a film that are measured, at most, evenly spread.
const FRAMES: u64 = 32;

/// Every `step`-th frame of a film with this many packets is measured.
pub fn step(packets: u64) -> usize {
    usize::try_from(packets.div_ceil(FRAMES)).unwrap_or(usize::MAX).max(1)
}

/// What is wrong with the pictures of a film.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Share of the blocks with faint texture, mean coefficient 1 to 8, that have no fine detail. Coarse
    /// quantization removes that first.
    pub loss: f32,
    /// How much the mean second difference of neighbours depends on the position in an 8×8 grid,
    /// relative to the mean.
    pub grid: f32,
    /// Standard deviation of noise in flat parts of the pictures, in 8-bit steps.
    pub noise: f32,
}

/// From here on a film is compressed, if it has a grid.
const LOSS: f32 = 0.04;
const GRID: f32 = 0.005;
/// From here on a film is noisy, in 8-bit steps.
const NOISE: f32 = 2.0;

impl Quality {
    fn is_compressed(&self) -> bool {
        self.loss >= LOSS && self.grid >= GRID
    }

    fn is_noisy(&self) -> bool {
        self.noise >= NOISE
    }

    /// The amplitude of what is to be removed, in 8-bit steps. `None` if the film is clean.
    pub fn threshold(&self) -> Option<f32> {
        let compression = if self.is_compressed() {
            (3.0 + 25.0 * (self.loss - 0.1)).clamp(3.0, 9.0)
        } else {
            0.0
        };
        // Above 2.5 standard deviations, 99 % of the coefficients of noise are removed.
        let noise = if self.is_noisy() { (2.5 * self.noise).min(25.0) } else { 0.0 };
        Some(compression.max(noise)).filter(|threshold| *threshold > 0.0)
    }
}

impl fmt::Display for Quality {
    /// What was found, with its measures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loss, grid, noise } = self;
        let (loss, grid) = (100.0 * loss, 100.0 * grid);
        match (self.is_compressed(), self.is_noisy()) {
            (true, _) => write!(
                f,
                "traces of compression (fine detail is missing in {loss:.0} % of faint texture, 8×8 \
                 grid {grid:.1} %)"
            )?,
            (false, true) => {}
            (false, false) => write!(
                f,
                "clean (fine detail is missing in {loss:.0} % of faint texture, 8×8 grid {grid:.1} %, \
                 noise {noise:.1} of 255)"
            )?,
        }
        if self.is_noisy() {
            let and = if self.is_compressed() { " and " } else { "" };
            write!(f, "{and}noise ({noise:.1} of 255)")?;
        }
        Ok(())
    }
}

/// Measures frames of a film.
#[derive(Debug, Default)]
pub struct Meter {
    /// Blocks with faint texture, and those of them without fine detail.
    faint: u64,
    bare: u64,
    /// Sums of second differences, and their number, by position in the grid.
    grid: [(u64, u64); SIDE],
    /// Noise of each frame.
    noise: Vec<f32>,
}

/// The mean coefficient of middle frequencies in faint texture.
const FAINT: std::ops::Range<f32> = 1.0..8.0;
/// Below this mean coefficient of high frequencies, a block has no fine detail.
const BARE: f32 = 0.25;
/// Faint blocks that are needed to judge.
const ENOUGH: u64 = 64;
/// Second differences count up to this: larger ones are edges of the picture.
const EDGE: u16 = 12;
/// In a block with noise alone, the means of middle and high frequencies are equal. In one with texture,
/// the middle ones are larger by this factor, as a rule.
const WHITE: f32 = 1.3;
/// A noisy picture has such blocks as at least this part of all.
const FLAT: usize = 12;
/// And as many at least.
const FEWEST: usize = 50;

impl Meter {
    /// Measures a frame.
    pub fn observe(&mut self, luma: &Luma) {
        let width = luma.width;
        let rows: Vec<&[u8]> = luma.samples.chunks_exact(width.max(1)).collect();
        let (mut blocks, mut fine) = (0, Vec::new());
        for band in rows.chunks_exact(SIDE) {
            for x in (0..(width / SIDE) * SIDE).step_by(SIDE) {
                let block: [[f32; SIDE]; SIDE] = array::from_fn(|j| {
                    let row = band.get(j).and_then(|row| row.get(x..)?.first_chunk::<SIDE>());
                    row.map_or([0.0; SIDE], |row| row.map(f32::from))
                });
                let [middle, high] = energies(&block);
                let is_faint = FAINT.contains(&middle);
                self.faint += u64::from(is_faint);
                self.bare += u64::from(is_faint && high < BARE);
                blocks += 1;
                if high > 0.0 && middle < WHITE * high {
                    fine.push(high);
                }
            }
        }
        if fine.len() >= FEWEST.max(blocks / FLAT) {
            let place = fine.len() / 4;
            let (_, high, _) = fine.select_nth_unstable_by(place, f32::total_cmp);
            // The mean absolute value of a normal distribution is √(2/π) of its deviation.
            self.noise.push(*high * 1.2533);
        } else if blocks >= FEWEST {
            self.noise.push(0.0);
        }
        self.observe_grid(&rows);
    }

    fn observe_grid(&mut self, rows: &[&[u8]]) {
        let bend = |a: u8, b: u8, c: u8| {
            (u16::from(a) + u16::from(c)).abs_diff(2 * u16::from(b)).min(EDGE)
        };
        for (y, rows) in rows.windows(3).enumerate() {
            let &[above, here, below] = rows else { continue };
            let vertical: u64 = above
                .iter()
                .zip(here)
                .zip(below)
                .map(|((&a, &b), &c)| u64::from(bend(a, b, c)))
                .sum();
            let mut sums = [(0_u64, 0_u64); SIDE];
            if let Some(sum) = sums.get_mut((y + 1) % SIDE) {
                *sum = (vertical, here.len() as u64);
            }
            for (x, samples) in here.windows(3).enumerate() {
                if let (&[a, b, c], Some(sum)) = (samples, sums.get_mut((x + 1) % SIDE)) {
                    sum.0 += u64::from(bend(a, b, c));
                    sum.1 += 1;
                }
            }
            for (total, sum) in self.grid.iter_mut().zip(sums) {
                total.0 += sum.0;
                total.1 += sum.1;
            }
        }
    }

    /// The quality of the frames. `None` if they show too little.
    pub fn quality(&self) -> Option<Quality> {
        if self.faint < ENOUGH {
            return None;
        }
        let mut noise = self.noise.clone();
        noise.sort_by(f32::total_cmp);
        Some(Quality {
            loss: self.bare as f32 / self.faint as f32,
            grid: periodicity(&self.grid.map(|(sum, count)| sum as f64 / count.max(1) as f64)),
            noise: noise.get(noise.len() / 2).copied().unwrap_or_default(),
        })
    }
}

/// The mean absolute coefficients of middle and of high frequencies of a block.
fn energies(block: &[[f32; SIDE]; SIDE]) -> [f32; 2] {
    let coefficients = dct_of_block(block);
    let mut sums = [(0.0, 0.0); 2];
    for (k, row) in coefficients.iter().enumerate() {
        for (l, value) in row.iter().enumerate() {
            let sum = match k + l {
                2..=4 => &mut sums[0],
                7.. => &mut sums[1],
                _ => continue,
            };
            sum.0 += value.abs();
            sum.1 += 1.0;
        }
    }
    sums.map(|(sum, count)| sum / count)
}

/// The amplitude of the periods 8, 4 and 8/3 of eight means, relative to their mean.
fn periodicity(means: &[f64; SIDE]) -> f32 {
    let amplitude = |frequency: usize| {
        let wave = |phase: f64| -> f64 {
            let angle =
                |at: usize| std::f64::consts::TAU * (frequency * at) as f64 / SIDE as f64 + phase;
            means.iter().enumerate().map(|(at, mean)| mean * angle(at).cos()).sum()
        };
        wave(0.0).hypot(wave(std::f64::consts::FRAC_PI_2)) / SIDE as f64
    };
    let mean = means.iter().sum::<f64>() / SIDE as f64;
    // A little is added for frames that are all but flat.
    (amplitude(1).hypot(amplitude(2)).hypot(amplitude(3)) / (mean + 0.05)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::shrink::block_of_dct;

    const WIDTH: usize = 256;
    const HEIGHT: usize = 128;

    fn luma(value: impl Fn(usize, usize) -> f32) -> Luma {
        let samples = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
        let samples = samples.map(|(x, y)| value(x, y).round().clamp(0.0, 255.0) as u8).collect();
        Luma { width: WIDTH, samples }
    }

    /// Soft shading with texture, which is stronger at the bottom, and noise of this standard deviation.
    fn texture(noise: f32) -> Luma {
        let mut random = fastrand::Rng::with_seed(7);
        let values: Vec<f32> =
            (0..WIDTH * HEIGHT).map(|_| (0..12).map(|_| random.f32()).sum::<f32>() - 6.0).collect();
        luma(|x, y| {
            let shade = 120.0 + 0.2 * x as f32;
            let strength = 0.3 + 4.0 * y as f32 / HEIGHT as f32;
            let coarse = 2.0 * (x as f32 / 2.7).sin() * (y as f32 / 2.9).cos();
            let fine = (x as f32 * 1.9 + (y * y) as f32 / 60.0).sin();
            shade + strength * (coarse + fine) + noise * values[y * WIDTH + x]
        })
    }

    /// The luma with the coefficients of aligned blocks quantized in steps of this size.
    fn quantized(from: &Luma, step: f32) -> Luma {
        let mut to = from.clone();
        for y in (0..HEIGHT).step_by(SIDE) {
            for x in (0..WIDTH).step_by(SIDE) {
                let block = array::from_fn(|j| {
                    array::from_fn(|i| f32::from(from.samples[(y + j) * WIDTH + x + i]))
                });
                let coefficients =
                    dct_of_block(&block).map(|row| row.map(|it| (it / step).round() * step));
                for (j, row) in block_of_dct(&coefficients).iter().enumerate() {
                    for (i, value) in row.iter().enumerate() {
                        to.samples[(y + j) * WIDTH + x + i] = value.round().clamp(0.0, 255.0) as u8;
                    }
                }
            }
        }
        to
    }

    fn quality(luma: &Luma) -> Quality {
        let mut meter = Meter::default();
        meter.observe(luma);
        meter.quality().unwrap()
    }

    #[test]
    fn texture_is_clean_and_coarse_quantization_is_found() {
        let texture = texture(0.4);
        let clean = quality(&texture);
        assert_eq!(clean.threshold(), None, "{clean:?}");
        let mut last = 0.0;
        for step in [12.0, 24.0] {
            let found = quality(&quantized(&texture, step));
            let threshold = found.threshold().unwrap();
            assert!(found.loss > last && (3.0..=9.0).contains(&threshold), "{step}: {found:?}");
            assert!(found.to_string().starts_with("traces of compression"), "{found}");
            last = found.loss;
        }
    }

    #[test]
    fn noise_is_measured_in_8_bit_steps() {
        let flat = |sigma: f32| {
            let noisy = texture(sigma);
            luma(|x, y| match x < WIDTH / 2 {
                true => f32::from(noisy.samples[y * WIDTH + x]),
                false => 90.0 + f32::from(noisy.samples[y * WIDTH + x]) / 1.0 - 145.0,
            })
        };
        for sigma in [3.0, 6.0] {
            let found = quality(&flat(sigma));
            assert!((found.noise / sigma - 1.0).abs() < 0.25, "{sigma}: {found:?}");
            assert!(found.threshold().unwrap() > 2.0 * sigma, "{found:?}");
        }
    }

    #[test]
    fn black_pictures_say_nothing() {
        let mut meter = Meter::default();
        meter.observe(&luma(|_, _| 16.0));
        meter.observe(&Luma::default());
        assert_eq!(meter.quality(), None);
    }

    #[test]
    fn about_thirty_frames_of_a_film_are_measured() {
        assert_eq!([0, 1, 32, 33, 320].map(step), [1, 1, 1, 2, 10]);
    }
}

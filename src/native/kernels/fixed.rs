//! Winograd's F(4×4, 3×3) in fixed point: transformed windows and weights of 16 bits, sums of 32.
//!
//! Lemma: for each position and output the weights are whole numbers w with Σ|w| ≤ 65,535, and
//! transformed samples are whole numbers v with |v| ≤ 32,768. Every partial sum, in any order, is
//! then at most 65,535 · 32,768 = 2³¹ − 32,768 < 2³¹ in magnitude: 32 bits cannot overflow, and
//! the sum does not depend on its order. The product of a pair is at most 2 · 32,767 · 32,768,
//! which fits too.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over registers count to a constant and are unrolled"
)]

use super::{
    FixedProduct, FixedSums, LANES, Lanes, Layout, Shorts, TILE, TILE_PIXELS, Windows, Words,
    isa::Isa,
    winograd::{POSITIONS, SIDE, output_line, transform},
};

/// Pairs of channels in a vector.
const PAIRS: usize = LANES / 2;

/// The largest Σ|w|; see the lemma.
pub(crate) const MOST_WEIGHT: f64 = 65_535.0;

#[inline(always)]
pub(crate) fn input<I: Isa>(
    isa: I,
    windows: &Windows<'_>,
    scales: &[Lanes],
    to: &mut [Shorts],
    layout: Layout,
) -> usize {
    let mut limited = 0;
    let zero = isa.splat(0.0);
    let range = std::cell::Cell::new([zero; 2]);
    transform(
        isa,
        windows,
        #[inline(always)]
        |tile, position, value| {
            let to = to.get_mut(position * layout.position + tile * layout.tile);
            if let (Some(to), Some(scale)) = (to, scales.get(position * layout.tile)) {
                let value = isa.mul(value, isa.load(scale));
                let [low, high] = range.get();
                range.set([isa.min(value, low), isa.max(value, high)]);
                isa.store_shorts(to, value);
            }
        },
        #[inline(always)]
        || {
            let [low, high] = range.replace([zero; 2]);
            limited += usize::from(isa.any_outside(low, high, 32_767.5));
        },
    );
    limited
}

/// `R` rows of one position: R × (inputs · 16) by (inputs · 16) × (Z · 16).
#[inline(always)]
fn rows<I: Isa, const R: usize, const Z: usize>(
    isa: I,
    v: &[Shorts],
    inputs: usize,
    weights: &[[Words; Z]],
    sums: &mut [Words],
    pitch: usize,
) {
    let mut all = [[isa.splat_word(0); Z]; R];
    let (weights, _) = weights.as_chunks::<PAIRS>();
    for (block, weights) in weights.iter().enumerate().take(inputs) {
        let mut x = [&v[0]; R];
        for r in 0..R {
            x[r] = &v[r * inputs + block];
        }
        for pair in 0..PAIRS {
            let mut w = [isa.splat_word(0); Z];
            for z in 0..Z {
                w[z] = isa.load_words(&weights[pair][z]);
            }
            for r in 0..R {
                let x = isa.splat_word(x[r].0[pair]);
                for z in 0..Z {
                    all[r][z] = isa.dot(x, w[z], all[r][z]);
                }
            }
        }
    }
    for r in 0..R {
        for z in 0..Z {
            isa.store_words(&mut sums[r * pitch + z], all[r][z]);
        }
    }
}

#[inline(always)]
fn position<I: Isa, const R: usize, const Z: usize>(
    isa: I,
    job: &FixedProduct<'_>,
    mut v: &[Shorts],
    weights: &[Words],
    mut sums: &mut [Words],
) {
    let (inputs, pitch) = (job.inputs, job.to.tile);
    let (weights, _) = weights.as_chunks::<Z>();
    let mut left = job.tiles;
    macro_rules! step {
        ($rows:expr) => {
            while left >= $rows {
                let (now, later) = v.split_at($rows * inputs);
                let (to, rest) = sums.split_at_mut($rows * pitch);
                rows::<I, { $rows }, Z>(isa, now, inputs, weights, to, pitch);
                (v, sums) = (later, rest);
                left -= $rows;
            }
        };
    }
    step!(R);
    step!(4);
    step!(2);
    step!(1);
}

#[inline(always)]
pub(crate) fn multiply<I: Isa>(isa: I, job: &FixedProduct<'_>, sums: &mut [Words]) {
    let positions = job
        .transformed
        .chunks(job.from.position)
        .zip(sums.chunks_mut(job.to.position))
        .zip(job.weights.chunks_exact(job.inputs * PAIRS * job.outputs))
        .take(POSITIONS);
    for ((v, sums), weights) in positions {
        match job.outputs {
            1 => position::<I, 6, 1>(isa, job, v, weights, sums),
            2 => position::<I, 8, 2>(isa, job, v, weights, sums),
            3 => position::<I, 8, 3>(isa, job, v, weights, sums),
            4 => position::<I, 6, 4>(isa, job, v, weights, sums),
            _ => {}
        }
    }
}

#[inline(always)]
pub(crate) fn output<I: Isa>(isa: I, job: &FixedSums<'_>, out: &mut [[Lanes; TILE_PIXELS]]) {
    let (bias, slope) = (isa.load(job.bias), isa.load(job.slope));
    let Some(steps) = job.steps.first_chunk::<POSITIONS>() else { return };
    let last = (POSITIONS - 1) * job.layout.position;
    for (tile, out) in out.iter_mut().enumerate() {
        let sums = job.sums.get(tile * job.layout.tile..).filter(|sums| sums.len() > last);
        let Some(sums) = sums else { return };
        let mut half = [[isa.splat(0.0); SIDE]; TILE];
        for column in 0..SIDE {
            let mut line = [isa.splat(0.0); SIDE];
            for row in 0..SIDE {
                let position = row * SIDE + column;
                let sum = isa.to_float(isa.load_words(&sums[position * job.layout.position]));
                line[row] = isa.mul(sum, isa.load(&steps[position]));
            }
            let line = output_line(isa, line);
            for row in 0..TILE {
                half[row][column] = line[row];
            }
        }
        for row in 0..TILE {
            let line = output_line(isa, half[row]);
            for column in 0..TILE {
                let value = isa.leaky(isa.add(line[column], bias), slope);
                isa.store(&mut out[row * TILE + column], value);
            }
        }
    }
}

//! Winograd's F(4×4, 3×3) in fixed point: transformed windows and weights of 16 bits, sums of 32.
//!
//! Lemma: for each position and output the weights are whole numbers w with Σ|w| ≤ 65,535, and
//! transformed samples are whole numbers v with |v| ≤ 32,768. Every partial sum, in any order, is
//! then at most 65,535 · 32,768 = 2³¹ − 32,768 < 2³¹ in magnitude: 32 bits cannot overflow, and
//! the sum does not depend on its order. The product of a pair is at most 2 · 32,767 · 32,768,
//! which fits too.

#![allow(clippy::indexing_slicing, reason = "positions are below POSITIONS")]

use std::cell::Cell;

use super::{
    FixedSums, Lanes, Layout, Pixels, Shorts, Windows,
    isa::Isa,
    winograd::{POSITIONS, SIDE, output_tiles, transform},
};

/// The largest Σ|w|; see the lemma.
pub(crate) const MOST_WEIGHT: f64 = 65_535.0;

#[inline(always)]
pub(crate) fn input<I: Isa>(
    isa: I,
    windows: &Windows<'_>,
    scales: &[Lanes; POSITIONS],
    to: &mut [Shorts],
    layout: Layout,
) -> u64 {
    let mut limited = 0;
    let zero = isa.splat(0.0);
    let most = Cell::new(zero);
    transform(
        isa,
        windows,
        #[inline(always)]
        |tile, column, line| {
            let to = to.get_mut(column * layout.position + tile * layout.tile..);
            let rows = to.unwrap_or_default().chunks_mut(SIDE * layout.position);
            let scales = scales[column..].iter().step_by(SIDE);
            for ((to, value), scale) in rows.zip(line).zip(scales) {
                let value = isa.mul(value, isa.load(scale));
                most.set(isa.max_magnitude(value, most.get()));
                isa.store_shorts(&mut to[0], value);
            }
        },
        #[inline(always)]
        |tile| {
            limited |= u64::from(isa.any_above(most.replace(zero), 32_767.5)) << tile;
        },
    );
    limited
}

#[inline(always)]
pub(crate) fn output<I: Isa>(isa: I, job: &FixedSums<'_>, out: &mut Pixels<'_, '_>) {
    output_tiles(
        isa,
        &job.sums,
        out,
        #[inline(always)]
        |sum, position| isa.mul(isa.to_float(isa.load_words(sum)), isa.load(&job.steps[position])),
    );
}

//! Winograd's F(4×4, 3×3): a tile of 4×4 outputs from a window of 6×6 inputs, with 36
//! multiplications per pair of channels in place of 144 (Lavin and Gray, 2016). The points are 0,
//! ±1/√2, ±√2 and infinity: rounding does less harm than at the usual ±1 and ±2.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over registers count to a constant and are unrolled"
)]

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::{Lanes, Layout, Pixels, Place, Sums, TILE, Windows, isa::Isa};

/// Rows and columns of a transformed window.
pub(crate) const SIDE: usize = 6;

/// How many windows ahead of their turn are prefetched.
const AHEAD: usize = 2;

/// Positions of a transformed window.
pub(crate) const POSITIONS: usize = SIDE * SIDE;

/// A 3×3 kernel (rows first) transformed: G·g·Gᵀ.
pub(crate) fn weights(kernel: &[f64; 9]) -> [f64; POSITIONS] {
    const A: f64 = std::f64::consts::FRAC_1_SQRT_2;
    const B: f64 = std::f64::consts::SQRT_2;
    const G: [[f64; 3]; SIDE] = [
        [1.0, 0.0, 0.0],
        [-2.0 / 3.0, -2.0 / 3.0 * A, -1.0 / 3.0],
        [-2.0 / 3.0, 2.0 / 3.0 * A, -1.0 / 3.0],
        [1.0 / 6.0, 1.0 / 6.0 * B, 1.0 / 3.0],
        [1.0 / 6.0, -1.0 / 6.0 * B, 1.0 / 3.0],
        [0.0, 0.0, 1.0],
    ];
    let mut out = [0.0; POSITIONS];
    for (row, out) in G.iter().zip(out.as_chunks_mut::<SIDE>().0) {
        for (column, out) in G.iter().zip(out) {
            for (weights, a) in kernel.as_chunks::<3>().0.iter().zip(row) {
                for (weight, b) in weights.iter().zip(column) {
                    *out += a * b * weight;
                }
            }
        }
    }
    out
}

/// An array of values, one for each index. Unlike arrays that are filled later, it is not set to
/// zero first.
macro_rules! each {
    ($index:ident in [$($value:literal),+] => $make:expr) => {
        [$({ let $index = $value; $make }),+]
    };
}

/// Bᵀ·x of one row or column.
#[inline(always)]
fn input_line<I: Isa>(isa: I, x: [I::V; SIDE]) -> [I::V; SIDE] {
    let (a, b) = (isa.splat(FRAC_1_SQRT_2), isa.splat(SQRT_2));
    let (half, two, sum) = (isa.splat(0.5), isa.splat(2.0), isa.splat(2.5));
    let (c, d) = (isa.fnma(two, x[2], x[4]), isa.fnma(two, x[1], x[3]));
    let (e, f) = (isa.fnma(half, x[2], x[4]), isa.fnma(half, x[1], x[3]));
    [
        isa.add(isa.fnma(sum, x[2], x[4]), x[0]),
        isa.fma(a, d, c),
        isa.fnma(a, d, c),
        isa.fma(b, f, e),
        isa.fnma(b, f, e),
        isa.add(isa.fnma(sum, x[3], x[5]), x[1]),
    ]
}

/// Aᵀ·m of one row or column.
#[inline(always)]
fn output_line<I: Isa>(isa: I, m: [I::V; SIDE]) -> [I::V; TILE] {
    let (a, b) = (isa.splat(FRAC_1_SQRT_2), isa.splat(SQRT_2));
    // The third powers.
    let (a3, b3) = (isa.splat(FRAC_1_SQRT_2 / 2.0), isa.splat(SQRT_2 * 2.0));
    let (half, two) = (isa.splat(0.5), isa.splat(2.0));
    let (s, d) = (isa.add(m[1], m[2]), isa.sub(m[1], m[2]));
    let (t, e) = (isa.add(m[3], m[4]), isa.sub(m[3], m[4]));
    [
        isa.add(isa.add(m[0], s), t),
        isa.fma(b, e, isa.mul(a, d)),
        isa.fma(two, t, isa.mul(half, s)),
        isa.fma(b3, e, isa.fma(a3, d, m[5])),
    ]
}

/// Transforms each window; `put` takes the tile, a column and its positions from top to bottom,
/// and `end` follows each tile with its index.
#[inline(always)]
pub(crate) fn transform<I: Isa>(
    isa: I,
    windows: &Windows<'_>,
    mut put: impl FnMut(usize, usize, [I::V; SIDE]),
    mut end: impl FnMut(usize),
) {
    let Windows { source, stride, tiles } = *windows;
    for (index, &Place { tile, first: window }) in tiles.iter().enumerate() {
        if let Some(&Place { first: later, .. }) = tiles.get(index + AHEAD) {
            for row in 0..SIDE {
                let line = source.get(later + row * stride..).and_then(|rest| rest.get(..SIDE));
                // The first two columns are those of the tile before, mostly.
                for pixel in line.unwrap_or_default().iter().skip(2) {
                    isa.prefetch(pixel);
                }
            }
        }
        let window = source.get(window..).filter(|rest| rest.len() >= (SIDE - 1) * stride + SIDE);
        let Some(window) = window else { return };
        let half = each!(row in [0, 1, 2, 3, 4, 5] => {
            let x = &window[row * stride..][..SIDE];
            input_line(isa, each!(column in [0, 1, 2, 3, 4, 5] => isa.load(&x[column])))
        });
        for column in 0..SIDE {
            let line = input_line(isa, each!(row in [0, 1, 2, 3, 4, 5] => half[row][column]));
            put(tile, column, line);
        }
        end(tile);
    }
}

#[inline(always)]
pub(crate) fn input<I: Isa>(isa: I, windows: &Windows<'_>, to: &mut [Lanes], layout: Layout) {
    transform(
        isa,
        windows,
        #[inline(always)]
        |tile, column, line| {
            let to = to.get_mut(column * layout.position + tile * layout.tile..);
            let rows = to.unwrap_or_default().chunks_mut(SIDE * layout.position);
            for (to, value) in rows.zip(line) {
                isa.store(&mut to[0], value);
            }
        },
        #[inline(always)]
        |_| {},
    );
}

/// Transforms sums back, adds the bias, scales negative values and writes the tiles to the first
/// plane of `out`. `load` gives the sum of a position.
#[inline(always)]
pub(crate) fn output_tiles<I: Isa, T>(
    isa: I,
    job: &Sums<'_, T>,
    out: &mut Pixels<'_, '_>,
    load: impl Fn(&T, usize) -> I::V,
) {
    let (bias, slope) = (isa.load(job.bias), isa.load(job.slope));
    let Some(plane) = out.planes.first_mut() else { return };
    for place in out.tiles {
        let m = job.sums.get(place.tile * job.vectors + job.vector);
        let (Some(m), Some(plane)) = (m, plane.get_mut(place.first..)) else { return };
        let half = each!(column in [0, 1, 2, 3, 4, 5] => {
            output_line(isa, each!(row in [0, 1, 2, 3, 4, 5] => {
                let position = row * SIDE + column;
                load(&m[position], position)
            }))
        });
        for row in 0..TILE {
            let line = output_line(isa, each!(column in [0, 1, 2, 3, 4, 5] => half[column][row]));
            let to =
                plane.get_mut(row * out.stride..).and_then(|row| row.first_chunk_mut::<TILE>());
            let Some(to) = to else { return };
            for column in 0..TILE {
                let value = isa.leaky(isa.add(line[column], bias), slope);
                isa.store(&mut to[column], value);
            }
        }
    }
}

#[inline(always)]
pub(crate) fn output<I: Isa>(isa: I, job: &Sums<'_, Lanes>, out: &mut Pixels<'_, '_>) {
    output_tiles(
        isa,
        job,
        out,
        #[inline(always)]
        |sum, _| isa.load(sum),
    );
}

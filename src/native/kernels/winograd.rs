//! Winograd's F(4×4, 3×3): a tile of 4×4 outputs from a window of 6×6 inputs, with 36
//! multiplications per pair of channels in place of 144 (Lavin and Gray, 2016). The points are 0,
//! ±1/√2, ±√2 and infinity: rounding does less harm than at the usual ±1 and ±2.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over registers count to a constant and are unrolled"
)]

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::{LANES, Lanes, Layout, Product, Sums, TILE, TILE_PIXELS, Windows, isa::Isa};

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
pub(crate) fn output_line<I: Isa>(isa: I, m: [I::V; SIDE]) -> [I::V; TILE] {
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

/// Transforms each window; `put` takes tile, position and vector, and `end` follows each tile.
#[inline(always)]
pub(crate) fn transform<I: Isa>(
    isa: I,
    windows: &Windows<'_>,
    mut put: impl FnMut(usize, usize, I::V),
    mut end: impl FnMut(),
) {
    let Windows { source, stride, tiles } = *windows;
    for (index, &(tile, window)) in tiles.iter().enumerate() {
        if let Some(&(_, later)) = tiles.get(index + AHEAD) {
            for row in 0..SIDE {
                let line = source.get(later + row * stride..).and_then(|rest| rest.get(..SIDE));
                // The first two columns are those of the tile before, mostly.
                for pixel in line.unwrap_or_default().iter().skip(2) {
                    isa.prefetch(pixel);
                }
            }
        }
        let mut half = [[isa.splat(0.0); SIDE]; SIDE];
        for (row, half) in half.iter_mut().enumerate() {
            let Some(x) =
                source.get(window + row * stride..).and_then(|rest| rest.first_chunk::<SIDE>())
            else {
                return;
            };
            let mut line = [isa.splat(0.0); SIDE];
            for j in 0..SIDE {
                line[j] = isa.load(&x[j]);
            }
            *half = input_line(isa, line);
        }
        for column in 0..SIDE {
            let mut line = [isa.splat(0.0); SIDE];
            for row in 0..SIDE {
                line[row] = half[row][column];
            }
            let line = input_line(isa, line);
            for row in 0..SIDE {
                put(tile, row * SIDE + column, line[row]);
            }
        }
        end();
    }
}

#[inline(always)]
pub(crate) fn input<I: Isa>(isa: I, windows: &Windows<'_>, to: &mut [Lanes], layout: Layout) {
    transform(
        isa,
        windows,
        #[inline(always)]
        |tile, position, value| {
            if let Some(to) = to.get_mut(position * layout.position + tile * layout.tile) {
                isa.store(to, value);
            }
        },
        #[inline(always)]
        || {},
    );
}

/// `R` rows of one position: R × (inputs · 16) by (inputs · 16) × (Z · 16).
#[inline(always)]
fn rows<I: Isa, const R: usize, const Z: usize>(
    isa: I,
    v: &[Lanes],
    inputs: usize,
    weights: &[[Lanes; Z]],
    m: &mut [Lanes],
    pitch: usize,
) {
    let mut sums = [[isa.splat(0.0); Z]; R];
    let (weights, _) = weights.as_chunks::<LANES>();
    for (block, weights) in weights.iter().enumerate().take(inputs) {
        let mut x = [&v[0]; R];
        for r in 0..R {
            x[r] = &v[r * inputs + block];
        }
        for lane in 0..LANES {
            let mut w = [isa.splat(0.0); Z];
            for z in 0..Z {
                w[z] = isa.load(&weights[lane][z]);
            }
            for r in 0..R {
                let x = isa.splat(x[r].0[lane]);
                for z in 0..Z {
                    sums[r][z] = isa.fma(x, w[z], sums[r][z]);
                }
            }
        }
    }
    for r in 0..R {
        for z in 0..Z {
            isa.store(&mut m[r * pitch + z], sums[r][z]);
        }
    }
}

#[inline(always)]
fn position<I: Isa, const R: usize, const Z: usize>(
    isa: I,
    mut v: &[Lanes],
    inputs: usize,
    weights: &[Lanes],
    mut m: &mut [Lanes],
    pitch: usize,
    tiles: usize,
) {
    let (weights, _) = weights.as_chunks::<Z>();
    let mut left = tiles;
    macro_rules! step {
        ($rows:expr) => {
            while left >= $rows {
                let (now, later) = v.split_at($rows * inputs);
                let (to, rest) = m.split_at_mut($rows * pitch);
                rows::<I, { $rows }, Z>(isa, now, inputs, weights, to, pitch);
                (v, m) = (later, rest);
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
pub(crate) fn multiply<I: Isa>(isa: I, job: &Product<'_>, sums: &mut [Lanes]) {
    let Product { inputs, tiles, .. } = *job;
    let positions = job
        .transformed
        .chunks(job.from.position)
        .zip(sums.chunks_mut(job.to.position))
        .zip(job.weights.chunks_exact(inputs * LANES * job.outputs))
        .take(POSITIONS);
    for ((v, sums), weights) in positions {
        let pitch = job.to.tile;
        match job.outputs {
            1 => position::<I, 6, 1>(isa, v, inputs, weights, sums, pitch, tiles),
            2 => position::<I, 8, 2>(isa, v, inputs, weights, sums, pitch, tiles),
            3 => position::<I, 8, 3>(isa, v, inputs, weights, sums, pitch, tiles),
            4 => position::<I, 6, 4>(isa, v, inputs, weights, sums, pitch, tiles),
            _ => {}
        }
    }
}

#[inline(always)]
pub(crate) fn output<I: Isa>(isa: I, job: &Sums<'_>, out: &mut [[Lanes; TILE_PIXELS]]) {
    let Sums { sums, layout, .. } = *job;
    let (bias, slope) = (isa.load(job.bias), isa.load(job.slope));
    let last = (POSITIONS - 1) * layout.position;
    for (tile, out) in out.iter_mut().enumerate() {
        let Some(m) = sums.get(tile * layout.tile..).filter(|m| m.len() > last) else { return };
        let mut half = [[isa.splat(0.0); SIDE]; TILE];
        for column in 0..SIDE {
            let mut line = [isa.splat(0.0); SIDE];
            for row in 0..SIDE {
                line[row] = isa.load(&m[(row * SIDE + column) * layout.position]);
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

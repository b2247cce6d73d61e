//! Direct convolution of stride 1: one multiplication per tap and pair of channels.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over registers count to a constant and are unrolled"
)]

use super::{LANES, Lanes, Pixels, TILE, TILE_PIXELS, isa::Isa};

/// The size of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
    pub height: usize,
    pub width: usize,
}

impl Taps {
    /// Rows and columns of the window that a tile of outputs reads.
    pub(crate) const fn window(self) -> [usize; 2] {
        [TILE + self.height - 1, TILE + self.width - 1]
    }
}

/// A convolution of some tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direct<'a> {
    pub taps: Taps,
    pub source: &'a [f32],
    /// The index in `source` of the window of each tile; see [`Taps::window`].
    pub windows: &'a [usize],
    /// Samples from one row of a window to the next.
    pub row: usize,
    /// Samples from one pixel of a row to the next.
    pub pixel: usize,
    /// Samples from sixteen channels of a pixel to the next sixteen.
    pub block: usize,
    /// Input channels.
    pub channels: usize,
    /// Taps (row after row) × channels × output vectors.
    pub weights: &'a [Lanes],
    /// One for each vector of output channels.
    pub bias: &'a [Lanes],
    /// What negative values are multiplied by.
    pub slope: &'a [Lanes],
}

/// `R` pixels of a tile from its `first` on, in `Z` vectors of channels.
#[inline(always)]
fn pixels<I: Isa, const R: usize, const Z: usize>(
    isa: I,
    job: &Direct<'_>,
    window: &[f32],
    first: usize,
) -> [[I::V; Z]; R] {
    let mut sums = [[isa.splat(0.0); Z]; R];
    for z in 0..Z {
        let bias = isa.load(&job.bias[z]);
        for r in 0..R {
            sums[r][z] = bias;
        }
    }
    let (mut weights, _) = job.weights.as_chunks::<Z>();
    for row in 0..job.taps.height {
        for column in 0..job.taps.width {
            let mut channels = job.channels;
            let mut at = (first / TILE + row) * job.row + column * job.pixel;
            while channels > 0 {
                let lanes = channels.min(LANES);
                let mut x = [window; R];
                for r in 0..R {
                    x[r] = &window[at + r / TILE * job.row + r % TILE * job.pixel..][..lanes];
                }
                let (now, later) = weights.split_at(lanes);
                for (lane, weights) in now.iter().enumerate() {
                    let mut w = [isa.splat(0.0); Z];
                    for z in 0..Z {
                        w[z] = isa.load(&weights[z]);
                    }
                    for r in 0..R {
                        let x = isa.splat(x[r][lane]);
                        for z in 0..Z {
                            sums[r][z] = isa.fma(x, w[z], sums[r][z]);
                        }
                    }
                }
                weights = later;
                channels -= lanes;
                at += job.block;
            }
        }
    }
    for z in 0..Z {
        let slope = isa.load(&job.slope[z]);
        for r in 0..R {
            sums[r][z] = isa.leaky(sums[r][z], slope);
        }
    }
    sums
}

#[inline(always)]
fn tiles<I: Isa, const R: usize, const Z: usize>(
    isa: I,
    job: &Direct<'_>,
    out: &mut Pixels<'_, '_>,
) {
    for place in out.tiles {
        let window = &job.source[job.windows[place.tile]..];
        for first in (0..TILE_PIXELS).step_by(R) {
            let sums = pixels::<I, R, Z>(isa, job, window, first);
            for z in 0..Z {
                for r in 0..R {
                    let [row, column] = [(first + r) / TILE, (first + r) % TILE];
                    let to = &mut out.planes[z][place.first + row * out.stride + column];
                    isa.store(to, sums[r][z]);
                }
            }
        }
    }
}

#[inline(always)]
pub(crate) fn convolve<I: Isa>(isa: I, job: &Direct<'_>, out: &mut Pixels<'_, '_>) {
    match out.planes.len() {
        1 => tiles::<I, 8, 1>(isa, job, out),
        2 => tiles::<I, 8, 2>(isa, job, out),
        3 => tiles::<I, 8, 3>(isa, job, out),
        4 => tiles::<I, 4, 4>(isa, job, out),
        _ => {}
    }
}

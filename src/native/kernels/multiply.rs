//! The multiplications of Winograd convolution: at each position, transformed windows by weights,
//! in fp32 and in fixed point.

#![allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "loops over registers count to a constant and are unrolled"
)]

use super::{LANES, Lanes, Product, Shorts, Words, isa::Isa, winograd::POSITIONS};

/// The numbers that are multiplied.
pub(crate) trait Arithmetic<I: Isa> {
    /// Transformed samples of sixteen channels.
    type Samples;
    /// Weights of, and sums for, sixteen output channels.
    type Vector;
    /// A `Vector` in registers.
    type Register: Copy;
    /// Weights of each output channel for one of `Samples`.
    const STEPS: usize;

    fn zero(isa: I) -> Self::Register;
    fn load(isa: I, from: &Self::Vector) -> Self::Register;
    fn store(isa: I, to: &mut Self::Vector, value: Self::Register);
    /// The sample, or pair of samples, of a step, for all output channels.
    fn broadcast(isa: I, samples: &Self::Samples, step: usize) -> Self::Register;
    /// `sum` + sample · weight.
    fn accumulate(
        isa: I,
        sample: Self::Register,
        weight: Self::Register,
        sum: Self::Register,
    ) -> Self::Register;
}

/// fp32: one fused multiply-add for each input channel.
pub(crate) struct Float;

impl<I: Isa> Arithmetic<I> for Float {
    type Samples = Lanes;
    type Vector = Lanes;
    type Register = I::V;
    const STEPS: usize = LANES;

    #[inline(always)]
    fn zero(isa: I) -> I::V {
        isa.splat(0.0)
    }

    #[inline(always)]
    fn load(isa: I, from: &Lanes) -> I::V {
        isa.load(from)
    }

    #[inline(always)]
    fn store(isa: I, to: &mut Lanes, value: I::V) {
        isa.store(to, value);
    }

    #[inline(always)]
    fn broadcast(isa: I, samples: &Lanes, step: usize) -> I::V {
        isa.splat(samples.0[step])
    }

    #[inline(always)]
    fn accumulate(isa: I, sample: I::V, weight: I::V, sum: I::V) -> I::V {
        isa.fma(sample, weight, sum)
    }
}

/// 16-bit fixed point with 32-bit sums: one instruction for each pair of input channels.
pub(crate) struct Fixed;

impl<I: Isa> Arithmetic<I> for Fixed {
    type Samples = Shorts;
    type Vector = Words;
    type Register = I::N;
    const STEPS: usize = LANES / 2;

    #[inline(always)]
    fn zero(isa: I) -> I::N {
        isa.splat_word(0)
    }

    #[inline(always)]
    fn load(isa: I, from: &Words) -> I::N {
        isa.load_words(from)
    }

    #[inline(always)]
    fn store(isa: I, to: &mut Words, value: I::N) {
        isa.store_words(to, value);
    }

    #[inline(always)]
    fn broadcast(isa: I, samples: &Shorts, step: usize) -> I::N {
        isa.splat_word(samples.0[step])
    }

    #[inline(always)]
    fn accumulate(isa: I, sample: I::N, weight: I::N, sum: I::N) -> I::N {
        isa.dot(sample, weight, sum)
    }
}

/// One position of `R` tiles: R × (inputs · 16) by (inputs · 16) × (Z · 16).
#[inline(always)]
fn rows<I: Isa, A: Arithmetic<I>, const R: usize, const Z: usize>(
    isa: I,
    job: &Product<'_, A::Samples, A::Vector>,
    samples: &[A::Samples],
    weights: &[[A::Vector; Z]],
    to: &mut [[A::Vector; POSITIONS]],
    position: usize,
) {
    let inputs = job.inputs;
    let mut sums = [[A::zero(isa); Z]; R];
    for (block, weights) in weights.chunks_exact(A::STEPS).enumerate().take(inputs) {
        let mut x = [&samples[0]; R];
        for r in 0..R {
            x[r] = &samples[r * inputs + block];
        }
        for step in 0..A::STEPS {
            let mut w = [A::zero(isa); Z];
            for z in 0..Z {
                w[z] = A::load(isa, &weights[step][z]);
            }
            for r in 0..R {
                let x = A::broadcast(isa, x[r], step);
                for z in 0..Z {
                    sums[r][z] = A::accumulate(isa, x, w[z], sums[r][z]);
                }
            }
        }
    }
    for r in 0..R {
        for z in 0..Z {
            A::store(isa, &mut to[r * Z + z][position], sums[r][z]);
        }
    }
}

/// One position of all tiles, `R` at a time.
#[inline(always)]
fn position<I: Isa, A: Arithmetic<I>, const R: usize, const Z: usize>(
    isa: I,
    job: &Product<'_, A::Samples, A::Vector>,
    mut samples: &[A::Samples],
    weights: &[A::Vector],
    mut to: &mut [[A::Vector; POSITIONS]],
    position: usize,
) {
    let (weights, _) = weights.as_chunks::<Z>();
    let mut left = job.tiles;
    macro_rules! step {
        ($rows:expr) => {
            while left >= $rows {
                let (now, later) = samples.split_at($rows * job.inputs);
                let (sums, rest) = to.split_at_mut($rows * Z);
                rows::<I, A, { $rows }, Z>(isa, job, now, weights, sums, position);
                (samples, to) = (later, rest);
                left -= $rows;
            }
        };
    }
    step!(R);
    step!(4);
    step!(2);
    step!(1);
}

/// See [`Product`].
#[inline(always)]
pub(crate) fn multiply<I: Isa, A: Arithmetic<I>>(
    isa: I,
    job: &Product<'_, A::Samples, A::Vector>,
    sums: &mut [[A::Vector; POSITIONS]],
) {
    let positions = job
        .transformed
        .chunks(job.from.position)
        .zip(job.weights.chunks_exact(job.inputs * A::STEPS * job.outputs))
        .take(POSITIONS);
    for (at, (samples, weights)) in positions.enumerate() {
        // As many sums as registers hold beside the weights.
        match job.outputs {
            1 => position::<I, A, 6, 1>(isa, job, samples, weights, sums, at),
            2 => position::<I, A, 8, 2>(isa, job, samples, weights, sums, at),
            3 => position::<I, A, 8, 3>(isa, job, samples, weights, sums, at),
            4 => position::<I, A, 6, 4>(isa, job, samples, weights, sums, at),
            _ => {}
        }
    }
}

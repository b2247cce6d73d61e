//! Arithmetic on each sample by itself.

use super::{Lanes, isa::Isa};

/// What follows a layer, beyond a slope for negative values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Activation {
    /// PReLU, LeakyReLU and ReLU: negative values are multiplied by these slopes.
    Leaky(Lanes),
    Clip {
        low: f32,
        high: f32,
    },
    Sigmoid,
    Tanh,
}

#[inline(always)]
fn pairs<I: Isa>(
    isa: I,
    to: &mut [Lanes],
    from: &[Lanes],
    combine: impl Fn(I, I::V, I::V) -> I::V,
) {
    for (to, from) in to.iter_mut().zip(from) {
        let value = combine(isa, isa.load(to), isa.load(from));
        isa.store(to, value);
    }
}

#[inline(always)]
pub(crate) fn add<I: Isa>(isa: I, to: &mut [Lanes], from: &[Lanes]) {
    pairs(
        isa,
        to,
        from,
        #[inline(always)]
        |isa, a, b| isa.add(a, b),
    );
}

#[inline(always)]
pub(crate) fn subtract<I: Isa>(isa: I, to: &mut [Lanes], from: &[Lanes]) {
    pairs(
        isa,
        to,
        from,
        #[inline(always)]
        |isa, a, b| isa.sub(a, b),
    );
}

#[inline(always)]
pub(crate) fn multiply<I: Isa>(isa: I, to: &mut [Lanes], from: &[Lanes]) {
    pairs(
        isa,
        to,
        from,
        #[inline(always)]
        |isa, a, b| isa.mul(a, b),
    );
}

#[inline(always)]
pub(crate) fn affine<I: Isa>(isa: I, to: &mut [Lanes], scale: &Lanes, offset: &Lanes) {
    let (scale, offset) = (isa.load(scale), isa.load(offset));
    for to in to {
        let value = isa.fma(isa.load(to), scale, offset);
        isa.store(to, value);
    }
}

/// eˣ of an x from −87 to 87: Cephes' `expf` with fused multiply-adds.
#[inline(always)]
fn exp<I: Isa>(isa: I, x: I::V) -> I::V {
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // ln 2 in two parts, of which the first is exact in few bits.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let n = isa.round(isa.mul(x, isa.splat(std::f32::consts::LOG2_E)));
    let rest = isa.fnma(n, isa.splat(LN2[0]), x);
    let rest = isa.fnma(n, isa.splat(LN2[1]), rest);
    let mut sum = isa.splat(POLYNOMIAL[0]);
    for coefficient in &POLYNOMIAL[1..] {
        sum = isa.fma(sum, rest, isa.splat(*coefficient));
    }
    let sum = isa.fma(sum, isa.mul(rest, rest), rest);
    isa.mul(isa.add(sum, isa.splat(1.0)), isa.power_of_two(n))
}

#[inline(always)]
fn sigmoid<I: Isa>(isa: I, x: I::V) -> I::V {
    let limited = isa.min(isa.max(x, isa.splat(-87.0)), isa.splat(87.0));
    let inverse = exp(isa, isa.sub(isa.splat(0.0), limited));
    isa.div(isa.splat(1.0), isa.add(isa.splat(1.0), inverse))
}

#[inline(always)]
pub(crate) fn activate<I: Isa>(isa: I, to: &mut [Lanes], activation: &Activation) {
    match activation {
        Activation::Leaky(slope) => {
            let slope = isa.load(slope);
            for to in to {
                let value = isa.leaky(isa.load(to), slope);
                isa.store(to, value);
            }
        }
        Activation::Clip { low, high } => {
            let (low, high) = (isa.splat(*low), isa.splat(*high));
            for to in to {
                let value = isa.min(isa.max(isa.load(to), low), high);
                isa.store(to, value);
            }
        }
        Activation::Sigmoid => {
            for to in to {
                let value = sigmoid(isa, isa.load(to));
                isa.store(to, value);
            }
        }
        Activation::Tanh => {
            for to in to {
                let value = isa.load(to);
                let gate = sigmoid(isa, isa.add(value, value));
                isa.store(to, isa.fma(gate, isa.splat(2.0), isa.splat(-1.0)));
            }
        }
    }
}

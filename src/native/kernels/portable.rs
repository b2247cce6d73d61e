//! Plain Rust: the reference. Without a fused multiply-add in hardware each one is a call into
//! the C library, which is slow and gives the same bits.

use super::{
    LANES, Lanes, Shorts, Words,
    isa::{Isa, kernels},
};

#[derive(Clone, Copy)]
struct Portable;

#[inline(always)]
fn each(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = f(*out, b);
    }
    out
}

impl Isa for Portable {
    type V = [f32; LANES];
    type N = [i32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Self::V {
        from.0
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, value: Self::V) {
        to.0 = value;
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let mut out = c;
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a.mul_add(b, *out);
        }
        out
    }

    #[inline(always)]
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.fma(a.map(|a| -a), b, c)
    }

    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn leaky(self, value: Self::V, slope: Self::V) -> Self::V {
        each(value, slope, |value, slope| if value < 0.0 { value * slope } else { value })
    }

    #[inline(always)]
    fn round(self, value: Self::V) -> Self::V {
        value.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn max_magnitude(self, value: Self::V, most: Self::V) -> Self::V {
        each(value, most, |value, most| if value.abs() > most { value.abs() } else { most })
    }

    #[inline(always)]
    fn any_above(self, value: Self::V, limit: f32) -> bool {
        value.into_iter().any(|value| value > limit)
    }

    #[inline(always)]
    fn store_shorts(self, to: &mut Shorts, value: Self::V) {
        const BEYOND: f32 = 2_147_483_648.0;
        let short = |value: f32| {
            let fits = (-BEYOND..BEYOND).contains(&value);
            let word = if fits { value.round_ties_even() as i32 } else { i32::MIN };
            word.clamp(i16::MIN.into(), i16::MAX.into())
        };
        for (to, pair) in to.0.iter_mut().zip(value.as_chunks::<2>().0) {
            *to = short(pair[1]) << 16 | short(pair[0]) & 0xffff;
        }
    }

    #[inline(always)]
    fn splat_word(self, value: i32) -> Self::N {
        [value; LANES]
    }

    #[inline(always)]
    fn load_words(self, from: &Words) -> Self::N {
        from.0
    }

    #[inline(always)]
    fn store_words(self, to: &mut Words, value: Self::N) {
        to.0 = value;
    }

    #[inline(always)]
    fn dot(self, a: Self::N, b: Self::N, sum: Self::N) -> Self::N {
        let mut out = sum;
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            let low = i32::from(a as i16).wrapping_mul(i32::from(b as i16));
            let high = (a >> 16).wrapping_mul(b >> 16);
            *out = out.wrapping_add(low).wrapping_add(high);
        }
        out
    }

    #[inline(always)]
    fn to_float(self, value: Self::N) -> Self::V {
        value.map(|value| value as f32)
    }

    #[inline(always)]
    fn power_of_two(self, n: Self::V) -> Self::V {
        n.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32))
    }
}

kernels!(KERNELS, "portable", 1, Portable,);

//! NEON of AArch64: four registers per vector.

use std::arch::aarch64::*;

use super::{
    Kernels, Lanes, Shorts, Words,
    isa::{Isa, kernels},
};

/// Exists only in functions that are compiled with NEON.
#[derive(Clone, Copy)]
struct Neon(());

/// The table. Every AArch64 processor that Rust's standard library runs on has NEON.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(&KERNELS)
}

/// Applies an intrinsic to all quarters.
macro_rules! quarters {
    ($intrinsic:path, $($operand:expr),+) => {
        // SAFETY: a `Neon` exists only in the functions of `KERNELS`, which `kernels` hands out
        // only where the processor has NEON.
        unsafe {
            [
                $intrinsic($($operand[0]),+),
                $intrinsic($($operand[1]),+),
                $intrinsic($($operand[2]),+),
                $intrinsic($($operand[3]),+),
            ]
        }
    };
}

type V = [float32x4_t; 4];
type N = [int32x4_t; 4];

/// Does something with each quarter's index.
macro_rules! each {
    ($index:ident => $make:expr) => {
        [
            {
                let $index = 0;
                $make
            },
            {
                let $index = 1;
                $make
            },
            {
                let $index = 2;
                $make
            },
            {
                let $index = 3;
                $make
            },
        ]
    };
}

impl Isa for Neon {
    type V = V;
    type N = N;

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        // SAFETY: see `quarters`.
        unsafe { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> V {
        let from = from.0.as_ptr();
        // SAFETY: see `quarters`; `Lanes` is sixteen floats.
        unsafe { each!(i => vld1q_f32(from.add(4 * i))) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, value: V) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see `quarters`; `Lanes` is sixteen floats.
        unsafe { each!(i => vst1q_f32(to.add(4 * i), value[i])) };
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        quarters!(vaddq_f32, a, b)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        quarters!(vsubq_f32, a, b)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        quarters!(vmulq_f32, a, b)
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        quarters!(vdivq_f32, a, b)
    }

    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        quarters!(vfmaq_f32, c, a, b)
    }

    #[inline(always)]
    fn fnma(self, a: V, b: V, c: V) -> V {
        quarters!(vfmsq_f32, c, a, b)
    }

    // NEON's own maximum and minimum give NaN where an operand is NaN.
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        // SAFETY: see `quarters`.
        unsafe { each!(i => vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i])) }
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        // SAFETY: see `quarters`.
        unsafe { each!(i => vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i])) }
    }

    #[inline(always)]
    fn leaky(self, value: V, slope: V) -> V {
        let scaled = self.mul(value, slope);
        // SAFETY: see `quarters`.
        unsafe { each!(i => vbslq_f32(vcltzq_f32(value[i]), scaled[i], value[i])) }
    }

    #[inline(always)]
    fn round(self, value: V) -> V {
        quarters!(vrndnq_f32, value)
    }

    #[inline(always)]
    fn max_magnitude(self, value: V, most: V) -> V {
        let value = quarters!(vabsq_f32, value);
        self.max(value, most)
    }

    #[inline(always)]
    fn any_above(self, value: V, limit: f32) -> bool {
        let limit = self.splat(limit);
        // SAFETY: see `quarters`.
        let above = unsafe { each!(i => vmaxvq_u32(vcgtq_f32(value[i], limit[i]))) };
        above != [0; 4]
    }

    #[inline(always)]
    fn store_shorts(self, to: &mut Shorts, value: V) {
        // The conversion limits to 32 bits; x86 gives the least number instead beyond them and of
        // NaN.
        const BEYOND: f32 = 2_147_483_648.0;
        let to = to.0.as_mut_ptr().cast::<i16>();
        // SAFETY: see `quarters`; `Shorts` is sixteen numbers of 16 bits.
        unsafe {
            let least = vdupq_n_s32(i32::MIN);
            let words = each!(i => {
                let fits = vcltq_f32(value[i], vdupq_n_f32(BEYOND));
                vbslq_s32(fits, vcvtnq_s32_f32(value[i]), least)
            });
            vst1q_s16(to, vcombine_s16(vqmovn_s32(words[0]), vqmovn_s32(words[1])));
            vst1q_s16(to.add(8), vcombine_s16(vqmovn_s32(words[2]), vqmovn_s32(words[3])));
        }
    }

    #[inline(always)]
    fn splat_word(self, value: i32) -> N {
        // SAFETY: see `quarters`.
        unsafe { [vdupq_n_s32(value); 4] }
    }

    #[inline(always)]
    fn load_words(self, from: &Words) -> N {
        let from = from.0.as_ptr();
        // SAFETY: see `quarters`; `Words` is sixteen numbers of 32 bits.
        unsafe { each!(i => vld1q_s32(from.add(4 * i))) }
    }

    #[inline(always)]
    fn store_words(self, to: &mut Words, value: N) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see `quarters`; `Words` is sixteen numbers of 32 bits.
        unsafe { each!(i => vst1q_s32(to.add(4 * i), value[i])) };
    }

    #[inline(always)]
    fn dot(self, a: N, b: N, sum: N) -> N {
        // SAFETY: see `quarters`.
        unsafe {
            each!(i => {
                let (a, b) = (vreinterpretq_s16_s32(a[i]), vreinterpretq_s16_s32(b[i]));
                let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
                vaddq_s32(sum[i], vpaddq_s32(low, vmull_high_s16(a, b)))
            })
        }
    }

    #[inline(always)]
    fn to_float(self, value: N) -> V {
        quarters!(vcvtq_f32_s32, value)
    }

    #[inline(always)]
    fn power_of_two(self, n: V) -> V {
        // SAFETY: see `quarters`.
        unsafe {
            each!(i => {
                let exponent = vaddq_s32(vcvtq_s32_f32(n[i]), vdupq_n_s32(127));
                vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
            })
        }
    }
}

kernels!(
    KERNELS,
    "neon",
    1,
    Neon(()),
    #[target_feature(enable = "neon")]
);

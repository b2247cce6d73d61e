//! AVX2 and FMA: two registers per vector.

use std::arch::x86_64::*;

use super::{
    Kernels, Lanes, Shorts, Words,
    isa::{Isa, kernels},
};

/// Exists only in functions that are compiled with AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(());

/// The table, where the CPU has AVX2 and FMA.
pub(crate) fn kernels() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&KERNELS)
}

/// Applies an intrinsic to both halves.
macro_rules! halves {
    ($intrinsic:path, $($operand:expr),+) => {
        // SAFETY: an `Avx2` exists only in the functions of `KERNELS`, which `kernels` hands out
        // only where the CPU has AVX2 and FMA.
        unsafe { [$intrinsic($($operand[0]),+), $intrinsic($($operand[1]),+)] }
    };
}

type V = [__m256; 2];

impl Isa for Avx2 {
    type V = V;
    type N = [__m256i; 2];

    #[inline(always)]
    fn splat(self, value: f32) -> V {
        // SAFETY: see `halves`.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> V {
        let from = from.0.as_ptr();
        // SAFETY: see `halves`; `Lanes` is sixteen floats on a boundary of 64 bytes.
        unsafe { [_mm256_load_ps(from), _mm256_load_ps(from.add(8))] }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, value: V) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see `halves`; `Lanes` is sixteen floats on a boundary of 64 bytes.
        unsafe {
            _mm256_store_ps(to, value[0]);
            _mm256_store_ps(to.add(8), value[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        halves!(_mm256_add_ps, a, b)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        halves!(_mm256_sub_ps, a, b)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        halves!(_mm256_mul_ps, a, b)
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        halves!(_mm256_div_ps, a, b)
    }

    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        halves!(_mm256_fmadd_ps, a, b, c)
    }

    #[inline(always)]
    fn fnma(self, a: V, b: V, c: V) -> V {
        halves!(_mm256_fnmadd_ps, a, b, c)
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        halves!(_mm256_max_ps, a, b)
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        halves!(_mm256_min_ps, a, b)
    }

    #[inline(always)]
    fn leaky(self, value: V, slope: V) -> V {
        let scaled = self.mul(value, slope);
        // SAFETY: see `halves`.
        let half = |value, scaled| unsafe {
            let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(value, _mm256_setzero_ps());
            _mm256_blendv_ps(value, scaled, negative)
        };
        [half(value[0], scaled[0]), half(value[1], scaled[1])]
    }

    #[inline(always)]
    fn round(self, value: V) -> V {
        halves!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>, value)
    }

    #[inline(always)]
    fn prefetch(self, from: &Lanes) {
        // SAFETY: a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn max_magnitude(self, value: V, most: V) -> V {
        // SAFETY: see `halves`.
        let half = |value, most| unsafe {
            _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0), value), most)
        };
        [half(value[0], most[0]), half(value[1], most[1])]
    }

    #[inline(always)]
    fn any_above(self, value: V, limit: f32) -> bool {
        // SAFETY: see `halves`.
        let half = |value| unsafe {
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(value, _mm256_set1_ps(limit))) != 0
        };
        half(value[0]) || half(value[1])
    }

    #[inline(always)]
    fn store_shorts(self, to: &mut Shorts, value: V) {
        // SAFETY: see `halves`; `Shorts` is 32 bytes on a boundary of 32.
        unsafe {
            let [low, high] = value.map(|half| _mm256_cvtps_epi32(half));
            // Packing interleaves quarters: the middle two change places.
            let shorts = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            _mm256_store_si256(to.0.as_mut_ptr().cast(), shorts);
        }
    }

    #[inline(always)]
    fn splat_word(self, value: i32) -> Self::N {
        // SAFETY: see `halves`.
        unsafe { [_mm256_set1_epi32(value); 2] }
    }

    #[inline(always)]
    fn load_words(self, from: &Words) -> Self::N {
        let from = from.0.as_ptr();
        // SAFETY: see `halves`; `Words` is 64 bytes on a boundary of 64.
        unsafe { [_mm256_load_si256(from.cast()), _mm256_load_si256(from.add(8).cast())] }
    }

    #[inline(always)]
    fn store_words(self, to: &mut Words, value: Self::N) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see `halves`; `Words` is 64 bytes on a boundary of 64.
        unsafe {
            _mm256_store_si256(to.cast(), value[0]);
            _mm256_store_si256(to.add(8).cast(), value[1]);
        }
    }

    #[inline(always)]
    fn dot(self, a: Self::N, b: Self::N, sum: Self::N) -> Self::N {
        let products = halves!(_mm256_madd_epi16, a, b);
        halves!(_mm256_add_epi32, sum, products)
    }

    #[inline(always)]
    fn to_float(self, value: Self::N) -> V {
        halves!(_mm256_cvtepi32_ps, value)
    }

    #[inline(always)]
    fn power_of_two(self, n: V) -> V {
        // SAFETY: see `halves`.
        let half = |n| unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvttps_epi32(n), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        };
        [half(n[0]), half(n[1])]
    }
}

kernels!(
    KERNELS,
    "avx2",
    1,
    Avx2(()),
    #[target_feature(enable = "avx2,fma")]
);

//! AVX2 and FMA: two registers per vector.

use std::arch::x86_64::*;

use super::{
    Kernels, Lanes,
    isa::{Isa, kernels},
};

/// Exists only in functions that are compiled with AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(());

/// The table, where the processor has AVX2 and FMA.
pub fn kernels() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&KERNELS)
}

/// Applies an intrinsic to both halves.
macro_rules! halves {
    ($intrinsic:path, $($operand:expr),+) => {
        // SAFETY: an `Avx2` exists only in the functions of `KERNELS`, which `kernels` hands out
        // only where the processor has AVX2 and FMA.
        unsafe { [$intrinsic($($operand[0]),+), $intrinsic($($operand[1]),+)] }
    };
}

type V = [__m256; 2];

impl Isa for Avx2 {
    type V = V;

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

//! AVX-512: one register per vector, four vectors of output channels at once.

use std::arch::{asm, x86_64::*};

use super::{
    Kernels, Lanes, Shorts, Words,
    isa::{Isa, kernels},
};

/// Exists only in functions that are compiled with AVX-512, and with VNNI where `VNNI`.
#[derive(Clone, Copy)]
struct Avx512<const VNNI: bool>(());

/// The tables, where the CPU has AVX-512 F, BW, DQ and VL; the one with VNNI first.
pub(crate) fn kernels() -> impl Iterator<Item = &'static Kernels> {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("fma");
    let vnni = has && is_x86_feature_detected!("avx512vnni");
    vnni.then_some(&VNNI_KERNELS).into_iter().chain(has.then_some(&KERNELS))
}

/// `VPDPWSSD`. LLVM turns the intrinsic into a multiplication and an addition, which shortens a
/// chain of dependent sums that the kernels do not have.
#[target_feature(enable = "avx512f,avx512vnni")]
#[inline]
fn dot_vnni(a: __m512i, b: __m512i, mut sum: __m512i) -> __m512i {
    // SAFETY: the instruction reads and writes these registers and nothing else.
    unsafe {
        asm!(
            "vpdpwssd {sum}, {a}, {b}",
            sum = inout(zmm_reg) sum,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

// SAFETY (of every intrinsic below): an `Avx512` exists only in the functions of `KERNELS`
// and `VNNI_KERNELS`, which `kernels` hands out only where the CPU has the features.
impl<const VNNI: bool> Isa for Avx512<VNNI> {
    type V = __m512;
    type N = __m512i;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> __m512 {
        // SAFETY: see above; `Lanes` is sixteen floats on a boundary of 64 bytes.
        unsafe { _mm512_load_ps(from.0.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes, value: __m512) {
        // SAFETY: see above; `Lanes` is sixteen floats on a boundary of 64 bytes.
        unsafe { _mm512_store_ps(to.0.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn fnma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn leaky(self, value: __m512, slope: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(value, _mm512_setzero_ps());
            _mm512_mask_mul_ps(value, negative, value, slope)
        }
    }

    #[inline(always)]
    fn round(self, value: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(value) }
    }

    #[inline(always)]
    fn prefetch(self, from: &Lanes) {
        // SAFETY: a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn max_magnitude(self, value: __m512, most: __m512) -> __m512 {
        // The larger magnitude, without its sign.
        const LARGER: i32 = 0b1011;
        // SAFETY: see above.
        unsafe { _mm512_range_ps::<LARGER>(value, most) }
    }

    #[inline(always)]
    fn any_above(self, value: __m512, limit: f32) -> bool {
        // SAFETY: see above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, _mm512_set1_ps(limit)) != 0 }
    }

    #[inline(always)]
    fn store_shorts(self, to: &mut Shorts, value: __m512) {
        // SAFETY: see above; `Shorts` is 32 bytes on a boundary of 32.
        unsafe {
            let shorts = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(value));
            _mm256_store_si256(to.0.as_mut_ptr().cast(), shorts);
        }
    }

    #[inline(always)]
    fn splat_word(self, value: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    fn load_words(self, from: &Words) -> __m512i {
        // SAFETY: see above; `Words` is 64 bytes on a boundary of 64.
        unsafe { _mm512_load_si512(from.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_words(self, to: &mut Words, value: __m512i) {
        // SAFETY: see above; `Words` is 64 bytes on a boundary of 64.
        unsafe { _mm512_store_si512(to.0.as_mut_ptr().cast(), value) }
    }

    #[inline(always)]
    fn dot(self, a: __m512i, b: __m512i, sum: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe {
            if VNNI { dot_vnni(a, b, sum) } else { _mm512_add_epi32(sum, _mm512_madd_epi16(a, b)) }
        }
    }

    #[inline(always)]
    fn to_float(self, value: __m512i) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(value) }
    }

    #[inline(always)]
    fn power_of_two(self, n: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvttps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }
}

kernels!(
    KERNELS,
    "avx512",
    4,
    Avx512::<false>(()),
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,avx2")]
);

kernels!(
    VNNI_KERNELS,
    "avx512vnni",
    4,
    Avx512::<true>(()),
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,avx2")]
);

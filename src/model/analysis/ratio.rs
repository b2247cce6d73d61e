//! Exact scales: positions per input pixel.

use num_integer::Integer;

/// A positive fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    pub num: i64,
    pub den: i64,
}

impl Ratio {
    pub(crate) const ONE: Self = Self { num: 1, den: 1 };
    /// No upscaler has a scale whose numerator or denominator is larger.
    const MAX_TERM: i64 = 1 << 16;

    /// `num`/`den`; `None` unless both are positive and at most [`Self::MAX_TERM`] in lowest terms.
    pub(crate) fn new(num: i64, den: i64) -> Option<Self> {
        if num <= 0 || den <= 0 {
            return None;
        }
        let divisor = num.gcd(&den);
        let ratio = Self { num: num / divisor, den: den / divisor };
        (ratio.num <= Self::MAX_TERM && ratio.den <= Self::MAX_TERM).then_some(ratio)
    }

    /// This times `num`/`den`.
    pub(crate) fn times(self, num: i64, den: i64) -> Option<Self> {
        Self::new(self.num.checked_mul(num)?, self.den.checked_mul(den)?)
    }
}

//! Exact scales: positions per input pixel.

/// A positive fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    pub num: i64,
    pub den: i64,
}

impl Ratio {
    pub const ONE: Self = Self { num: 1, den: 1 };
    /// Scales beyond this in either direction are no enlarger's.
    const LIMIT: i64 = 1 << 16;

    /// `num`/`den`; `None` where that is not positive or has no small terms.
    pub fn new(num: i64, den: i64) -> Option<Self> {
        if num <= 0 || den <= 0 {
            return None;
        }
        let divisor = gcd(num, den);
        let ratio = Self { num: num / divisor, den: den / divisor };
        (ratio.num <= Self::LIMIT && ratio.den <= Self::LIMIT).then_some(ratio)
    }

    /// This times `num`/`den`.
    pub fn times(self, num: i64, den: i64) -> Option<Self> {
        Self::new(self.num.checked_mul(num)?, self.den.checked_mul(den)?)
    }
}

pub(super) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The least common multiple; `None` where it overflows.
pub(super) fn lcm(a: i64, b: i64) -> Option<i64> {
    (a / gcd(a, b)).checked_mul(b)
}

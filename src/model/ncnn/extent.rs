//! The length of a blob's side, as the input's side decides it.

use crate::model::fault::Fault;

/// A side of `input · numerator / denominator + offset` samples.
///
/// Exact while the input's side is a multiple of every stride in the network: those are the
/// only sides that a network with strides treats alike, whatever is cropped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    numerator: u32,
    denominator: u32,
    /// Samples more than the input asks for.
    pub offset: i64,
}

/// No upscaler's side grows or shrinks more than so.
const MOST: u32 = 256;

impl Extent {
    /// The input's own side and `margin` samples more.
    pub fn input(margin: i64) -> Self {
        Self { numerator: 1, denominator: 1, offset: margin }
    }

    /// A side of `length`, whatever the input.
    pub fn constant(length: u32) -> Self {
        Self { numerator: 0, denominator: 1, offset: length.into() }
    }

    /// Whether it is one sample, whatever the input.
    pub fn is_one(self) -> bool {
        self == Self::constant(1)
    }

    /// Samples per input sample, where whole.
    pub fn factor(self) -> Option<u32> {
        (self.denominator == 1 && self.numerator > 0).then_some(self.numerator)
    }

    /// How much longer this is than `other`, where that is so for every input.
    pub fn beyond(self, other: Self) -> Option<i64> {
        let alike = (self.numerator, self.denominator) == (other.numerator, other.denominator);
        alike.then_some(self.offset - other.offset)
    }

    /// With `more` (or fewer) samples.
    pub fn longer(self, more: i64) -> Self {
        Self { offset: self.offset + more, ..self }
    }

    /// `numerator / denominator` times as long.
    pub fn scaled(self, numerator: u32, denominator: u32) -> Result<Self, Fault> {
        let offset = self.offset * i64::from(numerator);
        self.ratio(numerator, denominator, offset.div_euclid(i64::from(denominator.max(1))))
    }

    /// The count of windows of `kernel` samples, `stride` apart, on the side.
    pub fn windows(self, kernel: u32, stride: u32) -> Result<Self, Fault> {
        let room = self.offset - i64::from(kernel);
        self.ratio(1, stride, room.div_euclid(i64::from(stride.max(1))) + 1)
    }

    /// What windows of `kernel` samples, `stride` apart, one for each sample, cover.
    pub fn covered(self, kernel: u32, stride: u32) -> Result<Self, Fault> {
        self.ratio(stride, 1, (self.offset - 1) * i64::from(stride) + i64::from(kernel))
    }

    fn ratio(self, numerator: u32, denominator: u32, offset: i64) -> Result<Self, Fault> {
        let numerator = self.numerator.saturating_mul(numerator);
        let denominator = self.denominator.saturating_mul(denominator);
        let common = gcd(numerator, denominator).max(1);
        let (numerator, denominator) = (numerator / common, denominator / common);
        let odd = denominator == 0 || numerator > MOST || denominator > MOST;
        // A side of no samples at the least input would be no picture.
        if odd || (numerator == 0 && offset < 1) || offset.abs() > 1 << 24 {
            return Err(Fault::unsuitable("its layers change the size beyond all measure"));
        }
        Ok(Self { numerator, denominator, offset })
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_of_strides_and_crops_has_the_size_that_it_has() {
        // waifu2x cunet's first half: 3×3, 3×3, 2×2 stride 2, 3×3, 3×3, up 2×2 stride 2.
        let side = (|| {
            Extent::input(0)
                .windows(3, 1)?
                .windows(3, 1)?
                .windows(2, 2)?
                .windows(3, 1)?
                .windows(3, 1)?
                .covered(2, 2)
        })();
        assert_eq!(side, Ok(Extent::input(-12)));
    }

    #[test]
    fn what_no_picture_could_have_is_refused() {
        assert!(Extent::input(0).windows(3, 0).is_err());
        assert!(Extent::input(0).scaled(1, 0).is_err());
        assert!(Extent::input(0).scaled(1000, 1).is_err());
        assert!(Extent::constant(1).windows(3, 1).is_err());
    }
}

//! The height or width of a blob as a function of that of the input.

use num_integer::Integer;

use crate::model::fault::Reason;

/// The size of a blob is not one that an upscaler has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("its layers change the size of the image by an unsupported amount")]
pub(super) struct ExtentError;

impl Reason for ExtentError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// `input · numerator / denominator + offset` samples.
///
/// Exact if the size of the input is a multiple of every stride in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    numerator: u32,
    denominator: u32,
    /// Samples in addition to those proportional to the input.
    pub offset: i64,
}

/// The largest factor between the sizes of input and blob, in both directions.
const MAX_RATIO: u32 = 256;

/// The largest offset, in samples.
const MAX_OFFSET: u64 = 1 << 24;

impl Extent {
    /// The size of the input plus `margin` samples.
    pub(crate) fn input(margin: i64) -> Self {
        Self { numerator: 1, denominator: 1, offset: margin }
    }

    /// `length` samples for every input.
    pub(crate) fn constant(length: u32) -> Self {
        Self { numerator: 0, denominator: 1, offset: length.into() }
    }

    /// Whether this is one sample for every input.
    pub(crate) fn is_one(self) -> bool {
        self == Self::constant(1)
    }

    /// Samples per input sample, if that is a whole number.
    pub(crate) fn factor(self) -> Option<u32> {
        (self.denominator == 1 && self.numerator > 0).then_some(self.numerator)
    }

    /// The difference to `other`, if it is the same for every input.
    pub(crate) fn difference(self, other: Self) -> Option<i64> {
        let same_ratio = (self.numerator, self.denominator) == (other.numerator, other.denominator);
        same_ratio.then_some(self.offset - other.offset)
    }

    /// This plus `more` samples.
    pub(crate) fn plus(self, more: i64) -> Self {
        Self { offset: self.offset + more, ..self }
    }

    /// This times `numerator / denominator`.
    pub(crate) fn scaled(self, numerator: u32, denominator: u32) -> Result<Self, ExtentError> {
        let offset = self.offset * i64::from(numerator);
        self.ratio(numerator, denominator, offset.div_euclid(i64::from(denominator.max(1))))
    }

    /// The number of windows of `kernel` samples at intervals of `stride`: the output of a convolution.
    pub(crate) fn windows(self, kernel: u32, stride: u32) -> Result<Self, ExtentError> {
        let free = self.offset - i64::from(kernel);
        self.ratio(1, stride, free.div_euclid(i64::from(stride.max(1))) + 1)
    }

    /// The samples covered by one window of `kernel` samples for each sample, at intervals of
    /// `stride`: the output of a transposed convolution.
    pub(crate) fn covered(self, kernel: u32, stride: u32) -> Result<Self, ExtentError> {
        self.ratio(stride, 1, (self.offset - 1) * i64::from(stride) + i64::from(kernel))
    }

    fn ratio(self, numerator: u32, denominator: u32, offset: i64) -> Result<Self, ExtentError> {
        let numerator = self.numerator.saturating_mul(numerator);
        let denominator = self.denominator.saturating_mul(denominator);
        let common = numerator.gcd(&denominator).max(1);
        let (numerator, denominator) = (numerator / common, denominator / common);
        let is_empty = numerator == 0 && offset < 1;
        if denominator == 0
            || numerator > MAX_RATIO
            || denominator > MAX_RATIO
            || is_empty
            || offset.unsigned_abs() > MAX_OFFSET
        {
            return Err(ExtentError);
        }
        Ok(Self { numerator, denominator, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_unpadded_convolutions_compose() {
        // The first half of waifu2x cunet: 3×3, 3×3, 2×2 stride 2, 3×3, 3×3, transposed 2×2 stride 2.
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
    fn invalid_sizes_are_rejected() {
        assert!(Extent::input(0).windows(3, 0).is_err());
        assert!(Extent::input(0).scaled(1, 0).is_err());
        assert!(Extent::input(0).scaled(1000, 1).is_err());
        assert!(Extent::constant(1).windows(3, 1).is_err());
    }
}

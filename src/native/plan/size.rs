//! The size of features in terms of the size of the network's input.

/// `side · numerator / denominator + offset`, for both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    numerator: usize,
    denominator: usize,
    /// Rows, columns.
    offset: [i64; 2],
}

impl Size {
    /// The network's input.
    pub(crate) const INPUT: Self = Self { numerator: 1, denominator: 1, offset: [0; 2] };

    /// `factor` times as large.
    pub(crate) fn times(self, factor: usize) -> Option<Self> {
        let numerator = self.numerator.checked_mul(factor).filter(|&n| n <= 1 << 16)?;
        let offset = self.offset.map(|offset| offset.saturating_mul(factor as i64));
        Some(Self { numerator, offset, ..self }.reduced())
    }

    /// `1 / factor` of the size; `None` where that cannot be whole.
    pub(crate) fn over(self, factor: usize) -> Option<Self> {
        let denominator = self.denominator.checked_mul(factor).filter(|&d| d <= 1 << 16)?;
        let whole = i64::try_from(factor).ok().filter(|&factor| factor > 0)?;
        if self.offset.iter().any(|offset| offset % whole != 0) {
            return None;
        }
        let offset = self.offset.map(|offset| offset / whole);
        Some(Self { denominator, offset, ..self }.reduced())
    }

    /// With so many rows and columns more.
    pub(crate) fn plus(self, more: [i64; 2]) -> Self {
        let [rows, columns] = self.offset;
        Self { offset: [rows.saturating_add(more[0]), columns.saturating_add(more[1])], ..self }
    }

    /// How many rows of these features `rows` rows of the input are; `None` where that is not whole.
    pub(crate) fn shift(self, rows: usize) -> Option<usize> {
        let scaled = rows.checked_mul(self.numerator)?;
        scaled.is_multiple_of(self.denominator).then(|| scaled / self.denominator)
    }

    fn reduced(self) -> Self {
        let (mut a, mut b) = (self.numerator, self.denominator);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        let divisor = a.max(1);
        Self {
            numerator: self.numerator / divisor,
            denominator: self.denominator / divisor,
            ..self
        }
    }

    /// Rows and columns for an input of `height` and `width`; `None` where they are not whole
    /// and positive, or too large.
    pub(crate) fn at(self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let side = |side: usize, offset: i64| {
            let scaled = side.checked_mul(self.numerator)?;
            if !scaled.is_multiple_of(self.denominator) {
                return None;
            }
            let side = i64::try_from(scaled / self.denominator).ok()?.checked_add(offset)?;
            usize::try_from(side).ok().filter(|side| (1..=1 << 20).contains(side))
        };
        Some([side(height, self.offset[0])?, side(width, self.offset[1])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_and_doubling_gives_the_size_back() {
        let half = Size::INPUT.over(2).unwrap();
        assert_eq!(half.at([6, 8]), Some([3, 4]));
        assert_eq!(half.at([7, 8]), None);
        assert_eq!(half.times(2), Some(Size::INPUT));
        assert_eq!(Size::INPUT.plus([1, 0]).over(2), None);
        assert_eq!(Size::INPUT.plus([-4, 0]).at([4, 4]), None);
    }
}

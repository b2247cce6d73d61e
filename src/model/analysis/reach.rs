//! Which input positions an operator's output positions depend on, along one axis.

/// Output positions `a..=b` depend on at most the input positions
/// ⌊(a·step + low)/div⌋ ..= ⌊(b·step + high)/div⌋.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub step: i64,
    pub low: i64,
    pub high: i64,
    /// ≥ 1.
    pub div: i64,
}

impl Reach {
    /// Each position depends on the same position.
    pub(crate) const SAME: Self = Self { step: 1, low: 0, high: 0, div: 1 };

    /// Position i depends on i·step + low ..= i·step + high: convolution, pooling, padding, slicing.
    pub(crate) const fn window(step: i64, low: i64, high: i64) -> Self {
        Self { step, low, high, div: 1 }
    }

    /// The input positions that output positions `a..=b` depend on; `None` on overflow.
    pub(crate) fn inputs_of(self, (a, b): (i64, i64)) -> Option<(i64, i64)> {
        let position = |at: i64, offset: i64| {
            Some(at.checked_mul(self.step)?.checked_add(offset)?.div_euclid(self.div.max(1)))
        };
        Some((position(a, self.low)?, position(b, self.high)?))
    }
}

/// One operator's dependency, [vertical, horizontal].
pub(super) type Reaches = [Reach; 2];

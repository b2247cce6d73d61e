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
    pub const SAME: Self = Self { step: 1, low: 0, high: 0, div: 1 };

    /// Position i sees i·step + low ..= i·step + high: convolutions, pools, pads, slices.
    pub const fn window(step: i64, low: i64, high: i64) -> Self {
        Self { step, low, high, div: 1 }
    }

    /// The positions that `a..=b` depend on; `None` where the numbers overflow.
    pub fn of(self, (a, b): (i64, i64)) -> Option<(i64, i64)> {
        let place = |at: i64, offset: i64| {
            Some(at.checked_mul(self.step)?.checked_add(offset)?.div_euclid(self.div.max(1)))
        };
        Some((place(a, self.low)?, place(b, self.high)?))
    }
}

/// What one input of a node gives to its output, per axis.
pub(super) type Reaches = [Reach; 2];

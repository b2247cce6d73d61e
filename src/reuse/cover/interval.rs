//! Intervals of pixels along one axis.

/// The pixels `start..end` along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reuse) struct Interval {
    pub start: u32,
    pub end: u32,
}

impl Interval {
    /// Number of pixels.
    pub(crate) fn length(&self) -> u32 {
        self.end - self.start
    }
}

//! Parts of a frame that the model processes on their own.

use crate::frame::Rect;

/// A part of the input that the model processes in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    /// The input pixels whose enlarged picture is kept.
    pub compute: Rect,
    /// The input pixels that are read: `compute` and at least the halo around it. They end exactly
    /// at the border of the frame, where the network's own padding then falls as in a run on the
    /// whole frame.
    pub read: Rect,
    /// Width and height of the model's input: those of `read`, extended by reflection to the right
    /// and to the bottom where the frame is smaller than the model requires.
    pub padded: (u32, u32),
}

impl Region {
    /// Number of pixels in the model's input.
    #[must_use]
    pub fn pixels(&self) -> u64 {
        u64::from(self.padded.0) * u64::from(self.padded.1)
    }
}

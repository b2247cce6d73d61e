//! Planes that bypass the model: a resampling filter enlarges them instead.

use super::{Channels, FrameInfo, Grid, format::Family};

/// What bypass planes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BypassKind {
    /// Two channels, Cb and Cr, −0.5..0.5. They lie on the chroma grid of a YUV format, or at
    /// every pixel of an RGB format whose luma (BT.601, full range) the model processes.
    Chroma,
    /// One channel, 0..1, at every pixel.
    Alpha,
}

/// Planes on one grid that the model does not process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BypassPlanes {
    /// What the planes hold.
    pub kind: BypassKind,
    /// Where their samples lie on the frame.
    pub grid: Grid,
}

impl BypassPlanes {
    /// The bypass planes of frames like `info` when the model processes `channels`: none, chroma,
    /// alpha, or chroma and alpha in this order.
    #[must_use]
    pub fn of(info: &FrameInfo, channels: Channels) -> Vec<Self> {
        let chroma = match (info.format.layout().family, channels) {
            (Family::Yuv, Channels::Luma) => Some(info.chroma_grid()),
            (Family::Rgb, Channels::Luma) => Some(info.grid()),
            _ => None,
        };
        let alpha = info.format.has_alpha().then(|| info.grid());
        let chroma = chroma.map(|grid| Self { kind: BypassKind::Chroma, grid });
        let alpha = alpha.map(|grid| Self { kind: BypassKind::Alpha, grid });
        chroma.into_iter().chain(alpha).collect()
    }

    /// Channels of their image.
    #[must_use]
    pub const fn channels(&self) -> usize {
        match self.kind {
            BypassKind::Chroma => 2,
            BypassKind::Alpha => 1,
        }
    }
}

//! Planes that do not go through the model but are enlarged beside it.

use super::{Channels, FrameInfo, Grid, format::Family};

/// What a companion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompanionKind {
    /// Two channels, Cb and Cr, −0.5..0.5: on the chroma grid of a YUV format, or at every
    /// pixel of an RGB format whose luma (BT.601, full range) goes through the model.
    Chroma,
    /// One channel, 0..1, at every pixel.
    Alpha,
}

/// A picture that is enlarged by Lanczos while the model works on the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Companion {
    pub kind: CompanionKind,
    /// Where its samples lie on the frame.
    pub grid: Grid,
}

impl Companion {
    /// Those of frames whose main picture has these channels: none, one or two.
    pub fn of(info: &FrameInfo, channels: Channels) -> Vec<Self> {
        let chroma = match (info.format.layout().family, channels) {
            (Family::Yuv, Channels::Luma) => Some(info.chroma_grid()),
            (Family::Rgb, Channels::Luma) => Some(info.grid()),
            _ => None,
        };
        let alpha = info.format.has_alpha().then(|| info.grid());
        let chroma = chroma.map(|grid| Self { kind: CompanionKind::Chroma, grid });
        let alpha = alpha.map(|grid| Self { kind: CompanionKind::Alpha, grid });
        chroma.into_iter().chain(alpha).collect()
    }

    /// Channels of its picture.
    pub const fn channels(&self) -> usize {
        match self.kind {
            CompanionKind::Chroma => 2,
            CompanionKind::Alpha => 1,
        }
    }
}

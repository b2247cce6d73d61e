//! The pixel formats that the element takes and gives, and how each lies in memory.

use std::fmt;

/// Names and layouts are GStreamer's (`GstVideoFormat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelFormat {
    I420,
    Nv12,
    Rgb,
    Rgba,
    Gray8,
}

impl PixelFormat {
    /// Every format, in the order in which caps offer them.
    pub const ALL: &'static [PixelFormat] = &[
        PixelFormat::I420,
        PixelFormat::Nv12,
        PixelFormat::Rgb,
        PixelFormat::Rgba,
        PixelFormat::Gray8,
    ];

    /// GStreamer's name, as in caps.
    pub const fn name(self) -> &'static str {
        match self {
            PixelFormat::I420 => "I420",
            PixelFormat::Nv12 => "NV12",
            PixelFormat::Rgb => "RGB",
            PixelFormat::Rgba => "RGBA",
            PixelFormat::Gray8 => "GRAY8",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.name() == name)
    }
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

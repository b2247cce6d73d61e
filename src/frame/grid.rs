//! Where samples lie on a picture (subsampling, chroma site): one per pixel, or one for several.

use super::Rect;

/// The samples along one axis of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Length of the picture in pixels.
    pub pixels: u32,
    /// log₂ of the number of pixels that share a sample, 0 or 1.
    pub shift: u8,
    /// Whether a sample lies on the first of its pixels; otherwise it lies at their centre.
    pub cosited: bool,
}

impl Axis {
    /// Number of samples.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.pixels.div_ceil(1 << self.shift)
    }

    /// Whether there are no samples.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pixels == 0
    }

    /// Distance from the centre of the first pixel to the first sample, in half pixels.
    pub(super) const fn offset(&self) -> i64 {
        if self.cosited { 0 } else { (1 << self.shift) - 1 }
    }
}

/// The samples of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
}

impl Grid {
    /// One sample per pixel of a picture of `width` × `height` pixels.
    #[must_use]
    pub const fn of_size(width: u32, height: u32) -> Self {
        Self {
            x: Axis { pixels: width, shift: 0, cosited: false },
            y: Axis { pixels: height, shift: 0, cosited: false },
        }
    }

    /// Samples per row.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.x.len()
    }

    /// Rows of samples.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.y.len()
    }

    /// All samples.
    #[must_use]
    pub const fn rect(&self) -> Rect {
        Rect::of_size(self.width(), self.height())
    }

    /// The samples that the pixels of `rect` use, including those shared with pixels outside.
    #[must_use]
    pub const fn samples(&self, rect: Rect) -> Rect {
        let x = rect.x >> self.x.shift;
        let y = rect.y >> self.y.shift;
        let right = rect.right().div_ceil(1 << self.x.shift);
        let bottom = rect.bottom().div_ceil(1 << self.y.shift);
        Rect::new(x, y, right - x, bottom - y)
    }

    /// The pixels of the picture that use the samples of `rect`.
    #[must_use]
    pub fn pixels(&self, rect: Rect) -> Rect {
        let x = rect.x << self.x.shift;
        let y = rect.y << self.y.shift;
        let right = (rect.right() << self.x.shift).min(self.x.pixels);
        let bottom = (rect.bottom() << self.y.shift).min(self.y.pixels);
        Rect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }
}

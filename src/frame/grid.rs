//! Where samples lie on a picture: every pixel, or shared between pixels.

use super::Rect;

/// Samples along one direction of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Length of the picture.
    pub pixels: u32,
    /// log₂ of the pixels that share a sample.
    pub shift: u8,
    /// Whether a sample lies on the first of its pixels; else amid them.
    pub cosited: bool,
}

impl Axis {
    /// Number of samples.
    pub const fn len(&self) -> u32 {
        self.pixels.div_ceil(1 << self.shift)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.pixels == 0
    }

    /// Distance from the first pixel's centre to the first sample, in half pixels.
    pub(super) const fn offset(&self) -> i64 {
        if self.cosited { 0 } else { (1 << self.shift) - 1 }
    }
}

/// Samples of a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    pub x: Axis,
    pub y: Axis,
}

impl Grid {
    /// A sample per pixel.
    pub const fn of_size(width: u32, height: u32) -> Self {
        Self {
            x: Axis { pixels: width, shift: 0, cosited: false },
            y: Axis { pixels: height, shift: 0, cosited: false },
        }
    }

    /// Samples per row.
    pub const fn width(&self) -> u32 {
        self.x.len()
    }

    /// Rows of samples.
    pub const fn height(&self) -> u32 {
        self.y.len()
    }

    /// All samples.
    pub const fn rect(&self) -> Rect {
        Rect::of_size(self.width(), self.height())
    }

    /// The samples that pixels of `rect` use, those shared with pixels outside too.
    pub const fn samples(&self, rect: Rect) -> Rect {
        let x = rect.x >> self.x.shift;
        let y = rect.y >> self.y.shift;
        let right = rect.right().div_ceil(1 << self.x.shift);
        let bottom = rect.bottom().div_ceil(1 << self.y.shift);
        Rect::new(x, y, right - x, bottom - y)
    }

    /// The pixels that samples of `rect` serve, cut to the picture.
    pub fn pixels(&self, rect: Rect) -> Rect {
        let x = rect.x << self.x.shift;
        let y = rect.y << self.y.shift;
        let right = (rect.right() << self.x.shift).min(self.x.pixels);
        let bottom = (rect.bottom() << self.y.shift).min(self.y.pixels);
        Rect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
    }
}

//! What the frames of a stream look like.

use super::{Axis, Error, Grid, PixelFormat};

/// The matrix between R′G′B′ and Y′CbCr, ITU-T H.273 table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    Bt601,
    Bt709,
    /// Non-constant luminance.
    Bt2020,
    Fcc,
    Smpte240m,
}

/// The code values that nominal black and white have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// 0 to 2ⁿ − 1.
    Full,
    /// 16 to 235, chroma 16 to 240, times 2ⁿ⁻⁸.
    Limited,
}

/// Matrix and range. Transfer and primaries are of no concern here: enlarging keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colorimetry {
    /// Ignored for RGB formats.
    pub matrix: Matrix,
    pub range: Range,
}

/// Where a chroma sample lies among the luma samples that it serves, per direction: on the
/// first of them (cosited) or halfway between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChromaSite {
    pub cosited_horizontally: bool,
    pub cosited_vertically: bool,
}

impl ChromaSite {
    /// MPEG-2, H.264's default.
    pub const LEFT: Self = Self { cosited_horizontally: true, cosited_vertically: false };
    /// JPEG, MPEG-1.
    pub const CENTER: Self = Self { cosited_horizontally: false, cosited_vertically: false };
}

/// Format, size (1 to 32768 pixels a side) and colour of a stream's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameInfo {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
    pub colorimetry: Colorimetry,
    pub chroma_site: ChromaSite,
}

impl FrameInfo {
    /// The longest side, in pixels.
    pub const MAX_SIDE: u32 = 32768;

    /// # Errors
    /// [`Error::Size`] for a side of 0 or above [`MAX_SIDE`](Self::MAX_SIDE).
    pub fn check(&self) -> Result<(), Error> {
        let sides = 1..=Self::MAX_SIDE;
        if sides.contains(&self.width) && sides.contains(&self.height) {
            return Ok(());
        }
        Err(Error::Size { format: self.format, width: self.width, height: self.height })
    }

    /// Luma columns and rows that share a chroma sample, 1 or 2.
    pub fn chroma_step(&self) -> [u32; 2] {
        self.format.layout().subsampling.map(|shift| 1 << shift)
    }

    /// Where the pixels lie.
    pub const fn grid(&self) -> Grid {
        Grid::of_size(self.width, self.height)
    }

    /// Where the chroma samples lie.
    pub const fn chroma_grid(&self) -> Grid {
        let [x, y] = self.format.layout().subsampling;
        let site = self.chroma_site;
        Grid {
            x: Axis { pixels: self.width, shift: x, cosited: site.cosited_horizontally },
            y: Axis { pixels: self.height, shift: y, cosited: site.cosited_vertically },
        }
    }
}

//! The description of a frame: format, size, colorimetry, chroma site.

use super::{Axis, Error, Grid, PixelFormat};

/// The matrix between R′G′B′ and Y′CbCr (ITU-T H.273 table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// BT.601: standard-definition video.
    Bt601,
    /// BT.709: high-definition video.
    Bt709,
    /// BT.2020 with non-constant luminance: ultra-high-definition video.
    Bt2020,
    /// FCC 73.682(a), NTSC of 1953.
    Fcc,
    /// SMPTE 240M, early high-definition video.
    Smpte240m,
}

/// The code values of nominal black and white, for `n` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    /// 0 to 2ⁿ − 1.
    Full,
    /// 16 to 235, chroma 16 to 240, times 2ⁿ⁻⁸.
    Limited,
}

/// The transfer function between light and code values, as far as film grain depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transfer {
    /// A gamma curve or one like it, for standard dynamic range.
    #[default]
    Gamma,
    /// Perceptual quantizer (SMPTE ST 2084).
    Pq,
    /// Hybrid log-gamma (ARIB STD-B67), for a display of 1000 nits.
    Hlg,
}

/// Matrix, range and transfer function. Primaries are not needed: enlarging a picture does not change
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colorimetry {
    /// The matrix of YUV formats; ignored for RGB formats.
    pub matrix: Matrix,
    /// The range of luma and chroma, or of R′G′B′. Alpha always has full range.
    pub range: Range,
    /// The transfer function. Only film grain depends on it.
    pub transfer: Transfer,
}

/// Where a chroma sample lies among the luma samples that share it, per axis: on the first of
/// them (cosited) or halfway between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChromaSite {
    /// Whether chroma lies on the left luma sample; otherwise halfway to the right one.
    pub cosited_horizontally: bool,
    /// Whether chroma lies on the upper luma sample; otherwise halfway to the lower one.
    pub cosited_vertically: bool,
}

impl ChromaSite {
    /// The siting of MPEG-2, and the default of H.264.
    pub const LEFT: Self = Self { cosited_horizontally: true, cosited_vertically: false };
    /// The siting of JPEG and MPEG-1.
    pub const CENTER: Self = Self { cosited_horizontally: false, cosited_vertically: false };
}

/// Format, size and colour of a stream's frames.
///
/// See [`FrameRef`](super::FrameRef) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameInfo {
    /// How the samples lie in memory.
    pub format: PixelFormat,
    /// Width in luma pixels, 1 to [`MAX_SIDE`](Self::MAX_SIDE).
    pub width: u32,
    /// Height in luma pixels, 1 to [`MAX_SIDE`](Self::MAX_SIDE).
    pub height: u32,
    /// What the code values mean.
    pub colorimetry: Colorimetry,
    /// Where chroma samples lie; ignored for formats without chroma subsampling.
    pub chroma_site: ChromaSite,
}

impl FrameInfo {
    /// The longest supported side, in pixels.
    pub const MAX_SIDE: u32 = 32768;

    /// BT.709 in this range, with chroma on the left ([`ChromaSite::LEFT`]), as in most video.
    ///
    /// Width and height are in luma pixels. YUV and grey formats usually have limited range, RGB
    /// formats full range.
    #[must_use]
    pub fn bt709(format: PixelFormat, width: u32, height: u32, range: Range) -> Self {
        let colorimetry = Colorimetry { matrix: Matrix::Bt709, range, transfer: Transfer::Gamma };
        Self { format, width, height, colorimetry, chroma_site: ChromaSite::LEFT }
    }

    /// Checks the size.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`] for a side of 0 or above [`MAX_SIDE`](Self::MAX_SIDE).
    pub fn check(&self) -> Result<(), Error> {
        let sides = 1..=Self::MAX_SIDE;
        if sides.contains(&self.width) && sides.contains(&self.height) {
            return Ok(());
        }
        Err(Error::UnsupportedSize { format: self.format, width: self.width, height: self.height })
    }

    /// Whether frames of both descriptions have the same format and size. Their colour may
    /// differ: it does not affect how samples lie in memory.
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        (self.format, self.width, self.height) == (other.format, other.width, other.height)
    }

    /// Checks that a frame like `self` belongs to a stream of frames like `stream`.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] unless both are of the [same kind](Self::same_kind).
    pub fn check_same_kind(&self, stream: &Self) -> Result<(), Error> {
        if self.same_kind(stream) {
            return Ok(());
        }
        Err(Error::FrameMismatch { have: Box::new(*self), need: Box::new(*stream) })
    }

    /// Luma columns and rows that share a chroma sample, each 1 or 2.
    #[must_use]
    pub fn chroma_step(&self) -> [u32; 2] {
        self.format.layout().subsampling.map(|shift| 1 << shift)
    }

    /// The grid of the luma samples, one per pixel.
    #[must_use]
    pub const fn grid(&self) -> Grid {
        Grid::of_size(self.width, self.height)
    }

    /// The grid of the chroma samples.
    #[must_use]
    pub const fn chroma_grid(&self) -> Grid {
        let [x, y] = self.format.layout().subsampling;
        let site = self.chroma_site;
        Grid {
            x: Axis { pixels: self.width, shift: x, cosited: site.cosited_horizontally },
            y: Axis { pixels: self.height, shift: y, cosited: site.cosited_vertically },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_another_colour_are_of_the_same_kind_but_not_those_of_another_size() {
        let info = FrameInfo::bt709(PixelFormat::Nv12, 8, 4, Range::Limited);
        let colorimetry =
            Colorimetry { matrix: Matrix::Bt601, range: Range::Full, transfer: Transfer::Pq };
        let other_colour = FrameInfo { colorimetry, chroma_site: ChromaSite::CENTER, ..info };
        assert_eq!(other_colour.check_same_kind(&info), Ok(()));
        let wider = FrameInfo { width: 9, ..info };
        assert_eq!(
            wider.check_same_kind(&info).unwrap_err().to_string(),
            "got a 9x4 NV12 frame in a stream of 8x4 NV12 frames"
        );
    }
}

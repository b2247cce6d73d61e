//! Conversion between code values and float, and between R′G′B′ and Y′CbCr.

use super::{FrameInfo, Matrix, Range, format::Family};

impl Matrix {
    /// The luma weights K_R of red and K_B of blue, from ITU-T H.273 table 4.
    #[must_use]
    pub const fn weights(self) -> (f64, f64) {
        match self {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
            Matrix::Fcc => (0.30, 0.11),
            Matrix::Smpte240m => (0.212, 0.087),
        }
    }
}

/// How one component's code values relate to float: `value = (code − zero) · step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Codes {
    /// The code of 0.0.
    pub zero: f32,
    /// The difference in value between neighbouring codes.
    pub step: f32,
    /// The difference in code between 0.0 and 1.0.
    pub scale: f32,
    /// The highest code.
    pub max: f32,
}

impl Codes {
    fn new(zero: u32, scale: u32, bits: u32) -> Self {
        let (zero, scale) = (zero as f32, scale as f32);
        let max = ((1u32 << bits) - 1) as f32;
        Self { zero, step: (1.0 / f64::from(scale)) as f32, scale, max }
    }

    /// Y′, R′, G′ and B′, 0..1 (H.273 equations 20 to 28).
    pub(crate) fn luma(range: Range, bits: u32) -> Self {
        match range {
            Range::Full => Self::new(0, (1 << bits) - 1, bits),
            Range::Limited => Self::new(16 << (bits - 8), 219 << (bits - 8), bits),
        }
    }

    /// Cb and Cr, −0.5..0.5.
    pub(crate) fn chroma(range: Range, bits: u32) -> Self {
        match range {
            Range::Full => Self::new(1 << (bits - 1), (1 << bits) - 1, bits),
            Range::Limited => Self::new(1 << (bits - 1), 224 << (bits - 8), bits),
        }
    }

    /// The codes of a component of frames like `info`. Alpha always has full range.
    pub(crate) fn of(info: &FrameInfo, component: usize) -> Self {
        let layout = info.format.layout();
        let range = info.colorimetry.range;
        match (layout.family, component) {
            (Family::Yuv, 1 | 2) => Self::chroma(range, layout.bits),
            (_, 3) => Self::luma(Range::Full, layout.bits),
            _ => Self::luma(range, layout.bits),
        }
    }
}

/// The coefficients of a matrix and of its inverse.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MatrixCoefficients {
    /// K_R, K_G, K_B.
    pub luma: [f32; 3],
    /// Cb over (B′ − Y′), and Cr over (R′ − Y′).
    pub chroma: [f32; 2],
    /// The factors of Cr in R′, Cb in G′, Cr in G′, and Cb in B′.
    pub rgb: [f32; 4],
}

impl MatrixCoefficients {
    /// The coefficients of `matrix`.
    pub(crate) fn new(matrix: Matrix) -> Self {
        let (kr, kb) = matrix.weights();
        let kg = 1.0 - kr - kb;
        let (red, blue) = (2.0 * (1.0 - kr), 2.0 * (1.0 - kb));
        Self {
            luma: [kr, kg, kb].map(|k| k as f32),
            chroma: [1.0 / blue, 1.0 / red].map(|k| k as f32),
            rgb: [red, -kb * blue / kg, -kr * red / kg, blue].map(|k| k as f32),
        }
    }

    #[inline(always)]
    pub(crate) fn luma_of(&self, r: f32, g: f32, b: f32) -> f32 {
        let [kr, kg, kb] = self.luma;
        kr * r + kg * g + kb * b
    }

    /// Converts rows of Y′, Cb, Cr to R′, G′, B′ in place.
    pub(crate) fn to_rgb(&self, y: &mut [f32], cb: &mut [f32], cr: &mut [f32]) {
        let [r_cr, g_cb, g_cr, b_cb] = self.rgb;
        for ((y, cb), cr) in y.iter_mut().zip(cb).zip(cr) {
            let luma = *y;
            let (blue, red) = (*cb, *cr);
            *y = luma + r_cr * red;
            *cb = luma + g_cb * blue + g_cr * red;
            *cr = luma + b_cb * blue;
        }
    }

    /// Writes the luma of rows of R′, G′, B′ to `y`.
    pub(crate) fn to_luma(&self, r: &[f32], g: &[f32], b: &[f32], y: &mut [f32]) {
        for (((y, r), g), b) in y.iter_mut().zip(r).zip(g).zip(b) {
            *y = self.luma_of(*r, *g, *b);
        }
    }

    /// Writes the chroma of rows of R′, G′, B′ to `cb` and `cr`.
    pub(crate) fn to_chroma(&self, rgb: [&[f32]; 3], cb: &mut [f32], cr: &mut [f32]) {
        let [r, g, b] = rgb;
        let [to_cb, to_cr] = self.chroma;
        for ((((cb, cr), r), g), b) in cb.iter_mut().zip(cr).zip(r).zip(g).zip(b) {
            let luma = self.luma_of(*r, *g, *b);
            *cb = (*b - luma) * to_cb;
            *cr = (*r - luma) * to_cr;
        }
    }
}

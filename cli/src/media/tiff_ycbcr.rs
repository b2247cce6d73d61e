//! Y′CbCr pictures in TIFF files (TIFF 6.0, section 21), which the `image` crate does not read. Scanners
//! write them with JPEG compression.

use std::io::Cursor;

use image::{
    DynamicImage, ImageError, ImageFormat, ImageResult, Limits, RgbImage,
    error::{DecodingError, LimitError, LimitErrorKind},
    metadata::Orientation,
};
use tiff::{
    ColorType, TiffResult,
    decoder::{Decoder, DecodingResult, ifd::Value},
    tags::Tag,
};

/// Shares of red, green and blue in luma.
const COEFFICIENTS: Tag = Tag::Unknown(529);

/// Black and white of each component.
const LEVELS: Tag = Tag::Unknown(532);

/// Decodes a Y′CbCr TIFF with 8 bits per sample, turned as it asks; `None` if the file is of another
/// kind.
///
/// # Errors
/// The file is damaged, exceeds the limits, or subsamples chroma without JPEG compression.
pub fn decode(file: &[u8], limits: &Limits) -> ImageResult<Option<DynamicImage>> {
    let failed = |error| ImageError::Decoding(DecodingError::new(ImageFormat::Tiff.into(), error));
    let Ok(mut decoder) = Decoder::new(Cursor::new(file)) else { return Ok(None) };
    if !matches!(decoder.colortype(), Ok(ColorType::YCbCr(8))) {
        return Ok(None);
    }
    let (width, height) = decoder.dimensions().map_err(failed)?;
    if u64::from(width) * u64::from(height) * 3 > limits.max_alloc.unwrap_or(u64::MAX) {
        return Err(ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)));
    }
    let matrix = Matrix::of(&mut decoder).map_err(failed)?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).map_err(failed)?;
    let DecodingResult::U8(mut samples) = decoder.read_image().map_err(failed)? else {
        return Ok(None);
    };
    samples.chunks_exact_mut(3).for_each(|pixel| matrix.to_rgb(pixel));
    let Some(image) = RgbImage::from_raw(width, height, samples) else { return Ok(None) };
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(
        orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms),
    );
    Ok(Some(image))
}

/// The values of a tag as numbers; `None` if it has others.
fn numbers_of(value: &Value) -> Option<Vec<f32>> {
    Some(match value {
        Value::List(values) => values.iter().map(numbers_of).collect::<Option<Vec<_>>>()?.concat(),
        Value::Rational(number, divisor) => vec![*number as f32 / *divisor as f32],
        Value::Float(number) => vec![*number],
        Value::Short(number) => vec![f32::from(*number)],
        Value::Unsigned(number) => vec![*number as f32],
        _ => return None,
    })
}

/// How Y′CbCr becomes R′G′B′.
#[derive(Debug)]
struct Matrix {
    shares: [f32; 3],
    /// Black and white of each component.
    levels: [f32; 6],
}

impl Matrix {
    /// What the file says, or the default of TIFF: BT.601, full range.
    fn of(decoder: &mut Decoder<Cursor<&[u8]>>) -> TiffResult<Self> {
        let mut numbers = |tag| -> TiffResult<Option<Vec<f32>>> {
            Ok(decoder.find_tag(tag)?.and_then(|value| numbers_of(&value)))
        };
        let shares = numbers(COEFFICIENTS)?.and_then(|found| found.try_into().ok());
        let levels = numbers(LEVELS)?.and_then(|found| found.try_into().ok());
        let shares = shares.filter(|[_, green, _]: &[f32; 3]| *green > 0.0);
        let levels = levels.filter(|levels: &[f32; 6]| {
            levels.chunks_exact(2).all(|level| matches!(level, [black, white] if black < white))
        });
        Ok(Self {
            shares: shares.unwrap_or([0.299, 0.587, 0.114]),
            levels: levels.unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]),
        })
    }

    fn to_rgb(&self, pixel: &mut [u8]) {
        let [y, cb, cr] = pixel else { return };
        let [y_black, y_white, cb_black, cb_white, cr_black, cr_white] = self.levels;
        let [red, green, blue] = self.shares;
        let full = |code: u8, black: f32, white: f32, range: f32| {
            (f32::from(code) - black) * range / (white - black)
        };
        let luma = full(*y, y_black, y_white, 255.0);
        let (b, r) = (full(*cb, cb_black, cb_white, 127.0), full(*cr, cr_black, cr_white, 127.0));
        let r = r * (2.0 - 2.0 * red) + luma;
        let b = b * (2.0 - 2.0 * blue) + luma;
        let g = (luma - blue * b - red * r) / green;
        [*y, *cb, *cr] = [r, g, b].map(|sample| sample.round().clamp(0.0, 255.0) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_and_the_primaries_become_rgb_by_the_levels_of_the_file() {
        let shares = [0.299, 0.587, 0.114];
        let full = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
        let limited = [16.0, 235.0, 128.0, 240.0, 128.0, 240.0];
        for (levels, code, expected) in [
            (full, [255, 128, 128], [255, 255, 255]),
            (full, [76, 85, 255], [254, 0, 0]),
            (limited, [16, 128, 128], [0, 0, 0]),
            (limited, [235, 128, 128], [255, 255, 255]),
            (limited, [81, 90, 240], [255, 0, 0]),
        ] {
            let mut pixel = code;
            Matrix { shares, levels }.to_rgb(&mut pixel);
            let error = pixel.iter().zip(expected).map(|(a, b): (&u8, u8)| a.abs_diff(b)).max();
            assert!(error <= Some(2), "{code:?}: {pixel:?}, not {expected:?}");
        }
    }

    #[test]
    fn other_files_are_left_to_other_decoders() {
        assert!(decode(b"II*\0", &Limits::default()).unwrap().is_none());
    }
}

//! Frames of GStreamer as pictures for a page.

use base64::Engine as _;
use image::{GrayImage, RgbImage, codecs::jpeg::JpegEncoder};

use super::Error;

/// JPEG quality, 1 to 100: artefacts must not be taken for those of a model.
const QUALITY: u8 = 93;

/// How long a conversion may take.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// The frame as R′G′B′ of 8 bits, as a player shows it without a conversion of HDR.
///
/// # Errors
/// [`Error::Convert`].
pub fn rgb(frame: &gst::Sample) -> Result<RgbImage, Error> {
    let (width, height, samples) = converted(frame, "RGB", 3)?;
    RgbImage::from_raw(width, height, samples).ok_or_else(wrong_size)
}

/// The frame's luma of 8 bits.
///
/// # Errors
/// [`Error::Convert`].
pub fn luma(frame: &gst::Sample) -> Result<GrayImage, Error> {
    let (width, height, samples) = converted(frame, "GRAY8", 1)?;
    GrayImage::from_raw(width, height, samples).ok_or_else(wrong_size)
}

/// A picture as the address of its own content.
///
/// # Errors
/// [`Error::Jpeg`].
pub fn data_url(picture: &RgbImage) -> Result<String, Error> {
    let text = base64::engine::general_purpose::STANDARD.encode(jpeg(picture)?);
    Ok(format!("data:image/jpeg;base64,{text}"))
}

/// A picture as a JPEG file.
///
/// # Errors
/// [`Error::Jpeg`].
pub fn jpeg(picture: &RgbImage) -> Result<Vec<u8>, Error> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(picture)?;
    Ok(jpeg)
}

fn converted(
    frame: &gst::Sample,
    format: &str,
    bytes: usize,
) -> Result<(u32, u32, Vec<u8>), Error> {
    let caps = gst::Caps::builder("video/x-raw").field("format", format).build();
    let sample = gst_video::convert_sample(frame, &caps, Some(TIMEOUT))?;
    let info = sample.caps().and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok());
    let (Some(info), Some(buffer)) = (info, sample.buffer()) else { return Err(wrong_size()) };
    let map = buffer.map_readable().map_err(|_| wrong_size())?;
    let stride = info.stride().first().and_then(|&it| usize::try_from(it).ok()).unwrap_or(0).max(1);
    let row = info.width() as usize * bytes;
    let rows = map.chunks(stride).take(info.height() as usize);
    let samples = rows.flat_map(|line| line.get(..row).unwrap_or_default()).copied().collect();
    Ok((info.width(), info.height(), samples))
}

fn wrong_size() -> Error {
    let text = "the converted frame has the wrong size";
    gst::glib::Error::new(gst::StreamError::Format, text).into()
}

//! Decodes still and animated pictures. The decoders of GStreamer 1.22 give only the first frame of an
//! animation and ignore how a photo is turned (EXIF).

use std::{io::Cursor, time::Duration};

use gst_video::{VideoFormat, VideoInfo};
use image::{
    AnimationDecoder as _, ColorType, DynamicImage, ImageDecoder as _, ImageFormat, ImageReader,
    ImageResult, Limits,
    codecs::{gif::GifDecoder, png::PngDecoder, webp::WebPDecoder},
};

use super::{planes, tiff_ycbcr};

/// The media types of pictures that are decoded here.
const MEDIA: &[&str] =
    &["image/png", "image/gif", "image/webp", "image/bmp", "image/tiff", "image/jpeg"];

/// More than a frame may have in the element, in bytes.
const MAX_BYTES: u64 = 1 << 33;

/// A field of caps: all samples of the alpha channel are opaque. GStreamer 1.22 has no R′G′B′ format of
/// 16 bits without alpha.
pub const OPAQUE: &str = "opaque";

/// A decoded frame.
pub struct Frame {
    pub image: DynamicImage,
    /// How long it is shown; `None` for a still picture.
    pub duration: Option<Duration>,
}

/// Whether these are the caps of a picture file.
pub fn is_picture(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|media| MEDIA.contains(&media.name().as_str()))
}

/// Decodes a picture file. Calls `on_frame` for each frame, in order, until that returns `false`.
///
/// # Errors
/// The file is damaged or of an unknown format. Frames before the damage have been given out.
pub fn decode(file: &[u8], mut on_frame: impl FnMut(Frame) -> bool) -> ImageResult<()> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits.clone());
    let animation = match reader.format() {
        Some(ImageFormat::Gif) => Some(GifDecoder::new(Cursor::new(file))?.into_frames()),
        Some(ImageFormat::Png) => {
            let decoder = PngDecoder::with_limits(Cursor::new(file), limits.clone())?;
            decoder.is_apng()?.then(|| decoder.apng()).transpose()?.map(|it| it.into_frames())
        }
        Some(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(Cursor::new(file))?;
            decoder.has_animation().then(|| decoder.into_frames())
        }
        _ => None,
    };
    if reader.format() == Some(ImageFormat::Tiff)
        && let Some(image) = tiff_ycbcr::decode(file, &limits)?
    {
        on_frame(Frame { image, duration: None });
        return Ok(());
    }
    let Some(animation) = animation else {
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        on_frame(Frame { image, duration: None });
        return Ok(());
    };
    for frame in animation {
        let frame = frame?;
        let duration = Some(shown(frame.delay().into()));
        let image = without_alpha_if_opaque(frame.into_buffer().into());
        if !on_frame(Frame { image, duration }) {
            break;
        }
    }
    Ok(())
}

/// Animations are decoded with alpha whether they have it or not.
fn without_alpha_if_opaque(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgba8(image) if image.pixels().all(|pixel| pixel.0[3] == u8::MAX) => {
            DynamicImage::ImageRgba8(image).into_rgb8().into()
        }
        image => image,
    }
}

/// Browsers show a frame of an animation with a very short delay for 100 ms.
fn shown(delay: Duration) -> Duration {
    if delay < Duration::from_millis(11) { Duration::from_millis(100) } else { delay }
}

impl Frame {
    /// The caps of the frame, and a buffer with it; `None` if it is too large.
    pub fn into_buffer(self, rate: gst::Fraction) -> Option<(gst::Caps, gst::Buffer)> {
        let is_opaque = !self.image.color().has_alpha();
        // GStreamer has no format for grey with alpha, nor for floating-point samples.
        let image = match self.image.color() {
            ColorType::L8 | ColorType::Rgb8 | ColorType::Rgba8 | ColorType::L16 => self.image,
            ColorType::La8 => DynamicImage::ImageRgba8(self.image.into_rgba8()),
            _ => DynamicImage::ImageRgba16(self.image.into_rgba16()),
        };
        let (format, colorimetry) = match image.color() {
            ColorType::L8 => (VideoFormat::Gray8, GRAY),
            ColorType::L16 => (VideoFormat::Gray16Le, GRAY),
            ColorType::Rgb8 => (VideoFormat::Rgb, RGB),
            ColorType::Rgba8 => (VideoFormat::Rgba, RGB),
            _ => (VideoFormat::Rgba64Le, RGB),
        };
        let info = VideoInfo::builder(format, image.width(), image.height()).fps(rate);
        let info = info.build().ok()?;
        let mut caps = info.to_caps().ok()?;
        let media = caps.make_mut().structure_mut(0)?;
        media.set("colorimetry", colorimetry);
        if is_opaque && info.has_alpha() {
            media.set(OPAQUE, true);
        }
        Some((caps, planes::to_buffer(&info, image.as_bytes())?))
    }
}

/// Full range, the transfer function of sRGB; the matrix does not matter.
const GRAY: &str = "1:4:7:1";
const RGB: &str = "sRGB";

/// Whether a file that begins like this is film: JPEG pictures that follow each other. Photos can
/// also contain several pictures (a preview, a gain map), but say so in a header of Exif or of the
/// Multi-Picture Format (CIPA DC-007).
pub fn is_motion_jpeg(start: &[u8]) -> bool {
    let has = |text: &[u8]| start.windows(text.len()).any(|it| it == text);
    start.starts_with(b"\xff\xd8")
        && has(b"\xff\xd9\xff\xd8\xff")
        && !has(b"Exif\0")
        && !has(b"MPF\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    fn frames(file: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        decode(file, |frame| {
            frames.push(frame);
            true
        })
        .unwrap();
        frames
    }

    #[test]
    fn depth_and_alpha_of_a_picture_stay() {
        gst::init().unwrap();
        for (image, format) in [
            (DynamicImage::new_luma8(5, 3), "GRAY8"),
            (DynamicImage::new_luma16(5, 3), "GRAY16_LE"),
            (DynamicImage::new_luma_a8(5, 3), "RGBA"),
            (DynamicImage::new_rgb8(5, 3), "RGB"),
            (DynamicImage::new_rgba8(5, 3), "RGBA"),
            (DynamicImage::new_rgb16(5, 3), "RGBA64_LE"),
            (DynamicImage::new_rgba16(5, 3), "RGBA64_LE"),
        ] {
            let frame = frames(&encoded(&image, ImageFormat::Png)).remove(0);
            let (caps, _) = frame.into_buffer(gst::Fraction::new(0, 1)).unwrap();
            let media = caps.structure(0).unwrap();
            assert_eq!(media.get::<&str>("format").unwrap(), format);
            let is_opaque = media.get(OPAQUE) == Ok(true);
            assert_eq!(is_opaque, image.color() == ColorType::Rgb16);
        }
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let file = encoded(&DynamicImage::new_rgb8(50, 30), ImageFormat::Png);
        for end in [0, 4, 20, file.len() / 2] {
            assert!(decode(&file[..end], |_| true).is_err(), "{end}");
        }
    }

    #[test]
    fn pictures_that_follow_each_other_are_film_unless_a_header_says_that_they_are_one_photo() {
        let film = b"\xff\xd8\xff\xdb..\xff\xd9\xff\xd8\xff\xdb";
        assert!(is_motion_jpeg(film));
        assert!(!is_motion_jpeg(&film[..8]));
        assert!(!is_motion_jpeg(b"\xff\xd8\xff\xe1\0\0Exif\0\0\xff\xd9\xff\xd8\xff\xdb"));
    }
}

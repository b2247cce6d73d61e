//! Watermarks: a picture, or a text that is drawn once.

use std::{fs, io::Cursor, path::Path, sync::Arc};

use clap::ValueEnum;
use gst::{glib, prelude::*};
use gst_app::AppSink;
use image::{ImageFormat, ImageReader, Limits, RgbaImage, imageops};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::Error;

/// Where a watermark is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    TopLeft,
    TopRight,
    BottomLeft,
    #[default]
    BottomRight,
    Center,
}

/// A picture on top of another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Watermark {
    pub picture: Arc<RgbaImage>,
    pub place: Place,
    /// Its width as a share of that of the other picture.
    pub size: f64,
    /// 0 to 1.
    pub opacity: f64,
}

/// The largest width and height.
const MAX_SIDE: u32 = 4096;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1 << 26;

/// Reads a picture file.
///
/// # Errors
/// See [`Error`].
pub fn read(path: &Path) -> Result<RgbaImage, Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    if fs::metadata(path).map_err(failed)?.len() > MAX_BYTES {
        return Err(Error::TooLarge(path.into()));
    }
    let file = fs::read(path).map_err(failed)?;
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(failed)?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    reader.limits(limits);
    let picture = reader.decode().map_err(|source| match source {
        image::ImageError::Limits(_) => Error::TooLarge(path.into()),
        source => Error::Picture { path: path.into(), source },
    })?;
    trimmed(&picture.into_rgba8()).ok_or_else(|| Error::Transparent(path.into()))
}

/// The digest of the content of a picture.
pub fn digest(picture: &RgbaImage) -> String {
    let mut hash = Sha256::new();
    hash.update(picture.width().to_le_bytes());
    hash.update(picture.as_raw());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Watermark {
    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`Error::Encode`].
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let mut png = Cursor::new(Vec::new());
        let picture = &*self.picture;
        picture.write_to(&mut png, ImageFormat::Png).map_err(Error::Encode)?;
        Ok(png.into_inner())
    }
}

/// Draws a text in white with a dark outline.
///
/// # Errors
/// [`Error::MissingElement`] or [`Error::Text`].
pub fn draw(text: &str) -> Result<RgbaImage, Error> {
    // Wide enough for the longest text.
    let (width, height) = (8192, 256);
    let description = format!(
        "videotestsrc num-buffers=1 pattern=solid-color foreground-color=0 \
         ! video/x-raw,format=RGBA,width={width},height={height} \
         ! textoverlay name=text auto-resize=false wrap-mode=none draw-shadow=false \
           halignment=center valignment=center font-desc=\"Sans Bold 64px\" \
         ! videoconvert ! video/x-raw,format=RGBA ! appsink name=sink sync=false"
    );
    let mut context = gst::ParseContext::new();
    let flags = gst::ParseFlags::FATAL_ERRORS;
    let parsed = gst::parse::launch_full(&description, Some(&mut context), flags);
    let parsed = parsed.map_err(|error| match context.missing_elements().as_slice() {
        [] => Error::Text(error.to_string()),
        missing => Error::MissingElement(missing.join(", ")),
    })?;
    let missing = || Error::Text("the pipeline gave no picture".into());
    let pipeline = parsed.downcast::<gst::Pipeline>().map_err(|_| missing())?;
    if let Some(overlay) = pipeline.by_name("text") {
        // It is parsed as markup.
        overlay.set_property("text", glib::markup_escape_text(text).as_str());
    }
    let sink = pipeline.by_name("sink").and_downcast::<AppSink>().ok_or_else(missing)?;
    let started = pipeline.set_state(gst::State::Playing);
    let sample = sink.try_pull_sample(gst::ClockTime::from_seconds(60));
    let stopped = pipeline.set_state(gst::State::Null);
    started.and(stopped).map_err(|error| Error::Text(error.to_string()))?;
    let sample = sample.ok_or_else(missing)?;
    let map = sample.buffer().ok_or_else(missing)?.map_readable();
    let map = map.map_err(|error| Error::Text(error.to_string()))?;
    let picture = RgbaImage::from_raw(width, height, map.to_vec()).ok_or_else(missing)?;
    trimmed(&picture).ok_or_else(|| Error::Text("no font has its characters".into()))
}

/// The part of a picture that is not transparent. `None` if nothing is.
fn trimmed(picture: &RgbaImage) -> Option<RgbaImage> {
    let seen = picture.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] > 0);
    let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
    for (x, y, _) in seen {
        (left, top) = (left.min(x), top.min(y));
        (right, bottom) = (right.max(x + 1), bottom.max(y + 1));
    }
    let (width, height) = (right.checked_sub(left)?, bottom.checked_sub(top)?);
    Some(imageops::crop_imm(picture, left, top, width, height).to_image())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_borders_do_not_count() {
        let mut picture = RgbaImage::new(20, 10);
        assert_eq!(trimmed(&picture), None);
        picture.put_pixel(3, 4, image::Rgba([1, 2, 3, 255]));
        picture.put_pixel(8, 5, image::Rgba([1, 2, 3, 9]));
        assert_eq!(trimmed(&picture).unwrap().dimensions(), (6, 2));
    }

    #[test]
    fn a_text_is_drawn_as_it_is_and_its_outline_is_dark() {
        gst::init().unwrap();
        let [short, long] = ["<b>", "<b> & more"].map(|text| draw(text).unwrap());
        assert!(
            long.width() > 2 * short.width() && short.height() > 30,
            "{:?}",
            short.dimensions()
        );
        let has = |is: fn(&[u8; 4]) -> bool| short.pixels().any(|pixel| is(&pixel.0));
        assert!(has(|it| *it == [255; 4]), "white");
        assert!(has(|it| it[3] > 200 && it[0] < 80), "outline");
        assert!(has(|it| it[3] == 0), "background");
    }

    #[test]
    fn files_that_are_no_pictures_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark.png");
        assert!(matches!(read(&path), Err(Error::Read { .. })));
        fs::write(&path, "no picture").unwrap();
        assert!(matches!(read(&path), Err(Error::Picture { .. })));
        RgbaImage::new(4, 4).save(&path).unwrap();
        assert!(matches!(read(&path), Err(Error::Transparent(_))));
        image::RgbImage::new(5000, 1).save(&path).unwrap();
        assert!(matches!(read(&path), Err(Error::TooLarge(_))));
    }
}

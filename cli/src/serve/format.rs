//! The format of a result.

use image::ImageFormat;

/// The formats that the page offers: containers of films, then pictures.
pub const FORMATS: [&str; 8] = ["mkv", "mp4", "mov", "webm", "png", "jpg", "tif", "bmp"];

/// Whether it is a format of pictures.
pub fn is_picture(format: &str) -> bool {
    matches!(format, "png" | "jpg" | "tif" | "bmp")
}

/// The format of this name is none that can be written.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the format {0} is not supported; expected one of: {list}", list = FORMATS.join(", "))]
pub struct Error(String);

/// One of [`FORMATS`] by its name.
///
/// # Errors
/// See [`Error`].
pub fn named(name: &str) -> Result<&'static str, Error> {
    FORMATS.into_iter().find(|it| *it == name).ok_or_else(|| Error(name.into()))
}

/// The format for an input that begins with `head`. Pictures are recognized by their content. A film
/// keeps the format of its name if that can be written; otherwise it becomes a Matroska file, which
/// holds every kind of stream.
pub fn for_input(head: &[u8], name: &str) -> &'static str {
    match image::guess_format(head) {
        Ok(ImageFormat::Png) if !contains(head, b"acTL") => return "png",
        Ok(ImageFormat::WebP) if !contains(head, b"ANIM") => return "png",
        Ok(ImageFormat::Jpeg) => return "jpg",
        Ok(ImageFormat::Tiff) => return "tif",
        Ok(ImageFormat::Bmp) => return "bmp",
        _ => {}
    }
    match name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "mp4" | "m4v" => "mp4",
        "mov" => "mov",
        "webm" => "webm",
        _ => "mkv",
    }
}

/// Animated PNG and WebP files have such a chunk before their first frame.
fn contains(head: &[u8], chunk: &[u8]) -> bool {
    head.windows(chunk.len()).any(|it| it == chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_recognized_by_content_and_films_keep_their_format() {
        const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
        assert_eq!(for_input(PNG, "a.mp4"), "png");
        assert_eq!(for_input(&[PNG, b"\0\0\0\0\0\0\0\0\0acTL"].concat(), "a.png"), "mkv");
        assert_eq!(for_input(b"\xff\xd8\xff\xe0", "a"), "jpg");
        assert_eq!(for_input(b"RIFF\0\0\0\0WEBPVP8 ", "a.webp"), "png");
        assert_eq!(for_input(b"GIF89a", "a.gif"), "mkv");
        assert_eq!(for_input(b"", "A.MP4"), "mp4");
        assert_eq!(for_input(b"", "../../etc/passwd"), "mkv");
    }

    #[test]
    fn only_known_formats_are_accepted() {
        assert_eq!(named("mkv"), Ok("mkv"));
        for name in ["", "y4m", "../mkv", "MKV", "exe"] {
            assert!(named(name).is_err(), "{name}");
        }
    }
}

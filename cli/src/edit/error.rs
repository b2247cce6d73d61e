//! Why a film cannot be edited.

use std::{io, path::PathBuf};

/// Why a film cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the watermark {path} could not be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the watermark {path} is no picture that can be read: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("the watermark {0} is too large; use a picture of at most 4096×4096 pixels")]
    TooLarge(PathBuf),
    #[error("the watermark could not be stored: {0}")]
    Encode(image::ImageError),
    #[error("the watermark {0} is completely transparent")]
    Transparent(PathBuf),
    #[error("the text of the watermark could not be drawn: {0}")]
    Text(String),
    #[error(
        "the GStreamer element {0}, which draws the text of the watermark, is not available; install \
         the plugin that contains it, or use --watermark with a picture"
    )]
    MissingElement(String),
}

//! Why there is no preview.

use std::path::PathBuf;

use crate::{gstreamer, harness, media, part_file, print, remaster};

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    GStreamer(#[from] gstreamer::Error),
    #[error(transparent)]
    Media(#[from] media::Error),
    #[error(transparent)]
    Remaster(#[from] remaster::Error),
    #[error("the model {model} could not be run: {source}")]
    Model { model: String, source: harness::Error },
    #[error("{path} could not be decoded: {why}")]
    Decode { path: PathBuf, why: String },
    #[error("{path} could not be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("a frame could not be converted for the page: {0}")]
    Convert(#[from] gst::glib::Error),
    #[error("a frame could not be written as JPEG: {0}")]
    Jpeg(#[from] image::ImageError),
    #[error(transparent)]
    Part(#[from] part_file::Error),
    #[error("signals cannot be handled: {0}")]
    Signal(std::io::Error),
    #[error("stopped; nothing was written")]
    Stopped,
    #[error(transparent)]
    Print(#[from] print::Error),
}

//! Why a measurement failed.

use gst::glib;
use gstupscale::{cuda, engine, frame, model};

use crate::{gstreamer, harness, print};

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there are no frames to process")]
    NoFrames,
    #[error(transparent)]
    Print(#[from] print::Error),
    #[error(transparent)]
    GStreamer(#[from] gstreamer::Error),
    #[error(transparent)]
    Glib(#[from] glib::BoolError),
    #[error(transparent)]
    Harness(#[from] harness::Error),
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Engine(#[from] engine::Error),
    #[error(transparent)]
    Frame(#[from] frame::Error),
    #[error(transparent)]
    Cuda(#[from] cuda::Error),
}

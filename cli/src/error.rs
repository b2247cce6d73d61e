//! Why a check of `selftest` or a measurement of `bench` could not run.

use std::io;

use gst::glib;
use gstupscale::{cuda, engine, frame, model};

use crate::{gstreamer, harness, part_file, print};

/// Why a check or a measurement could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there are no frames to process")]
    NoFrames,
    #[error("/proc/self/status could not be read: {0}")]
    Status(io::Error),
    #[error("/proc/self/status has no VmRSS")]
    NoVmRss,
    #[error(transparent)]
    Output(#[from] part_file::Error),
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

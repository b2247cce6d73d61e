//! Why a command failed.

use gst::glib;
use gstupscale::{cuda, engine, frame, model, upscaler};

use crate::{
    bench, gstreamer, harness,
    models::{check, convert, fetch},
    part_file, print, selftest, upscale,
};

/// Why a command failed. Each variant carries the error of one module, whose message is complete.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Error {
    Print(#[from] print::Error),
    GStreamer(#[from] gstreamer::Error),
    Glib(#[from] glib::BoolError),
    Output(#[from] part_file::Error),
    Harness(#[from] harness::Error),
    Model(#[from] model::Error),
    Engine(#[from] engine::Error),
    Frame(#[from] frame::Error),
    Cuda(#[from] cuda::Error),
    Upscaler(#[from] upscaler::Error),
    Upscale(#[from] upscale::Error),
    Fetch(#[from] fetch::Error),
    Convert(#[from] convert::Error),
    Check(#[from] check::Error),
    Selftest(#[from] selftest::Error),
    Bench(#[from] bench::Error),
}

//! Why a video was not enlarged.

use std::{
    io,
    path::{Path, PathBuf},
};

use gst::glib;

use super::{codec::Codec, container, encoder};
use crate::{edit, gstreamer, part_file, print};

/// Why a video was not enlarged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} does not exist")]
    NoInput(PathBuf),
    #[error("{0} is empty")]
    EmptyInput(PathBuf),
    #[error("{0} is a directory; name a file in it")]
    InputDirectory(PathBuf),
    #[error("{path} could not be read: {why}")]
    ReadInput { path: PathBuf, why: io::ErrorKind },
    #[error(
        "{missing} does not exist, but {last} does; number the pictures of a sequence without gaps"
    )]
    Gap { missing: PathBuf, last: PathBuf },
    #[error("the output could not be opened: {0}")]
    Target(io::Error),
    #[error(
        "{input} has more than one frame; name a sequence of pictures, for example {example}",
        example = example(.output).display()
    )]
    ManyFrames { input: PathBuf, output: PathBuf },
    #[error("--frame-rate is for sequences of pictures; {0} is not one")]
    FrameRate(PathBuf),
    #[error("{uri} could not be opened: {error}")]
    Uri { uri: String, error: glib::Error },
    #[error("{codec} video must have an even width and height; {pixels} is odd")]
    OddSize { codec: Codec, pixels: i32 },
    #[error(
        "the input is HDR video, which H.264 would store with 8 bits and without its metadata; use \
         --codec h265, or --allow-8-bit-hdr"
    )]
    HdrInH264,
    #[error("invalid value '{value}' for --{name}: expected {expected}")]
    PropertyValue { name: String, value: String, expected: String },
    #[error("the element upscale has no property {0}")]
    NoProperty(String),
    #[error("the GStreamer element {0} is not available; install the plugin that contains it")]
    MissingElement(String),
    #[error("the pipeline could not be built: {0}")]
    Build(#[from] glib::BoolError),
    #[error("the pipeline could not be built: {0}")]
    Parse(glib::Error),
    #[error("{0} can be read only once; --start and --end need a file")]
    RangeOfPipe(PathBuf),
    #[error("the pipeline could not be started: {0}")]
    Start(gst::StateChangeError),
    #[error("{0} has no video")]
    NoVideo(PathBuf),
    #[error(
        "the video of {0} could not be decoded: GStreamer does not support its pixel format, or the \
         file is damaged; convert it to another format first, for example with FFmpeg"
    )]
    Undecodable(PathBuf),
    #[error(
        "the colours of {input} are stored with a matrix that GStreamer does not support ({matrix}); \
         convert them first, for example with `ffmpeg -i {input} -vf zscale=matrix=709 …`"
    )]
    Matrix { input: PathBuf, matrix: &'static str },
    #[error("no frame of {input} could be decoded; {why}")]
    NoFrames { input: PathBuf, why: String },
    /// The message of the element `upscale`, which is complete.
    #[error("{0}")]
    Upscale(String),
    /// The message of another element. `origin` is its name, or the plugin that it needs.
    #[error("{input} could not be enlarged: {message} ({origin})")]
    Element { input: PathBuf, message: String, origin: String },
    #[error(transparent)]
    Container(#[from] container::Error),
    #[error(transparent)]
    Encoder(#[from] encoder::Error),
    #[error(transparent)]
    Edit(#[from] edit::Error),
    #[error(transparent)]
    GStreamer(#[from] gstreamer::Error),
    #[error(transparent)]
    Output(#[from] part_file::Error),
    #[error(transparent)]
    Print(#[from] print::Error),
}

/// `picture.png` → `picture%05d.png`.
fn example(output: &Path) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push("%05d.");
    name.push(output.extension().unwrap_or_default());
    output.with_file_name(name)
}

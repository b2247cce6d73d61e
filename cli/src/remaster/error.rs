//! Why a remaster failed.

use std::{io, path::PathBuf};

use gst::glib;

use super::{exit::Exit, folder, plan};
use crate::{gstreamer, media, part_file, print};

/// Why a remaster failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no video could be decoded from {0}")]
    NoFrames(PathBuf),
    #[error("{0} can be read only once, so it cannot be enlarged in segments; use a file")]
    ReadOnce(PathBuf),
    #[error(
        "{0} consists of several recordings, which cannot be enlarged in segments; use \
         `gst-upscale upscale`"
    )]
    Joined(PathBuf),
    #[error(
        "the pictures from frame {0} on differ from those that the plan was made for; use the same \
         versions of GStreamer and its decoders, or make a new plan"
    )]
    OtherPictures(usize),
    #[error(
        "the model has changed since the plan was made; use the same model, or make a new plan"
    )]
    ModelChanged,
    #[error("there is no segment {segment}: the plan has {total}, counted from 0")]
    NoSegment { segment: usize, total: usize },
    #[error("segments {0:?} are missing or damaged; compute them with `gst-upscale remaster work`")]
    Missing(Vec<usize>),
    #[error("the segments were encoded by different encoders; make a new plan with --restart")]
    OtherEncoder,
    #[error("give the number of a segment; this is not a task of an array job")]
    NoIndex,
    #[error("{program} rejected the job: {why}")]
    Submit { program: &'static str, why: String },
    #[error("stopped; the finished segments are kept")]
    Stopped,
    #[error(
        "another run of gst-upscale works on {0}; wait for it, or help it with \
         `gst-upscale remaster work`"
    )]
    Locked(PathBuf),
    /// The message of an element. `origin` is its name.
    #[error("{message} ({origin})")]
    Element { message: String, origin: String },
    #[error("the pipeline could not be started: {0}")]
    Start(gst::StateChangeError),
    #[error("the encoder stopped: {0}")]
    Flow(gst::FlowError),
    #[error("the pipeline could not be built: {0}")]
    Build(#[from] glib::BoolError),
    #[error("signals cannot be handled: {0}")]
    Signal(io::Error),
    #[error("the status could not be written: {0}")]
    Json(#[from] io::Error),
    #[error(transparent)]
    Model(#[from] gstupscale::model::Error),
    #[error(transparent)]
    Plan(#[from] plan::Error),
    #[error(transparent)]
    Folder(#[from] folder::Error),
    #[error(transparent)]
    Media(#[from] media::Error),
    #[error(transparent)]
    Output(#[from] part_file::Error),
    #[error(transparent)]
    GStreamer(#[from] gstreamer::Error),
    #[error(transparent)]
    Print(#[from] print::Error),
}

impl From<folder::LockError> for Error {
    fn from(error: folder::LockError) -> Self {
        match error {
            folder::LockError::Locked(folder) => Self::Locked(folder),
            folder::LockError::Folder(error) => error.into(),
        }
    }
}

impl Error {
    /// What a scheduler should do.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stopped
            | Self::Locked(_)
            | Self::Element { .. }
            | Self::Start(_)
            | Self::Flow(_)
            | Self::Media(media::Error::Element { .. })
            | Self::Signal(_)
            | Self::Folder(folder::Error::Write { .. } | folder::Error::Read { .. })
            | Self::Plan(plan::Error::Input { .. } | plan::Error::Folder(_)) => Exit::TryAgain,
            _ => Exit::Hopeless,
        }
    }
}

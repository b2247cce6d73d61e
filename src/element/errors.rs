//! Every failure of the element, and the message that is posted on the bus for it.

use std::error::Error as _;

use gst::prelude::*;

use super::{profiles::ProfileError, sizes::TooLarge, video_info::FrameError};
use crate::{engine, frame, model, upscaler};

/// Why the element cannot continue.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Inference(#[from] engine::Error),
    #[error(transparent)]
    Upscaler(#[from] upscaler::Error),
    #[error(
        "the output would have {}x{} pixels, and neither side may exceed {}; reduce scale, or \
         set a size with caps after upscale", .0.width, .0.height, frame::FrameInfo::MAX_SIDE
    )]
    TooLarge(TooLarge),
    #[error("interlaced video is not supported; add the element deinterlace before upscale")]
    Interlaced,
    #[error(
        "a frame has {actual} bytes, but its caps require {expected}; correct the format and the \
         size in the caps before upscale, or find out why the previous element truncates frames"
    )]
    ShortFrame { actual: usize, expected: usize },
    #[error("unsupported frame format or size: {0}")]
    Frames(#[from] FrameError),
    #[error("not enough memory for an enlarged frame; reduce scale")]
    NoMemory,
    #[error(
        "with these values of tile-size and halo a frame takes {0:.0} times as much computing as \
         without tiles; set tile-size to 0, or to at least four times the halo"
    )]
    CostlySettings(f64),
    #[error(transparent)]
    Profiles(#[from] ProfileError),
    #[error("no model is loaded")]
    NoEngine,
    #[error("cannot start a thread to load the model: {0}")]
    NoThread(std::io::Error),
    #[error("loading the model panicked, which is a bug in upscale; please report it")]
    Panicked,
}

/// Whether a failure ends the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The stream continues with the previous model.
    Warning,
    /// The stream ends.
    Error,
}

/// An error code of one of the domains that this element uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Library(gst::LibraryError),
    Resource(gst::ResourceError),
    Stream(gst::StreamError),
}

impl Failure {
    fn code(&self) -> Code {
        use Code::{Library, Resource, Stream};
        use gst::{LibraryError, ResourceError, StreamError};

        match self {
            Self::Model(error) => match error {
                model::Error::NotFound { .. } => Resource(ResourceError::NotFound),
                model::Error::Io { .. } => Resource(ResourceError::OpenRead),
                model::Error::Damaged { .. } => Resource(ResourceError::Read),
                model::Error::Unsuitable { .. } => Resource(ResourceError::Settings),
                _ => Resource(ResourceError::Failed),
            },
            Self::Inference(error) | Self::Upscaler(upscaler::Error::Inference(error)) => {
                match error {
                    engine::Error::NoLibrary { .. } => Library(LibraryError::Init),
                    engine::Error::Unavailable { .. }
                    | engine::Error::NotOnCpu(_)
                    | engine::Error::NotBuilt { .. }
                    | engine::Error::NoProvider { .. }
                    | engine::Error::Precision { .. } => Library(LibraryError::Settings),
                    error if error.smaller_may_succeed() => Resource(ResourceError::NoSpaceLeft),
                    engine::Error::Gpu(_) => Resource(ResourceError::Failed),
                    _ => Library(LibraryError::Failed),
                }
            }
            Self::Upscaler(upscaler::Error::OutOfMemory(_)) | Self::NoMemory => {
                Resource(ResourceError::NoSpaceLeft)
            }
            Self::Upscaler(upscaler::Error::NoFidelity) => Library(LibraryError::Settings),
            Self::Upscaler(upscaler::Error::Device(_)) => Resource(ResourceError::Failed),
            Self::Upscaler(_)
            | Self::TooLarge(_)
            | Self::Interlaced
            | Self::ShortFrame { .. }
            | Self::Frames(_) => Stream(StreamError::Format),
            Self::CostlySettings(_) => Library(LibraryError::Settings),
            Self::Profiles(ProfileError::Read { .. }) => Resource(ResourceError::OpenRead),
            Self::Profiles(_) => Resource(ResourceError::Settings),
            Self::NoEngine | Self::Panicked => Library(LibraryError::Failed),
            Self::NoThread(_) => Resource(ResourceError::Failed),
        }
    }

    /// Whether work was ended early by a flush or a state change.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Inference(engine::Error::Cancelled)
                | Self::Upscaler(upscaler::Error::Inference(engine::Error::Cancelled))
        )
    }

    /// The failure and its causes, for developers.
    fn debug(&self) -> String {
        let mut text = format!("{self:?}");
        let mut source = self.source();
        while let Some(error) = source {
            text.push_str(&format!("; caused by {error}"));
            source = error.source();
        }
        text
    }

    /// Posts the failure on the bus of `element`.
    pub(crate) fn post(&self, element: &gst::Element, severity: Severity) {
        let kind = match severity {
            Severity::Warning => gst::ElementMessageType::Warning,
            Severity::Error => gst::ElementMessageType::Error,
        };
        let (text, debug) = (sentence(&self.to_string()), self.debug());
        let (text, debug) = (Some(text.as_str()), Some(debug.as_str()));
        let place = (file!(), module_path!(), line!());
        match self.code() {
            Code::Library(code) => {
                element.message_full(kind, code, text, debug, place.0, place.1, place.2);
            }
            Code::Resource(code) => {
                element.message_full(kind, code, text, debug, place.0, place.1, place.2);
            }
            Code::Stream(code) => {
                element.message_full(kind, code, text, debug, place.0, place.1, place.2);
            }
        }
    }

    /// The failure as a message that the caller posts.
    pub(crate) fn message(&self) -> gst::ErrorMessage {
        let (text, debug) = (sentence(&self.to_string()), self.debug());
        match self.code() {
            Code::Library(code) => gst::error_msg!(code, ("{text}"), ["{debug}"]),
            Code::Resource(code) => gst::error_msg!(code, ("{text}"), ["{debug}"]),
            Code::Stream(code) => gst::error_msg!(code, ("{text}"), ["{debug}"]),
        }
    }
}

/// Ends `text` with a full stop, like GStreamer's own messages. The first letter is left alone
/// because it may belong to a file name.
fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

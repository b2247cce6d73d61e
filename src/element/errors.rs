//! Everything that can go wrong, as element messages.

use std::error::Error as _;

use gst::prelude::*;

use super::sizes::TooLarge;
use crate::{cuda, engine, frame, model, upscaler};

/// Why the element cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Model(#[from] model::Error),
    #[error(transparent)]
    Inference(#[from] engine::Error),
    #[error(transparent)]
    Upscaler(#[from] upscaler::Error),
    #[error(
        "the frames would be {}x{} pixels large, and no side can have more than {}: set scale to \
         less, or ask for a size with caps behind upscale", .0.width, .0.height,
        frame::FrameInfo::MAX_SIDE
    )]
    TooLarge(TooLarge),
    #[error("interlaced video cannot be upscaled: put the element deinterlace in front of upscale")]
    Interlaced,
    #[error(
        "a frame of {got} bytes came where its caps ask for {wanted}: correct the format and the \
         size that the element in front of upscale names, or find out why it cuts frames short"
    )]
    Short { got: usize, wanted: usize },
    #[error("the frames cannot be handled: {0}")]
    Frames(String),
    #[error("no memory for an enlarged frame: set scale to less")]
    NoMemory,
    #[error("no thread could be started for loading the model: {0}")]
    NoThread(std::io::Error),
    #[error("loading the model ended in a panic, which is a bug in upscale: please report it")]
    Panicked,
}

/// How bad a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The pipeline goes on with what it had.
    Warning,
    /// The pipeline ends.
    Error,
}

/// The three domains of GStreamer's errors that are used here.
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
                    | engine::Error::NoProvider { .. }
                    | engine::Error::Precision { .. } => Library(LibraryError::Settings),
                    engine::Error::OutOfMemory => Resource(ResourceError::NoSpaceLeft),
                    engine::Error::Gpu(_) => Resource(ResourceError::Failed),
                    _ => Library(LibraryError::Failed),
                }
            }
            Self::Upscaler(
                upscaler::Error::NoMemory { .. }
                | upscaler::Error::TooLarge { .. }
                | upscaler::Error::Device(cuda::Error::OutOfMemory { .. }),
            )
            | Self::NoMemory => Resource(ResourceError::NoSpaceLeft),
            Self::Upscaler(upscaler::Error::Device(_)) => Resource(ResourceError::Failed),
            Self::Upscaler(_)
            | Self::TooLarge(_)
            | Self::Interlaced
            | Self::Short { .. }
            | Self::Frames(_) => Stream(StreamError::Format),
            Self::Panicked => Library(LibraryError::Failed),
            Self::NoThread(_) => Resource(ResourceError::Failed),
        }
    }

    /// The failure and all that led to it, for developers.
    fn debug(&self) -> String {
        let mut text = format!("{self:?}");
        let mut source = self.source();
        while let Some(error) = source {
            text.push_str(&format!("; because {error}"));
            source = error.source();
        }
        text
    }

    /// Posts this on the bus of `element`.
    pub fn post(&self, element: &gst::Element, severity: Severity) {
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

    /// For the virtual methods that post the message themselves.
    pub fn message(&self) -> gst::ErrorMessage {
        let (text, debug) = (sentence(&self.to_string()), self.debug());
        match self.code() {
            Code::Library(code) => gst::error_msg!(code, ("{text}"), ["{debug}"]),
            Code::Resource(code) => gst::error_msg!(code, ("{text}"), ["{debug}"]),
            Code::Stream(code) => gst::error_msg!(code, ("{text}"), ["{debug}"]),
        }
    }
}

/// GStreamer's own messages end in a full stop. They begin with a capital too, but here a file's
/// name may come first.
fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

//! Decoding the video of the input. Planning and working use the same elements, so they see the
//! same pictures.

use std::path::Path;

use gst::prelude::*;
use gst_app::AppSink;

use super::Error;
use crate::upscale::elements::{by_name, decode_bin, link, make, sink_pad, source_pad};

/// The name of the element that passes on the decoded pictures.
const DECODED: &str = "decoded";

/// Adds `filesrc ! parsebin ! decodebin ! REST ! sink` to the pipeline, for the first video stream
/// of the input. `rest` is in the syntax of `gst-launch-1.0`.
///
/// # Errors
/// [`Error::Upscale`] if an element is not available or cannot be linked.
pub fn add(
    pipeline: &gst::Pipeline,
    input: &Path,
    rest: &str,
    sink: &AppSink,
) -> Result<Source, Error> {
    let file = make("filesrc")?;
    file.set_property("location", input);
    let parser = make("parsebin")?;
    let video = decode_bin(&format!("identity name={DECODED} ! {rest}"))?;
    pipeline.add_many([&file, &parser])?;
    pipeline.add(&video)?;
    pipeline.add(sink)?;
    file.link(&parser)?;
    video.link(sink)?;
    let (encoded, decoded) =
        (sink_pad(video.upcast_ref())?, source_pad(&by_name(&video, DECODED)?)?);
    let first = encoded.downgrade();
    parser.connect_pad_added(move |parser, pad| {
        let Some(video) = first.upgrade().filter(|it| !it.is_linked() && is_video(pad)) else {
            return;
        };
        if let Err(error) = link(pad, &video) {
            gst::element_error!(parser, gst::StreamError::Failed, ("{error}"));
        }
    });
    Ok(Source { bin: video, encoded, decoded })
}

/// The elements that decode, and the places where pictures can be looked at.
pub struct Source {
    pub bin: gst::Bin,
    /// Takes the encoded pictures.
    pub encoded: gst::Pad,
    /// Gives the decoded pictures.
    pub decoded: gst::Pad,
}

fn is_video(pad: &gst::Pad) -> bool {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    caps.structure(0).is_some_and(|media| {
        media.name().starts_with("video/") || media.name().starts_with("image/")
    })
}

/// The running time of a buffer in nanoseconds. Times before 0 count as 0.
pub fn running_time(segment: &gst::Segment, buffer: &gst::BufferRef) -> Option<u64> {
    let segment = segment.downcast_ref::<gst::ClockTime>()?;
    let time = segment.to_running_time_full(buffer.pts()?)?;
    Some(time.positive().unwrap_or_default().nseconds())
}

/// The running time of a buffer that passes `pad`, in nanoseconds.
pub fn running_time_at(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<u64> {
    running_time(pad.sticky_event::<gst::event::Segment>(0)?.segment(), buffer)
}

//! A pair of pads that reads Y4M: the file arrives at the first one, frames leave from the second one.

use std::sync::{Arc, Mutex, PoisonError};

use gst::{glib, prelude::*};
use gst_video::{VideoBufferFlags, VideoFieldOrder, VideoInfo, video_frame::VideoBufferExt as _};

use super::{
    damage,
    frame_pad::{FramePad, frame_start},
    planes, y4m,
};

struct State {
    frames: FramePad,
    format: Option<(VideoInfo, gst::Caps)>,
    data: Vec<u8>,
    /// The number of frames.
    count: u64,
}

/// The pads. Errors are posted as those of `owner`.
///
/// # Errors
/// A pad cannot be activated.
pub fn y4m_pads(owner: &gst::Element) -> Result<(gst::Pad, gst::Pad), glib::BoolError> {
    let frames = FramePad::new()?;
    let source = frames.pad().clone();
    let state = State { frames, format: None, data: Vec::new(), count: 0 };
    let state = Arc::new(Mutex::new(state));
    let (ended, weak) = (state.clone(), owner.downgrade());
    let ended_owner = weak.clone();
    let sink = gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |_, _, buffer| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
            state.data.extend_from_slice(&map);
            let owner = weak.upgrade().ok_or(gst::FlowError::Flushing)?;
            state.read(&owner)
        })
        .event_function(move |_, _, event| {
            if event.type_() != gst::EventType::Eos {
                return true;
            }
            let state = ended.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(owner) = ended_owner.upgrade().filter(|_| !state.data.is_empty()) {
                damage::report(&owner, &format!("frame {} is incomplete", state.count + 1));
            }
            state.frames.pad().push_event(event)
        })
        .build();
    sink.set_active(true)?;
    Ok((sink, source))
}

impl State {
    /// Pushes all frames that have arrived.
    fn read(&mut self, owner: &gst::Element) -> Result<gst::FlowSuccess, gst::FlowError> {
        loop {
            let Some(end) = self.data.iter().take(y4m::LONGEST_LINE).position(|it| *it == b'\n')
            else {
                let is_damaged = self.data.len() >= y4m::LONGEST_LINE;
                return if is_damaged {
                    self.fail(owner, "a line is too long")
                } else {
                    Ok(gst::FlowSuccess::Ok)
                };
            };
            let line =
                String::from_utf8_lossy(self.data.get(..end).unwrap_or_default()).into_owned();
            let Some((info, caps)) = &self.format else {
                let info = match y4m::parse(&line) {
                    Ok(info) => info,
                    Err(error) => return self.fail(owner, &error.to_string()),
                };
                let caps = info.to_caps().map_err(|_| gst::FlowError::NotNegotiated)?;
                self.format = Some((info, caps));
                self.data.drain(..=end);
                continue;
            };
            if !line.starts_with(y4m::FRAME) {
                return self.fail(owner, &format!("frame {} has no header", self.count + 1));
            }
            let samples = end + 1..end + 1 + planes::size(info);
            let Some(frame) = self.data.get(samples.clone()) else {
                return Ok(gst::FlowSuccess::Ok);
            };
            let mut buffer = planes::to_buffer(info, frame).ok_or(gst::FlowError::Error)?;
            if let Some(buffer) = buffer.get_mut().filter(|_| info.is_interlaced()) {
                buffer.set_video_flags(VideoBufferFlags::INTERLACED);
                if info.field_order() == VideoFieldOrder::TopFieldFirst {
                    buffer.set_video_flags(VideoBufferFlags::TFF);
                }
            }
            let (start, end) =
                (frame_start(info.fps(), self.count), frame_start(info.fps(), self.count + 1));
            let caps = caps.clone();
            self.count += 1;
            self.data.drain(..samples.end);
            self.frames.push(&caps, buffer, Some(start), Some(end - start))?;
        }
    }

    fn fail(&self, owner: &gst::Element, text: &str) -> Result<gst::FlowSuccess, gst::FlowError> {
        gst::element_error!(owner, gst::StreamError::Decode, ("{text}"));
        Err(gst::FlowError::Error)
    }
}

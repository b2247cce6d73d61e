//! A pair of pads that decodes pictures: files arrive at the first one, frames leave from the second
//! one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*};

use super::{
    damage,
    frame_pad::{FramePad, frame_start},
    picture::{self, is_motion_jpeg},
};

/// What arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One file, which ends with the stream.
    File,
    /// A file in each buffer: the frames of a film.
    Sequence { rate: gst::Fraction },
}

struct State {
    content: Content,
    frames: FramePad,
    file: Vec<u8>,
    /// Film in JPEG is left to GStreamer.
    is_film: bool,
    /// The number of frames.
    count: u64,
    /// Where the next frame begins.
    time: gst::ClockTime,
}

/// The pads. Errors are posted as those of `owner`.
///
/// # Errors
/// A pad cannot be activated.
pub fn picture_pads(
    owner: &gst::Element,
    content: Content,
) -> Result<(gst::Pad, gst::Pad), glib::BoolError> {
    let frames = FramePad::new()?;
    let source = frames.pad().clone();
    let (file, time) = (Vec::new(), gst::ClockTime::ZERO);
    let state = State { content, frames, file, is_film: false, count: 0, time };
    let state = Arc::new(Mutex::new(state));
    let (ended, weak) = (state.clone(), owner.downgrade());
    let ended_owner = weak.clone();
    let sink = gst::Pad::builder(gst::PadDirection::Sink)
        .chain_function(move |pad, _, buffer| {
            let owner = weak.upgrade().ok_or(gst::FlowError::Flushing)?;
            lock(&state).add(&owner, pad, buffer)
        })
        .event_function(move |_, _, event| {
            let mut state = lock(&ended);
            if state.is_film {
                return state.frames.pad().push_event(event);
            }
            if event.type_() == gst::EventType::Eos {
                if let (Content::File, Some(owner)) = (state.content, ended_owner.upgrade()) {
                    let _ = state.decode(&owner);
                }
                return state.frames.pad().push_event(event);
            }
            true
        })
        .build();
    sink.set_active(true)?;
    Ok((sink, source))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn add(
        &mut self,
        owner: &gst::Element,
        pad: &gst::Pad,
        buffer: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if self.is_film {
            return self.frames.pad().push(buffer);
        }
        let map = buffer.map_readable().map_err(|_| gst::FlowError::Error)?;
        // A mark can be at the border of two buffers.
        let checked = self.file.len().saturating_sub(5);
        self.file.extend_from_slice(&map);
        if let Content::Sequence { .. } = self.content {
            return self.decode(owner);
        }
        let has_next = self
            .file
            .get(checked..)
            .is_some_and(|new| new.windows(5).any(|it| it == b"\xff\xd9\xff\xd8\xff"));
        if has_next && is_motion_jpeg(&self.file) {
            return self.begin_film(pad);
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn begin_film(&mut self, pad: &gst::Pad) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.is_film = true;
        let source = self.frames.pad();
        pad.sticky_events_foreach(|event| {
            source.push_event(event.clone());
            std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
        });
        source.push(gst::Buffer::from_mut_slice(std::mem::take(&mut self.file)))
    }

    /// Decodes the file that has arrived.
    fn decode(&mut self, owner: &gst::Element) -> Result<gst::FlowSuccess, gst::FlowError> {
        let file = std::mem::take(&mut self.file);
        let mut flow = Ok(gst::FlowSuccess::Ok);
        let decoded = picture::decode(&file, |frame| {
            flow = self.push(frame);
            flow.is_ok() && self.content == Content::File
        });
        if let Err(error) = decoded {
            let text = match self.content {
                Content::File => error.to_string(),
                Content::Sequence { .. } => format!("picture {}: {error}", self.count + 1),
            };
            if !self.frames.has_frames() {
                gst::element_error!(owner, gst::StreamError::Decode, ("{text}"));
                return Err(gst::FlowError::Error);
            }
            damage::report(owner, &text);
        }
        flow
    }

    fn push(&mut self, frame: picture::Frame) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (rate, duration) = match self.content {
            Content::File => {
                (gst::Fraction::new(0, 1), frame.duration.and_then(|it| it.try_into().ok()))
            }
            Content::Sequence { rate } => {
                (rate, Some(frame_start(rate, self.count + 1) - self.time))
            }
        };
        let (caps, buffer) = frame.into_buffer(rate).ok_or(gst::FlowError::Error)?;
        let start = self.time;
        self.count += 1;
        self.time += duration.unwrap_or(gst::ClockTime::ZERO);
        self.frames.push(&caps, buffer, Some(start), duration)
    }
}

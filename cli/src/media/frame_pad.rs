//! The pad that frames leave from which the program decodes itself.

use gst::{glib, prelude::*};

/// Where a frame of a film with a constant rate begins.
pub fn frame_start(rate: gst::Fraction, number: u64) -> gst::ClockTime {
    let [numerator, denominator] =
        [rate.numer(), rate.denom()].map(|it| u64::from(it.unsigned_abs()));
    let time = gst::ClockTime::SECOND.mul_div_floor(number * denominator, numerator.max(1));
    time.unwrap_or_default()
}

/// A source pad, and the caps and events that it has sent.
#[derive(Debug)]
pub struct FramePad {
    pad: gst::Pad,
    caps: Option<gst::Caps>,
}

impl FramePad {
    /// A new active pad.
    ///
    /// # Errors
    /// The pad cannot be activated.
    pub fn new() -> Result<Self, glib::BoolError> {
        let pad = gst::Pad::builder(gst::PadDirection::Src).build();
        pad.set_active(true)?;
        Ok(Self { pad, caps: None })
    }

    pub fn pad(&self) -> &gst::Pad {
        &self.pad
    }

    /// Whether a frame was pushed.
    pub fn has_frames(&self) -> bool {
        self.caps.is_some()
    }

    /// Pushes a frame, which begins at `start`.
    ///
    /// # Errors
    /// Those of the elements that follow.
    pub fn push(
        &mut self,
        caps: &gst::Caps,
        mut frame: gst::Buffer,
        start: Option<gst::ClockTime>,
        duration: Option<gst::ClockTime>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if self.caps.is_none() {
            let group = gst::GroupId::next();
            let start = gst::event::StreamStart::builder("frames").group_id(group).build();
            self.pad.push_event(start);
        }
        if self.caps.as_ref() != Some(caps) {
            self.pad.push_event(gst::event::Caps::new(caps));
            if self.caps.replace(caps.clone()).is_none() {
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                self.pad.push_event(gst::event::Segment::new(&segment));
            }
        }
        if let Some(frame) = frame.get_mut() {
            frame.set_pts(start);
            frame.set_duration(duration);
        }
        self.pad.push(frame)
    }
}

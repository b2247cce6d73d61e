//! Keeps a failure of one stream from ending the whole film: an element returns an error to the one
//! before it, up to the demuxer, which then ends all streams.

use std::sync::Arc;

use gst::{glib, prelude::*};

use super::lane::Lane;

/// A pair of pads. What arrives at the first one leaves through the second one; an error there marks
/// the lane as failed and is not returned.
#[derive(Debug)]
pub struct Guard {
    pub sink: gst::Pad,
    pub source: gst::Pad,
}

impl Guard {
    /// A guard for a part of `lane`.
    ///
    /// # Errors
    /// A pad cannot be activated.
    pub fn new(lane: &Arc<Lane>) -> Result<Self, glib::BoolError> {
        let source = gst::Pad::builder(gst::PadDirection::Src).build();
        let (lane, chained, sent) = (lane.clone(), source.clone(), source.clone());
        let sink = gst::Pad::builder(gst::PadDirection::Sink)
            .chain_function(move |_, _, buffer| {
                if lane.failure().is_some() {
                    return Ok(gst::FlowSuccess::Ok);
                }
                match chained.push(buffer) {
                    Err(gst::FlowError::Error | gst::FlowError::NotNegotiated) => {
                        lane.fail("it could not be decoded");
                        Ok(gst::FlowSuccess::Ok)
                    }
                    pushed => pushed,
                }
            })
            .event_function(move |_, _, event| {
                let is_serialized = event.is_serialized();
                sent.push_event(event) || is_serialized
            })
            .build();
        source.set_active(true)?;
        sink.set_active(true)?;
        Ok(Self { sink, source })
    }
}

//! A pipeline whose errors are noticed by whoever waits for its output.

use std::time::Duration;

use gst::{MessageView, glib, prelude::*};
use gst_app::AppSink;

use super::Error;
use crate::media::shutdown::shut_down;

/// A pipeline that stops when it is dropped.
#[derive(Debug)]
pub struct Watched {
    pub pipeline: gst::Pipeline,
    bus: gst::Bus,
}

/// How long a call waits before the caller can look at signals again.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// What a sink gave.
#[derive(Debug)]
pub enum Pulled {
    Sample(gst::Sample),
    /// Nothing within [`PATIENCE`].
    Nothing,
    End,
}

impl Watched {
    pub fn new(pipeline: gst::Pipeline) -> Result<Self, Error> {
        let bus = pipeline.bus().ok_or_else(|| glib::bool_error!("the pipeline has no bus"))?;
        Ok(Self { pipeline, bus })
    }

    /// Waits for the next sample of `sink`.
    ///
    /// # Errors
    /// [`Error::Element`] with the message of the element that failed.
    pub fn pull(&self, sink: &AppSink) -> Result<Pulled, Error> {
        let patience = gst::ClockTime::try_from(PATIENCE).unwrap_or_default();
        let sample = sink.try_pull_sample(patience);
        self.check()?;
        Ok(match sample {
            Some(sample) => Pulled::Sample(sample),
            None if sink.is_eos() => Pulled::End,
            None => Pulled::Nothing,
        })
    }

    /// Returns the first error on the bus and reports warnings.
    ///
    /// # Errors
    /// [`Error::Element`].
    pub fn check(&self) -> Result<(), Error> {
        while let Some(message) = self.bus.pop() {
            report(&message)?;
        }
        Ok(())
    }

    /// Sets the state, and returns the reason from the bus if that fails.
    ///
    /// # Errors
    /// [`Error::Element`] or [`Error::Start`].
    pub fn set_state(&self, state: gst::State) -> Result<(), Error> {
        let set = self.pipeline.set_state(state);
        self.check()?;
        set.map(drop).map_err(Error::Start)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        shut_down(&self.pipeline);
    }
}

/// Returns an error and prints a warning.
fn report(message: &gst::MessageRef) -> Result<(), Error> {
    let name = || message.src().map(|it| it.name().to_string()).unwrap_or_default();
    match message.view() {
        MessageView::Error(error) => {
            Err(Error::Element { message: sentence(&error.error()), origin: name() })
        }
        MessageView::Warning(warning) => {
            warn!("{} ({})", sentence(&warning.error()), name());
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The message without the full stop that GStreamer puts at its end.
fn sentence(error: &glib::Error) -> String {
    error.message().trim_end_matches('.').to_owned()
}

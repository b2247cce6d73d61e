//! A pipeline that returns its errors to the code that waits for its output.

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
            Some(sample) => Pulled::Sample(separate(&sample)),
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

/// A sample that the sink does not hold too. `appsink` of GStreamer 1.22 sets the caps of its own sample
/// after a flush without making it writable.
fn separate(sample: &gst::SampleRef) -> gst::Sample {
    let (buffer, caps) = (sample.buffer_owned(), sample.caps_owned());
    let mut separate = gst::Sample::builder();
    if let Some(buffer) = &buffer {
        separate = separate.buffer(buffer);
    }
    if let Some(caps) = &caps {
        separate = separate.caps(caps);
    }
    if let Some(segment) = sample.segment() {
        separate = separate.segment(segment);
    }
    separate.build()
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[test]
    fn a_sample_can_be_held_over_a_flush() {
        gst::init().unwrap();
        let complaints = Arc::new(AtomicUsize::new(0));
        let count = complaints.clone();
        let critical = glib::LogLevels::LEVEL_CRITICAL;
        glib::log_set_handler(Some("GStreamer"), critical, false, false, move |_, _, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let sink = AppSink::builder().sync(false).async_(false).build();
        let pipeline = gst::Pipeline::new();
        pipeline.add(&sink).unwrap();
        let watched = Watched::new(pipeline).unwrap();
        watched.set_state(gst::State::Playing).unwrap();
        let pad = sink.static_pad("sink").unwrap();
        let caps = gst::Caps::new_empty_simple("video/x-raw");
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        assert!(pad.send_event(gst::event::StreamStart::new("test")));
        assert!(pad.send_event(gst::event::Caps::new(&caps)));
        assert!(pad.send_event(gst::event::Segment::new(&segment)));
        pad.chain(gst::Buffer::from_slice([7])).unwrap();
        let Pulled::Sample(held) = watched.pull(&sink).unwrap() else { panic!("no sample") };
        assert!(pad.send_event(gst::event::FlushStart::new()));
        assert!(pad.send_event(gst::event::FlushStop::new(true)));
        assert!(pad.send_event(gst::event::Segment::new(&segment)));
        pad.chain(gst::Buffer::from_slice([8])).unwrap();
        assert_eq!(complaints.load(Ordering::Relaxed), 0);
        assert_eq!(held.caps(), Some(&*caps));
        assert_eq!(held.buffer().unwrap().map_readable().unwrap().as_slice(), [7]);
        assert!(held.segment().is_some());
    }
}

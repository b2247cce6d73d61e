//! The interface of a stream's pipeline, whichever memory it works in.

use std::time::Duration;

use super::{
    error::Error,
    settings::{Deadline, FrameParams, FrameReport},
};
use crate::{
    engine::AnyEngine,
    frame::{FrameMut, FrameRef},
};

/// Enlarges the frames of one stream. Frames leave in the order in which they were submitted, each
/// made with the parameters that it was submitted with.
///
/// A frame passes three calls: [`submit`](Self::submit), [`next`](Self::next) and
/// [`finish`](Self::finish). The model runs between the first two, so a caller that submits a frame
/// before it takes the previous one keeps both busy.
///
/// After an error the next frame is computed as the first of a stream; frames in flight are lost.
///
/// Every wait for the model ends with [`engine::Error::Cancelled`](crate::engine::Error::Cancelled)
/// when the current [`Interrupt`](crate::engine::Interrupt) is raised. Dropping a pipeline does not
/// wait for the model: what cannot be ended early is left to a thread that owns the engine.
pub trait Pipeline: Send {
    /// Accepts a frame and returns without waiting for earlier ones, except once, when the model
    /// is timed before the first regions are planned. `input` is no longer needed afterwards.
    /// Every frame in flight holds memory for its enlarged picture, so the caller limits their
    /// number.
    ///
    /// # Errors
    /// [`Error::Frame`] if `input` is not of the stream's format and size; errors of inference.
    fn submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error>;

    /// As [`submit`](Self::submit), for a frame whose output is due at a time, when no frame is in
    /// flight. [`next`](Self::next) then does not wait for the model longer than that. What the
    /// model does not finish until then is shown by a later frame, if that still looks the same
    /// there. A pipeline that does not support this waits for the model.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    fn submit_by(
        &mut self,
        input: &FrameRef<'_>,
        params: &FrameParams,
        _deadline: Deadline,
    ) -> Result<(), Error> {
        self.submit(input, params)
    }

    /// Waits until the model has finished the oldest frame in flight. `None` if there is none.
    ///
    /// # Errors
    /// Errors of inference.
    fn next(&mut self) -> Result<Option<Next>, Error>;

    /// Writes the output of the frame that [`next`](Self::next) returned last. `previous` is the
    /// output of the frame before it, from which unchanged pixels are copied; without it every
    /// pixel is computed.
    ///
    /// # Errors
    /// [`Error::NoFrame`] without a preceding [`next`](Self::next); [`Error::Frame`] if `output`
    /// does not fit the stream. The contents of `output` are undefined after an error.
    fn finish(
        &mut self,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error>;

    /// Pixels that the model runs on for a whole frame, halos included, divided by those of the
    /// frame. It is above 1 where frames are cut into regions.
    fn whole_frame_work(&self) -> f64 {
        1.0
    }

    /// Shows a Lanczos enlargement in this share of the width (0..1) from the left, with a line at its
    /// end, from the next frame on; 0: nowhere. A pipeline that does not support this ignores it.
    fn set_split(&mut self, _share: f64) {}

    /// Begins to run the model on the whole of a frame that is not output, to learn how long that takes
    /// now. Drops all frames in flight. A pipeline that does not support this does nothing.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    fn begin_trial(&mut self, _input: &FrameRef<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Takes the time of the model in the trial. `None` while it is running, or if none was begun.
    /// [`abort`](Self::abort) ends it early.
    ///
    /// # Errors
    /// Errors of inference.
    fn take_trial(&mut self) -> Result<Option<Duration>, Error> {
        Ok(None)
    }

    /// Makes the next submitted frame independent of earlier ones (after a discontinuity). Frames
    /// in flight are not affected.
    fn reset(&mut self);

    /// Drops all frames in flight without waiting for them, then [resets](Self::reset) (after a
    /// flush). A run of the model is ended early if the engine can do that.
    fn abort(&mut self);

    /// Waits until the model does nothing. A pipeline without frames in flight may still be busy
    /// with a frame that was dropped.
    ///
    /// # Errors
    /// [`engine::Error::Cancelled`](crate::engine::Error::Cancelled), as all waits.
    fn settle(&mut self) -> Result<(), Error>;

    /// Returns the engine for the next stream with the same model. `None` if the engine was lost.
    /// Waits as [`settle`](Self::settle) does, but without end.
    fn into_engine(self: Box<Self>) -> Option<AnyEngine>;

    /// [`submit`](Self::submit), [`next`](Self::next) and [`finish`](Self::finish) for one frame,
    /// when none is in flight.
    ///
    /// # Errors
    /// As the three calls.
    fn process(
        &mut self,
        input: &FrameRef<'_>,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
        params: &FrameParams,
    ) -> Result<FrameReport, Error> {
        self.submit(input, params)?;
        self.next()?;
        self.finish(previous, output)
    }
}

/// What [`Pipeline::next`] says about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The output equals that of the previous frame. [`Pipeline::finish`] is optional.
    Same,
    /// The output has to be made with [`Pipeline::finish`].
    Changed,
}

//! What the streaming thread works with: the negotiated frames, the engine, the pipeline, and
//! the frames in flight.

use std::{collections::VecDeque, time::Instant};

use gst_video::{VideoFrameRef, VideoInfo};

use super::{
    colour,
    errors::Failure,
    ladder::Trial,
    placeholder,
    video_info::{self, FrameError},
};
use crate::{
    engine::{AnyEngine, background},
    frame::FrameInfo,
    model::ModelInfo,
    upscaler::{
        self, Deadline, EngineTraits, FrameParams, FrameReport, Pipeline, Reuse, StreamSettings,
    },
};

/// The frames on both pads.
#[derive(Clone, Debug)]
pub(super) struct Negotiated {
    pub input: VideoInfo,
    pub output: VideoInfo,
    input_frame: FrameInfo,
    output_frame: FrameInfo,
}

impl Negotiated {
    /// The frames of fixed caps.
    ///
    /// # Errors
    /// Returns why frames of these caps are not supported.
    pub(crate) fn new(input: &gst::CapsRef, output: &gst::CapsRef) -> Result<Self, FrameError> {
        let read = |caps: &gst::CapsRef| {
            if colour::is_identity(caps) {
                return Err(FrameError::IdentityMatrix(caps.to_string()));
            }
            VideoInfo::from_caps(&colour::complete(caps))
                .map_err(|error| FrameError::Caps { caps: caps.to_string(), error })
        };
        let (input, output) = (read(input)?, read(output)?);
        let output_frame = video_info::frame_info(&output)?;
        // Colour is not converted: if the input has no label, the label of the output is right
        // for both.
        let input_frame = FrameInfo {
            colorimetry: output_frame.colorimetry,
            chroma_site: output_frame.chroma_site,
            ..video_info::frame_info(&input)?
        };
        if input_frame.format != output_frame.format {
            return Err(FrameError::FormatChange {
                from: input_frame.format,
                to: output_frame.format,
            });
        }
        // Buffer pools count bytes in 32 bits.
        if u32::try_from(output.size()).is_err() {
            return Err(FrameError::TooManyBytes(output.size()));
        }
        Ok(Self { input, output, input_frame, output_frame })
    }

    /// The duration of an input frame; `None` if the caps do not give a frame rate.
    pub(crate) fn frame_duration(&self) -> Option<gst::ClockTime> {
        let rate = self.input.fps();
        let frames = u64::try_from(rate.numer()).ok().filter(|frames| *frames > 0)?;
        let seconds = u64::try_from(rate.denom()).ok()?;
        let nanoseconds = gst::ClockTime::SECOND.nseconds().checked_mul(seconds)?;
        Some(gst::ClockTime::from_nseconds(nanoseconds.div_ceil(frames)))
    }

    /// The number of pixels of an input frame.
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.input_frame.width) * u64::from(self.input_frame.height)
    }

    /// Whether input and output have the same width and height.
    pub(crate) fn is_same_size(&self) -> bool {
        let (input, output) = (&self.input_frame, &self.output_frame);
        (input.width, input.height) == (output.width, output.height)
    }
}

#[derive(Default)]
enum StreamEngine {
    #[default]
    Missing,
    /// Waits for the first frame.
    Idle(AnyEngine),
    Running(Box<dyn Pipeline>),
    /// The engine is in a pipeline for previous caps, and may be busy with a dropped frame.
    Outdated(Box<dyn Pipeline>),
}

/// A frame in flight.
#[derive(Clone)]
struct Pending {
    inbuf: gst::Buffer,
    /// The settings at the time when the frame was submitted; `None` for a gap without a frame.
    params: Option<FrameParams>,
}

/// The next output frame, with the input buffer it belongs to.
pub(super) enum Next {
    /// The input buffer is a gap without a frame.
    Gap(gst::Buffer),
    /// The output is the same as the previous one, which is the second buffer.
    Same(gst::Buffer, gst::Buffer),
    /// The output must be painted.
    Changed(gst::Buffer, FrameParams),
}

/// The engine of another model, ready to be used instead.
struct Spare {
    engine: StreamEngine,
    traits: EngineTraits,
    /// When the trial was begun that it is running.
    trial: Option<Instant>,
}

/// A warning is posted if the settings make a whole frame this many times as costly.
const COSTLY: f64 = 20.0;

/// The most consecutive short frames that are skipped before the stream ends with an error.
const MAX_SKIPPED: u32 = 8;

/// One stream's engine and its frames in flight.
#[derive(Default)]
pub(super) struct Stream {
    engine: StreamEngine,
    traits: EngineTraits,
    spare: Option<Spare>,
    /// Whether the engine is only a [`placeholder`] for a model that is being loaded.
    is_placeholder: bool,
    /// The number of frames submitted since the start or the last flush.
    number: u64,
    pending: VecDeque<Pending>,
    /// The last output, if the next frame may reuse it.
    last: Option<gst::Buffer>,
    /// Consecutive frames that were [skipped](Self::skip_last).
    skipped: u32,
    /// An error that happened before an event, for the next frame to return.
    error: Option<gst::FlowError>,
    /// A warning about the settings of the pipeline.
    warning: Option<Failure>,
    /// See [`Pipeline::set_split`].
    split: f64,
}

impl Stream {
    /// Whether there is an engine that runs a model.
    pub(crate) fn has_model(&self) -> bool {
        self.has_engine() && !self.is_placeholder
    }

    fn has_engine(&self) -> bool {
        !matches!(self.engine, StreamEngine::Missing)
    }

    /// Enlarges frames without a model, as the model of this `info` would, until the model is
    /// loaded.
    pub(crate) fn set_placeholder(&mut self, info: ModelInfo) {
        if !self.has_engine() {
            self.set_engine(placeholder::engine(info), EngineTraits::default());
            self.is_placeholder = true;
        }
    }

    /// The number of frames in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Replaces the engine. No frame may be in flight.
    pub(crate) fn set_engine(&mut self, engine: AnyEngine, traits: EngineTraits) {
        self.last = None;
        let old = std::mem::replace(&mut self.engine, StreamEngine::Idle(engine));
        if !matches!(old, StreamEngine::Missing) {
            // It may be busy with a frame, and has much memory to free.
            background::discard(old);
        }
        self.traits = traits;
        self.is_placeholder = false;
    }

    /// Keeps the engine of another model ready for [`swap`](Self::swap).
    pub(crate) fn set_spare(&mut self, engine: AnyEngine, traits: EngineTraits) {
        self.spare = Some(Spare { engine: StreamEngine::Idle(engine), traits, trial: None });
    }

    /// Drops the spare engine, if there is one.
    pub(crate) fn drop_spare(&mut self) {
        if let Some(spare) = self.spare.take() {
            background::discard(spare);
        }
    }

    /// Whether there is a spare engine.
    pub(crate) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Exchanges the engine and the spare one, for the next frame. No frame may be in flight. What
    /// the engine is still doing is ended early; nothing waits for it.
    pub(crate) fn swap(&mut self) {
        self.abort();
        if let Some(spare) = &mut self.spare {
            std::mem::swap(&mut self.engine, &mut spare.engine);
            std::mem::swap(&mut self.traits, &mut spare.traits);
            spare.trial = None;
        }
    }

    /// Begins to run the spare engine's model on the frame in `inbuf`, which it does not output, to
    /// learn how long that takes now.
    ///
    /// # Errors
    /// As [`submit`](Self::submit). The spare engine is lost if no pipeline can be created for it.
    pub(crate) fn begin_trial(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
        inbuf: &gst::Buffer,
    ) -> Result<(), Failure> {
        let Some(Spare { engine, traits, trial }) = &mut self.spare else { return Ok(()) };
        let input = VideoFrameRef::from_buffer_ref_readable(inbuf, &negotiated.input)
            .map_err(FrameError::Map)?;
        let input = video_info::planes(&input, negotiated.input_frame)?;
        engine.run_on(negotiated, *traits, self.split, settings)?;
        if let StreamEngine::Running(pipeline) = engine {
            pipeline.begin_trial(&input)?;
            *trial = Some(Instant::now());
        }
        Ok(())
    }

    /// What has become of the trial, which is over after an answer other than [`Trial::Runs`]. `None`:
    /// none was begun.
    pub(crate) fn trial(&mut self) -> Option<Trial> {
        let Spare { engine, trial, .. } = self.spare.as_mut()?;
        let begun = (*trial)?;
        let StreamEngine::Running(pipeline) = engine else { return None };
        let state = match pipeline.take_trial() {
            Ok(None) => return Some(Trial::Runs(begun.elapsed())),
            Ok(Some(time)) => Trial::Took(time),
            Err(_) => Trial::Failed,
        };
        *trial = None;
        Some(state)
    }

    /// Ends the trial early.
    pub(crate) fn end_trial(&mut self) {
        if let Some(Spare { engine: StreamEngine::Running(pipeline), trial, .. }) = &mut self.spare
        {
            pipeline.abort();
            *trial = None;
        }
    }

    fn engines(&mut self) -> impl Iterator<Item = &mut StreamEngine> {
        std::iter::once(&mut self.engine).chain(self.spare.as_mut().map(|spare| &mut spare.engine))
    }

    fn pipelines(&mut self) -> impl Iterator<Item = &mut Box<dyn Pipeline>> {
        self.engines().filter_map(|engine| match engine {
            StreamEngine::Running(pipeline) => Some(pipeline),
            _ => None,
        })
    }

    /// Drops the engine. The frames in flight must be [submitted again](Self::submit_again).
    pub(crate) fn drop_engine(&mut self) {
        self.engine = StreamEngine::Missing;
    }

    /// Keeps the engine for frames with other caps. Drops the frames in flight.
    pub(crate) fn caps_changed(&mut self) {
        self.abort();
        for engine in self.engines() {
            *engine = match std::mem::take(engine) {
                StreamEngine::Running(pipeline) => StreamEngine::Outdated(pipeline),
                other => other,
            };
        }
    }

    /// Starts over after a flush. Drops the frames in flight.
    pub(crate) fn restart(&mut self) {
        (self.number, self.skipped, self.error) = (0, 0, None);
        self.abort();
    }

    /// Drops the frames in flight. The next frame reuses nothing of them.
    pub(crate) fn abort(&mut self) {
        self.pending.clear();
        self.last = None;
        self.pipelines().for_each(|pipeline| pipeline.abort());
    }

    /// The next frame reuses nothing of the frames before it, which stay in flight.
    pub(crate) fn reset_reuse(&mut self) {
        self.pipelines().for_each(|pipeline| pipeline.reset());
    }

    /// Stores an error for the next frame to return.
    pub(crate) fn set_error(&mut self, error: gst::FlowError) {
        self.error = Some(error);
    }

    /// Takes the warning about the settings of a new pipeline.
    pub(crate) fn take_warning(&mut self) -> Option<Failure> {
        self.warning.take()
    }

    /// Takes the error that was stored last.
    pub(crate) fn take_error(&mut self) -> Option<gst::FlowError> {
        self.error.take()
    }

    /// Skips the frame whose submission failed: one damaged frame should not end the stream.
    /// Returns `false` if too many consecutive frames were skipped.
    pub(crate) fn skip_last(&mut self) -> bool {
        self.skipped += 1;
        if self.skipped > MAX_SKIPPED {
            return false;
        }
        self.pending.pop_back();
        true
    }

    /// Sets the share of the width that shows a Lanczos enlargement, for the next frame.
    pub(crate) fn set_split(&mut self, split: f64) {
        if split != self.split {
            self.split = split;
            self.last = None;
            self.pipelines().for_each(|pipeline| pipeline.set_split(split));
        }
    }

    /// Submits a gap without a frame.
    pub(crate) fn submit_gap(&mut self, inbuf: &gst::Buffer) {
        self.pending.push_back(Pending { inbuf: inbuf.clone(), params: None });
    }

    /// Submits the frame in `inbuf`. `params` gives the settings of a frame by its number;
    /// `settings` is called at the first frame after a change of caps. With a `deadline` no other
    /// frame may be in flight.
    ///
    /// # Errors
    /// Returns why the buffer does not contain such a frame, or why the pipeline failed. The
    /// engine is lost if no pipeline can be created for it.
    pub(crate) fn submit(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
        params: impl FnOnce(u64) -> FrameParams,
        deadline: Option<Deadline>,
        inbuf: &gst::Buffer,
    ) -> Result<(), Failure> {
        let mut params = params(self.number);
        if self.is_placeholder {
            params = placeholder::params(params);
        }
        self.number += 1;
        let frame = Pending { inbuf: inbuf.clone(), params: Some(params) };
        self.submit_pending(negotiated, settings, frame, deadline)
    }

    /// Submits all frames in flight to a new engine, including the frame on which the previous
    /// engine failed.
    ///
    /// # Errors
    /// See [`submit`](Self::submit).
    pub(crate) fn submit_again(
        &mut self,
        negotiated: &Negotiated,
        settings: impl Fn() -> StreamSettings,
    ) -> Result<(), Failure> {
        for frame in std::mem::take(&mut self.pending) {
            self.submit_pending(negotiated, &settings, frame, None)?;
        }
        Ok(())
    }

    /// Submits a frame. It is in flight even if this fails, until [`abort`](Self::abort).
    fn submit_pending(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
        frame: Pending,
        deadline: Option<Deadline>,
    ) -> Result<(), Failure> {
        let Pending { inbuf, params } = frame.clone();
        self.pending.push_back(frame);
        let Some(params) = params else { return Ok(()) };
        let (actual, expected) = (inbuf.size(), negotiated.input.size());
        let input = VideoFrameRef::from_buffer_ref_readable(&inbuf, &negotiated.input).map_err(
            |error| {
                if actual < expected {
                    Failure::ShortFrame { actual, expected }
                } else {
                    Failure::Frames(FrameError::Map(error))
                }
            },
        )?;
        let input = video_info::planes(&input, negotiated.input_frame)?;
        self.skipped = 0;
        let pipeline = self.pipeline(negotiated, settings)?;
        match deadline {
            Some(deadline) => pipeline.submit_by(&input, &params, deadline)?,
            None => pipeline.submit(&input, &params)?,
        }
        Ok(())
    }

    /// Waits for the oldest frame in flight; `None` if there is none.
    ///
    /// # Errors
    /// Returns why inference failed.
    pub(crate) fn next(&mut self) -> Result<Option<Next>, Failure> {
        let Some(Pending { inbuf, params }) = self.pending.pop_front() else { return Ok(None) };
        let Some(params) = params else { return Ok(Some(Next::Gap(inbuf))) };
        let next = match &mut self.engine {
            StreamEngine::Running(pipeline) => pipeline.next()?,
            _ => None,
        };
        Ok(next.map(|next| match (next, &self.last) {
            (upscaler::Next::Same, Some(last)) => Next::Same(inbuf, last.clone()),
            _ => Next::Changed(inbuf, params),
        }))
    }

    /// Paints the frame that [`next`](Self::next) returned last into `outbuf`.
    ///
    /// # Errors
    /// Returns why `outbuf` cannot hold the frame, or why the pipeline failed.
    pub(crate) fn paint(
        &mut self,
        negotiated: &Negotiated,
        outbuf: &mut gst::BufferRef,
    ) -> Result<FrameReport, Failure> {
        let StreamEngine::Running(pipeline) = &mut self.engine else {
            return Err(Failure::NoEngine);
        };
        let mut output = VideoFrameRef::from_buffer_ref_writable(outbuf, &negotiated.output)
            .map_err(FrameError::Map)?;
        let mut output = video_info::planes_mut(&mut output, negotiated.output_frame)?;
        let last = self.last.take();
        let last = last.as_ref().and_then(|buffer| {
            VideoFrameRef::from_buffer_ref_readable(buffer, &negotiated.output).ok()
        });
        let previous =
            last.as_ref().and_then(|last| video_info::planes(last, negotiated.output_frame).ok());
        let mut report = pipeline.finish(previous.as_ref(), &mut output)?;
        if self.is_placeholder {
            report.resampled_pixels = report.frame_pixels;
        }
        Ok(report)
    }

    /// Keeps an output for reuse by the next frame.
    pub(crate) fn keep(&mut self, output: &gst::Buffer, params: &FrameParams) {
        self.last = (params.reuse != Reuse::Off).then(|| output.clone());
    }

    fn pipeline(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
    ) -> Result<&mut dyn Pipeline, Failure> {
        let work = self.engine.run_on(negotiated, self.traits, self.split, settings)?;
        if let Some(work) = work.filter(|work| *work > COSTLY) {
            self.warning = Some(Failure::CostlySettings(work));
        }
        match &mut self.engine {
            StreamEngine::Running(pipeline) => Ok(pipeline.as_mut()),
            _ => Err(Failure::NoEngine),
        }
    }
}

impl StreamEngine {
    /// Creates the pipeline for `negotiated` frames, unless there is one. `split`: see
    /// [`Pipeline::set_split`]. Returns the [work for a whole frame](Pipeline::whole_frame_work) of a new
    /// pipeline whose regions the settings decide.
    ///
    /// # Errors
    /// Returns why no pipeline can be created. The engine is then lost.
    fn run_on(
        &mut self,
        negotiated: &Negotiated,
        traits: EngineTraits,
        split: f64,
        settings: impl FnOnce() -> StreamSettings,
    ) -> Result<Option<f64>, Failure> {
        if let Self::Outdated(pipeline) = self {
            pipeline.settle()?;
        }
        if let Self::Outdated(_) = self
            && let Self::Outdated(pipeline) = std::mem::take(self)
            && let Some(engine) = pipeline.into_engine()
        {
            *self = Self::Idle(engine);
        }
        let Self::Idle(_) = self else { return Ok(None) };
        let Self::Idle(engine) = std::mem::take(self) else { return Ok(None) };
        let (from, to) = (negotiated.input_frame, negotiated.output_frame);
        let settings = settings();
        let is_tiled = settings.tile_size > 0 || settings.halo.is_some();
        let mut pipeline = upscaler::open(engine, traits, from, to, settings)?;
        pipeline.set_split(split);
        let work = pipeline.whole_frame_work();
        *self = Self::Running(pipeline);
        Ok(is_tiled.then_some(work))
    }
}

/// Whether `buffer` is a gap that contains no frame.
pub(super) fn is_empty_gap(buffer: &gst::BufferRef) -> bool {
    buffer.size() == 0 && buffer.flags().contains(gst::BufferFlags::GAP)
}

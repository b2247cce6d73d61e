//! What the streaming thread works with: the negotiated frames, the engine, the upscaler.

use std::collections::VecDeque;

use gst_video::{VideoFrameRef, VideoInfo};

use super::{errors::Failure, stand_in, video_info};
use crate::{
    engine::AnyEngine,
    frame::FrameInfo,
    model::ModelInfo,
    upscaler::{
        self, CpuPipeline, CudaPipeline, FrameParams, FrameReport, Pipeline, Reuse, StreamSettings,
    },
};

/// The frames on both sides.
#[derive(Clone, Debug)]
pub(super) struct Negotiated {
    pub input: VideoInfo,
    pub output: VideoInfo,
    from: FrameInfo,
    to: FrameInfo,
}

impl Negotiated {
    /// # Errors
    /// A sentence, where frames of these caps cannot be handled.
    pub fn new(input: &gst::CapsRef, output: &gst::CapsRef) -> Result<Self, String> {
        let read = |caps: &gst::CapsRef| {
            VideoInfo::from_caps(caps).map_err(|error| format!("{error} ({caps:?})"))
        };
        let (input, output) = (read(input)?, read(output)?);
        let to = video_info::frame_info(&output)?;
        // Colour is not converted: where the input has no label, downstream's holds for both.
        let from = FrameInfo {
            colorimetry: to.colorimetry,
            chroma_site: to.chroma_site,
            ..video_info::frame_info(&input)?
        };
        if from.format != to.format {
            return Err(format!("{} cannot become {}", from.format, to.format));
        }
        // GStreamer's pools count bytes in 32 bits.
        if u32::try_from(output.size()).is_err() {
            return Err(format!("a frame of {} bytes is too large", output.size()));
        }
        Ok(Self { input, output, from, to })
    }

    /// How long a frame of the input is shown, where that is known.
    pub fn frame_duration(&self) -> Option<gst::ClockTime> {
        let rate = self.input.fps();
        let frames = u64::try_from(rate.numer()).ok().filter(|frames| *frames > 0)?;
        let seconds = u64::try_from(rate.denom()).ok()?;
        let nanoseconds = gst::ClockTime::SECOND.nseconds().checked_mul(seconds)?;
        Some(gst::ClockTime::from_nseconds(nanoseconds.div_ceil(frames)))
    }

    /// Pixels of an input frame.
    pub fn pixels(&self) -> u64 {
        u64::from(self.from.width) * u64::from(self.from.height)
    }

    /// Whether both sides have as many pixels in each direction.
    pub fn is_same_size(&self) -> bool {
        (self.from.width, self.from.height) == (self.to.width, self.to.height)
    }
}

#[derive(Default)]
enum Engine {
    #[default]
    Missing,
    /// Waits for the first frame after a change of caps.
    Idle(AnyEngine),
    AtWork(Box<dyn Pipeline>),
}

/// A frame that has gone in and not come out.
#[derive(Clone)]
struct Pending {
    inbuf: gst::Buffer,
    /// What was asked for when it went in; `None` for a gap without a frame.
    params: Option<FrameParams>,
}

/// The frame that comes out next, by the buffer that it came in.
pub(super) enum Next {
    /// There is none in it.
    Gap(gst::Buffer),
    /// Its output is this one, that of the frame before.
    Same(gst::Buffer, gst::Buffer),
    /// Its output is to be painted.
    Changed(gst::Buffer, FrameParams),
}

/// Short frames in a row that do not end the stream.
const MOST_SKIPPED: u32 = 8;

/// One stream's engine, at work or not, and its frames in flight.
#[derive(Default)]
pub(super) struct Stream {
    engine: Engine,
    /// See [`StreamSettings::regions_exact`].
    regions_exact: bool,
    /// See [`StreamSettings::tolerant_halo`].
    tolerant_halo: Option<u32>,
    /// Whether the engine only [stands in](stand_in) for a model.
    standing_in: bool,
    /// Frames since the last seam.
    number: u64,
    pending: VecDeque<Pending>,
    /// The last output, where it may serve again.
    last: Option<gst::Buffer>,
    /// Frames in a row that were [skipped](Self::skip_last).
    skipped: u32,
    /// Why frames could not be pushed when no one was there to be told.
    pub failed: Option<gst::FlowError>,
}

impl Stream {
    /// Whether there is an engine that runs a model.
    pub fn has_model(&self) -> bool {
        self.has_engine() && !self.standing_in
    }

    fn has_engine(&self) -> bool {
        !matches!(self.engine, Engine::Missing)
    }

    /// Enlarges frames without the model of this `info` until it comes.
    pub fn stand_in(&mut self, info: ModelInfo) {
        if !self.has_engine() {
            self.set_engine(stand_in::engine(info), false, None);
            self.standing_in = true;
        }
    }

    /// Frames that have gone in and not come out.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// Goes on with `engine`; the one before is dropped. No frame is in flight.
    pub fn set_engine(
        &mut self,
        engine: AnyEngine,
        regions_exact: bool,
        tolerant_halo: Option<u32>,
    ) {
        self.last = None;
        self.engine = Engine::Idle(engine);
        (self.regions_exact, self.tolerant_halo) = (regions_exact, tolerant_halo);
        self.standing_in = false;
    }

    /// Lets the engine go; what is in flight is to [go in again](Self::submit_again).
    pub fn drop_engine(&mut self) {
        self.engine = Engine::Missing;
    }

    /// The next frame is the first of new caps. What is in flight is dropped.
    pub fn caps_changed(&mut self) {
        self.discard();
        self.engine = match std::mem::take(&mut self.engine) {
            Engine::AtWork(upscaler) => {
                upscaler.into_engine().map_or(Engine::Missing, Engine::Idle)
            }
            other => other,
        };
    }

    /// The next frame has nothing to do with those before; what is in flight is dropped.
    pub fn reset(&mut self) {
        (self.number, self.skipped, self.failed) = (0, 0, None);
        self.discard();
    }

    /// Drops what is in flight; the next frame does not build on it.
    pub fn discard(&mut self) {
        self.pending.clear();
        self.last = None;
        if let Engine::AtWork(upscaler) = &mut self.engine {
            upscaler.abort();
        }
    }

    /// The next frame to go in does not follow on the one before, within the same stretch of
    /// video.
    pub fn forget(&mut self) {
        if let Engine::AtWork(upscaler) = &mut self.engine {
            upscaler.reset();
        }
    }

    /// Leaves out the frame that could not be taken in: one damaged frame is no reason to end a
    /// stream. False where there were too many in a row.
    pub fn skip_last(&mut self) -> bool {
        self.skipped += 1;
        if self.skipped > MOST_SKIPPED {
            return false;
        }
        self.pending.pop_back();
        true
    }

    /// Takes in a gap without a frame.
    pub fn submit_gap(&mut self, inbuf: &gst::Buffer) {
        self.pending.push_back(Pending { inbuf: inbuf.clone(), params: None });
    }

    /// Takes in the frame of `inbuf`, by `params` of its number. `settings` are asked for at the
    /// first frame of new caps.
    ///
    /// # Errors
    /// Where the buffer does not hold such a frame, or there is no upscaler for it. The engine
    /// is lost when an upscaler cannot be made of it.
    pub fn submit(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
        params: impl FnOnce(u64) -> FrameParams,
        inbuf: &gst::Buffer,
    ) -> Result<(), Failure> {
        let mut params = params(self.number);
        if self.standing_in {
            params = stand_in::params(params);
        }
        self.number += 1;
        let frame = Pending { inbuf: inbuf.clone(), params: Some(params) };
        self.take_in(negotiated, settings, frame)
    }

    /// Takes in again what is in flight, after another engine came: also the frame that the one
    /// before could not take.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn submit_again(
        &mut self,
        negotiated: &Negotiated,
        settings: impl Fn() -> StreamSettings,
    ) -> Result<(), Failure> {
        for frame in std::mem::take(&mut self.pending) {
            self.take_in(negotiated, &settings, frame)?;
        }
        Ok(())
    }

    /// The frame is in flight even where that fails, until all are [dropped](Self::discard).
    fn take_in(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
        frame: Pending,
    ) -> Result<(), Failure> {
        let Pending { inbuf, params } = frame.clone();
        self.pending.push_back(frame);
        let Some(params) = params else { return Ok(()) };
        let (got, wanted) = (inbuf.size(), negotiated.input.size());
        let input = VideoFrameRef::from_buffer_ref_readable(&inbuf, &negotiated.input).map_err(
            |error| match got < wanted {
                true => Failure::Short { got, wanted },
                false => Failure::Frames(error.to_string()),
            },
        )?;
        let input = video_info::planes(&input, negotiated.from).map_err(Failure::Frames)?;
        self.skipped = 0;
        Ok(self.upscaler(negotiated, settings)?.submit(&input, &params)?)
    }

    /// Waits for the oldest frame in flight; `None` where there is none.
    ///
    /// # Errors
    /// Where inference failed.
    pub fn next(&mut self) -> Result<Option<Next>, Failure> {
        let Some(Pending { inbuf, params }) = self.pending.pop_front() else { return Ok(None) };
        let Some(params) = params else { return Ok(Some(Next::Gap(inbuf))) };
        let next = match &mut self.engine {
            Engine::AtWork(upscaler) => upscaler.next()?,
            _ => None,
        };
        Ok(next.map(|next| match (next, &self.last) {
            (upscaler::Next::Same, Some(last)) => Next::Same(inbuf, last.clone()),
            _ => Next::Changed(inbuf, params),
        }))
    }

    /// Paints the frame that [`next`](Self::next) gave last into `outbuf`.
    ///
    /// # Errors
    /// Where the buffer does not hold such a frame, or the upscaler fails.
    pub fn paint(
        &mut self,
        negotiated: &Negotiated,
        outbuf: &mut gst::BufferRef,
    ) -> Result<FrameReport, Failure> {
        let Engine::AtWork(upscaler) = &mut self.engine else {
            return Err(Failure::Frames("there is no model".into()));
        };
        let mut output = VideoFrameRef::from_buffer_ref_writable(outbuf, &negotiated.output)
            .map_err(|error| Failure::Frames(error.to_string()))?;
        let mut output =
            video_info::planes_mut(&mut output, negotiated.to).map_err(Failure::Frames)?;
        let last = self.last.take();
        let last = last.as_ref().and_then(|buffer| {
            VideoFrameRef::from_buffer_ref_readable(buffer, &negotiated.output).ok()
        });
        let previous = last.as_ref().and_then(|last| video_info::planes(last, negotiated.to).ok());
        Ok(upscaler.finish(previous.as_ref(), &mut output)?)
    }

    /// Keeps an output, in case the next frame is the same in part or as a whole.
    pub fn keep(&mut self, output: &gst::Buffer, params: &FrameParams) {
        self.last = (params.reuse != Reuse::Off).then(|| output.clone());
    }

    fn upscaler(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> StreamSettings,
    ) -> Result<&mut dyn Pipeline, Failure> {
        if let Engine::Idle(_) = self.engine
            && let Engine::Idle(engine) = std::mem::take(&mut self.engine)
        {
            let (from, to) = (negotiated.from, negotiated.to);
            let (regions_exact, tolerant_halo) = (self.regions_exact, self.tolerant_halo);
            let settings = StreamSettings { regions_exact, tolerant_halo, ..settings() };
            self.engine = Engine::AtWork(match engine {
                AnyEngine::Host(engine) => Box::new(CpuPipeline::new(engine, from, to, settings)?),
                AnyEngine::Device(engine, device) => {
                    Box::new(CudaPipeline::new(engine, device, from, to, settings)?)
                }
            });
        }
        match &mut self.engine {
            Engine::AtWork(upscaler) => Ok(upscaler.as_mut()),
            _ => Err(Failure::Frames("there is no model".into())),
        }
    }
}

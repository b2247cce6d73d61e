//! What the streaming thread works with: the negotiated frames, the engine, the upscaler.

use gst_video::{VideoFrameRef, VideoInfo};

use super::{errors::Failure, video_info};
use crate::{
    frame::FrameInfo,
    inference::Infer,
    upscaler::{FrameParams, FrameReport, Reuse, Settings, Upscaler},
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
    Idle(Box<dyn Infer>),
    AtWork(Box<Upscaler>),
}

/// How a frame compares with the one before.
pub(super) enum Compared {
    /// Its output is this one.
    Same(gst::Buffer),
    /// It is to be processed by these.
    Changed(FrameParams),
}

/// One stream's engine, at work or not.
#[derive(Default)]
pub(super) struct Stream {
    engine: Engine,
    /// See [`Settings::regions_exact`].
    regions_exact: bool,
    /// Frames since the last seam.
    number: u64,
    /// The last output, where it may serve again.
    last: Option<gst::Buffer>,
}

impl Stream {
    pub fn has_engine(&self) -> bool {
        !matches!(self.engine, Engine::Missing)
    }

    /// Goes on with `engine`; the one before is dropped.
    pub fn set_engine(&mut self, engine: Box<dyn Infer>, regions_exact: bool) {
        self.engine = Engine::Idle(engine);
        self.regions_exact = regions_exact;
        self.last = None;
    }

    /// The next frame is the first of new caps.
    pub fn caps_changed(&mut self) {
        self.last = None;
        self.engine = match std::mem::take(&mut self.engine) {
            Engine::AtWork(upscaler) => Engine::Idle(upscaler.into_engine()),
            other => other,
        };
    }

    /// The next frame has nothing to do with those before.
    pub fn reset(&mut self) {
        self.number = 0;
        self.forget();
    }

    /// The next frame does not follow on the one before, within the same stretch of video.
    pub fn forget(&mut self) {
        self.last = None;
        if let Engine::AtWork(upscaler) = &mut self.engine {
            upscaler.reset();
        }
    }

    /// Compares `inbuf` with the frame before, by `params` of this frame's number; the output
    /// of that frame where it is this one's too. `settings` are asked for at the first frame of
    /// new caps.
    ///
    /// # Errors
    /// Where the buffer does not hold such a frame, or there is no upscaler for it. The engine
    /// is lost when an upscaler cannot be made of it.
    pub fn compare(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> Settings,
        params: impl FnOnce(u64) -> FrameParams,
        inbuf: &gst::BufferRef,
    ) -> Result<Compared, Failure> {
        let params = params(self.number);
        self.number += 1;
        let input = VideoFrameRef::from_buffer_ref_readable(inbuf, &negotiated.input)
            .map_err(|error| Failure::Frames(error.to_string()))?;
        let input = video_info::planes(&input, negotiated.from).map_err(Failure::Frames)?;
        let same = self.upscaler(negotiated, settings)?.compare(&input, &params)?;
        Ok(match self.last.clone().filter(|_| same) {
            Some(last) => Compared::Same(last),
            None => Compared::Changed(params),
        })
    }

    /// Enlarges `inbuf`, which has been [compared](Self::compare), into `outbuf`.
    ///
    /// # Errors
    /// Where the buffers do not hold such frames, or the upscaler fails.
    pub fn process(
        &mut self,
        negotiated: &Negotiated,
        params: &FrameParams,
        inbuf: &gst::BufferRef,
        outbuf: &mut gst::BufferRef,
    ) -> Result<FrameReport, Failure> {
        let frames = |error: glib::BoolError| Failure::Frames(error.to_string());
        let Engine::AtWork(upscaler) = &mut self.engine else {
            return Err(Failure::Frames("there is no model".into()));
        };
        let input =
            VideoFrameRef::from_buffer_ref_readable(inbuf, &negotiated.input).map_err(frames)?;
        let mut output =
            VideoFrameRef::from_buffer_ref_writable(outbuf, &negotiated.output).map_err(frames)?;
        let input = video_info::planes(&input, negotiated.from).map_err(Failure::Frames)?;
        let mut output =
            video_info::planes_mut(&mut output, negotiated.to).map_err(Failure::Frames)?;
        let last = self.last.take();
        let last = last.as_ref().and_then(|buffer| {
            VideoFrameRef::from_buffer_ref_readable(buffer, &negotiated.output).ok()
        });
        let previous = last.as_ref().and_then(|last| video_info::planes(last, negotiated.to).ok());
        Ok(upscaler.process(&input, previous.as_ref(), &mut output, params)?)
    }

    /// Keeps an output, in case the next frame is the same in part or as a whole.
    pub fn keep(&mut self, output: &gst::Buffer, params: &FrameParams) {
        self.last = (params.reuse != Reuse::Off).then(|| output.clone());
    }

    fn upscaler(
        &mut self,
        negotiated: &Negotiated,
        settings: impl FnOnce() -> Settings,
    ) -> Result<&mut Upscaler, Failure> {
        if let Engine::Idle(_) = self.engine
            && let Engine::Idle(engine) = std::mem::take(&mut self.engine)
        {
            let (from, to) = (negotiated.from, negotiated.to);
            let settings = Settings { regions_exact: self.regions_exact, ..settings() };
            let upscaler = Upscaler::new(engine, from, to, settings)?;
            self.engine = Engine::AtWork(Box::new(upscaler));
        }
        match &mut self.engine {
            Engine::AtWork(upscaler) => Ok(upscaler),
            _ => Err(Failure::Frames("there is no model".into())),
        }
    }
}

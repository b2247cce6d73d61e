//! The stages of one stream, in order: unpack, compare, plan, infer, finish, pack.
//!
//! A frame is at work in three places, one after the other: [`submit`](Pipeline::submit) compares,
//! plans and unpacks it on the caller's thread; the model runs elsewhere; [`next`](Pipeline::next)
//! waits for that, and [`finish`](Pipeline::finish) makes the output, on the caller's thread
//! again. A caller that submits a frame before it takes the one before has both at work at once.

mod conversion;
mod cpu;
mod cuda;
mod memory;
mod region;
mod schedule;

pub use cpu::CpuPipeline;
pub use cuda::CudaPipeline;
pub use region::Geometry;

use std::time::Duration;

use crate::{
    engine::{self, AnyEngine},
    frame::{FrameMut, FrameRef},
    reuse::Region,
};

/// One stream's way from small frames to large ones, over one kind of memory. Frames come out in
/// the order in which they went in, each by what was asked for when it went in.
///
/// After an error nothing of the frames before is built on; those in flight are lost.
pub trait Pipeline: Send {
    /// Takes a frame in, without waiting for those before it (but for once, when the model is
    /// timed before the first regions are planned). `input` is not needed any longer
    /// then. However many are in flight, each holds memory for its enlarged picture: it is the
    /// caller who keeps them few.
    ///
    /// # Errors
    /// [`Error::Frame`] where `input` is not of the stream's kind; what inference gives.
    fn submit(&mut self, input: &FrameRef<'_>, params: &FrameParams) -> Result<(), Error>;

    /// Waits until the model is done with the oldest frame in flight; `None` where there is none.
    ///
    /// # Errors
    /// What inference gives.
    fn next(&mut self) -> Result<Option<Next>, Error>;

    /// Makes the output of the frame that [`next`](Self::next) gave last. `previous`: the output
    /// of the frame before it, for what has not changed since; without it everything is painted.
    ///
    /// # Errors
    /// See [`Error`]; `output` then holds no picture.
    fn finish(
        &mut self,
        previous: Option<&FrameRef<'_>>,
        output: &mut FrameMut<'_>,
    ) -> Result<FrameReport, Error>;

    /// The next frame to go in is not to build on those before it (after a discontinuity).
    fn reset(&mut self);

    /// Drops the frames in flight too, without waiting for them (after a flush).
    fn abort(&mut self);

    /// The engine back, for the next stream of the same model; `None` where it was lost.
    fn into_engine(self: Box<Self>) -> Option<AnyEngine>;

    /// All at once, for one frame where none is in flight.
    ///
    /// # Errors
    /// As the three have them.
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

/// A frame that the model is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its output is that of the frame before it, and need not be made, though it can be.
    Same,
    /// Its output is to be made.
    Changed,
}

/// What stays the same from frame to frame. Changing it means a new [`Pipeline`].
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSettings {
    /// For our own stages, at least 1.
    pub threads: usize,
    /// Largest region edge in input pixels, halo not counted; 0: as large as memory allows.
    pub tile_size: u32,
    /// Input pixels around a region; `None`: the model's exact receptive field.
    pub halo: Option<u32>,
    /// Bytes for the working memory of inference; `None`: a share of what is free.
    pub memory_limit: Option<u64>,
    /// Whether the engine gives a region the same samples as the whole frame, to the bit, as
    /// [`Reuse::Exact`] needs to compute only parts of a frame. Measured when a model is loaded.
    pub regions_exact: bool,
    /// The halo of regions in tolerant mode, where [`halo`](Self::halo) is the model's own;
    /// `None`: the same. Measured when a model is loaded.
    pub tolerant_halo: Option<u32>,
}

/// What of the frames before may serve again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reuse {
    /// Nothing: every frame is computed whole.
    #[default]
    Off,
    /// What is certain to come out the same, to the bit.
    Exact,
    /// Places whose input differs little from what they were computed from.
    Tolerant {
        /// The largest difference, in 8-bit steps.
        tolerance: u8,
        /// Frames within which a place that differs at all is computed anew, at least 1.
        refresh: u32,
    },
}

/// What may differ in each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameParams {
    /// Share of the model's picture over a Lanczos enlargement of the input, 0..1.
    pub blend: f32,
    /// Strength of film grain, 0..1.
    pub grain: f32,
    /// Seeds the grain.
    pub number: u64,
    pub reuse: Reuse,
}

/// What one frame took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameReport {
    /// Regions that went through the model.
    pub regions: u32,
    /// Input pixels that went through the model, halo included.
    pub pixels: u64,
    /// Input pixels of the frame.
    pub frame_pixels: u64,
    /// Memory ran out: less goes through the model at once from here on.
    pub less_at_once: bool,
    /// Comparing with the frames before, and planning.
    pub compare: Duration,
    pub unpack: Duration,
    /// The model.
    pub infer: Duration,
    /// Resample, blend, grain and pack.
    pub finish: Duration,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Frame(#[from] crate::frame::Error),
    #[error(transparent)]
    Inference(#[from] engine::Error),
    /// [`OutOfMemory`](crate::cuda::Error::OutOfMemory) where another backend may still go.
    #[error(transparent)]
    Device(#[from] crate::cuda::Error),
    #[error(
        "not enough memory even for regions of {side} pixels: raise memory-limit or use a smaller model"
    )]
    NoMemory { side: u32 },
    #[error(
        "the enlarged picture of {width}x{height} pixels needs {megabytes} MB, more than is free: \
         use a model of a smaller factor or smaller frames"
    )]
    TooLarge { width: u64, height: u64, megabytes: u64 },
    #[error("{0}")]
    Impossible(String),
    #[error("inference ended in a panic, which is a bug in upscale: please report it")]
    Panicked,
    #[error("there is no frame to finish")]
    NoFrame,
}

//! Settings of a stream and of a frame, and what a frame cost.

use std::time::Duration;

/// Settings that hold for a whole stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSettings {
    /// CPU threads for the stages around the model, at least 1.
    pub threads: usize,
    /// Largest side of a region in input pixels, without its halo. 0: as large as memory allows.
    pub tile_size: u32,
    /// Input pixels read around a region. `None`: the model's receptive field.
    pub halo: Option<u32>,
    /// Bytes of working memory for inference. `None`: a share of the free memory.
    pub memory_limit: Option<u64>,
}

/// What tests of an engine found out about computing parts of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineTraits {
    /// A region has the same samples as that part of the whole frame, bit for bit. Required for
    /// computing parts of a frame with [`Reuse::Exact`].
    pub exact_regions: bool,
    /// Input pixels to read around a region with [`Reuse::Tolerant`], unless
    /// [`StreamSettings::halo`] is set. `None`: the model's receptive field.
    pub tolerant_halo: Option<u32>,
}

/// Which results of earlier frames may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reuse {
    /// None: every frame is computed completely.
    #[default]
    Off,
    /// Results that are certain to be equal, bit for bit.
    Exact,
    /// Also the results of pixels whose input has changed only a little since it was computed.
    Tolerant {
        /// Largest ignored difference of a sample, in 8-bit steps (scaled for deeper formats).
        tolerance: u8,
        /// Frames within which every pixel that differs at all is computed again, at least 1.
        refresh: u32,
    },
}

/// Parameters that may differ from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameParams {
    /// Weight of the model's picture against a Lanczos enlargement of the input, 0..1.
    pub blend: f32,
    /// Strength of film grain, 0..1.
    pub grain: f32,
    /// Number of the frame in the stream, which seeds the grain.
    pub number: u64,
    /// Which results of earlier frames may be reused.
    pub reuse: Reuse,
}

/// What one frame cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameReport {
    /// Regions that the model ran on.
    pub regions: u32,
    /// Input pixels that the model ran on, including halos.
    pub pixels: u64,
    /// Input pixels of the frame.
    pub frame_pixels: u64,
    /// Memory ran out: from this frame on, the model gets less at once.
    pub less_at_once: bool,
    /// Time for comparing with earlier frames and planning.
    pub compare: Duration,
    /// Time for unpacking the input to float samples.
    pub unpack: Duration,
    /// Time of the model.
    pub infer: Duration,
    /// Time for resampling, blending, grain and packing.
    pub finish: Duration,
}

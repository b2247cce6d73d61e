//! Settings of a stream and of a frame, and what a frame cost.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, Instant},
};

use crate::engine::UnknownName;

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
    /// How close the model's picture is held to the input, 0..1: at 1 its chroma is that of a Lanczos
    /// enlargement, and what differs from the input after reducing it is corrected.
    pub fidelity: f32,
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

/// The kinds of [`Reuse`], as the property `reuse` and the command line name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstUpscaleReuse")]
#[non_exhaustive]
pub enum ReuseMode {
    /// [`Reuse::Off`].
    #[enum_value(name = "Compute every frame completely", nick = "off")]
    Off,
    /// [`Reuse::Exact`].
    #[default]
    #[enum_value(name = "Reuse results that are identical to the bit", nick = "exact")]
    Exact,
    /// [`Reuse::Tolerant`].
    #[enum_value(
        name = "Reuse results where the input differs by at most reuse-tolerance",
        nick = "tolerant"
    )]
    Tolerant,
}

impl ReuseMode {
    /// All modes, as the property lists them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Exact, Self::Tolerant];

    /// The mode's name in the property `reuse` and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Exact => "exact",
            Self::Tolerant => "tolerant",
        }
    }

    /// The reuse of this mode; `tolerance` and `refresh` are those of [`Reuse::Tolerant`].
    #[must_use]
    pub fn with(self, tolerance: u8, refresh: u32) -> Reuse {
        match self {
            Self::Off => Reuse::Off,
            Self::Exact => Reuse::Exact,
            Self::Tolerant => Reuse::Tolerant { tolerance, refresh },
        }
    }
}

impl FromStr for ReuseMode {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let unknown = || UnknownName { expected: Self::ALL.map(Self::name).into() };
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or_else(unknown)
    }
}

impl fmt::Display for ReuseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
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

/// When the output of a frame is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The time by which the output should be finished.
    pub at: Instant,
    /// What the output shows if the model is late.
    pub late: Late,
    /// The largest difference of a sample from the input of the model, in 8-bit steps, up to which
    /// the model's picture is shown if time is too short to compute it again.
    pub tolerance: u8,
}

/// What the output of a frame shows if the model does not finish before its [`Deadline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// The model's picture where it is up to date, and a Lanczos enlargement elsewhere.
    Adapt,
    /// A Lanczos enlargement.
    Resample,
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
    /// Input pixels that are shown as a Lanczos enlargement because the model was late or is still
    /// being loaded.
    pub resampled_pixels: u64,
    /// Input pixels whose picture the model computed again since the last frame.
    pub fresh_pixels: u64,
    /// The model was expected to be ready for this frame in time, or for the one that it still computes,
    /// and was not.
    pub missed: bool,
    /// The time that the model needs for a whole frame, as far as it is known. Only frames with a
    /// [`Deadline`] have it.
    pub whole_frame: Option<Duration>,
    /// Memory does not suffice for features, so that more than necessary was computed.
    pub without_features: bool,
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

#[cfg(test)]
mod tests {
    use glib::prelude::*;

    use super::*;

    #[test]
    fn names_of_modes_parse_print_and_are_the_nicks_of_the_property() {
        for mode in ReuseMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let error = "some".parse::<ReuseMode>().unwrap_err().to_string();
        assert_eq!(error, "expected one of: off, exact, tolerant");
        let class = glib::EnumClass::with_type(ReuseMode::static_type()).unwrap();
        let nicks: Vec<_> = class.values().iter().map(|value| value.nick().to_owned()).collect();
        assert_eq!(nicks, ReuseMode::ALL.map(ReuseMode::name));
    }
}

//! The values of the element's properties, and what they mean for the other modules.

use std::{num::NonZero, path::PathBuf, thread};

use crate::{
    engine::{Backend, EngineOptions, Precision},
    model::OpenOptions,
    upscaler::{self, Late, ReuseMode},
};

/// The property `startup`: what to do with frames until the first model is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstUpscaleStartup")]
pub enum Startup {
    /// [`Resample`](Self::Resample) in live pipelines, otherwise [`Wait`](Self::Wait).
    #[default]
    #[enum_value(name = "Resample in live pipelines, otherwise wait", nick = "auto")]
    Auto,
    /// Frames wait until the model is loaded.
    #[enum_value(name = "Wait until the model is loaded", nick = "wait")]
    Wait,
    /// Frames are enlarged with Lanczos resampling until the model is loaded.
    #[enum_value(
        name = "Enlarge frames with Lanczos resampling until the model is loaded",
        nick = "resample"
    )]
    Resample,
}

/// The property `overload`: what to do with frames for which the model is too slow, in live
/// pipelines and after a sink reported late frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstUpscaleOverload")]
pub enum Overload {
    /// Late frames show the model's picture where it is up to date, otherwise Lanczos resampling.
    #[default]
    #[enum_value(
        name = "Enlarge with Lanczos resampling what the model has no time for",
        nick = "adapt"
    )]
    Adapt,
    /// Late frames are enlarged with Lanczos resampling.
    #[enum_value(name = "Enlarge late frames with Lanczos resampling", nick = "resample")]
    Resample,
    /// Frames wait for the model, and late ones are dropped.
    #[enum_value(name = "Wait for the model, and drop late frames", nick = "drop")]
    Drop,
}

/// The value of every writable property.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Properties {
    pub model: String,
    /// −1: the model's own strength.
    pub denoise: f64,
    /// 0: the model's own factor.
    pub scale: f64,
    pub backend: Backend,
    pub device_id: i32,
    pub precision: Precision,
    /// 0: all available threads.
    pub threads: u32,
    pub startup: Startup,
    pub overload: Overload,
    /// Milliseconds; 0: no limit.
    pub max_latency: u32,
    /// Empty: none.
    pub lighter_model: String,
    /// Path of a file; empty: none.
    pub profiles: String,
    pub bypass: bool,
    /// Share of the width; 0: none.
    pub split: f64,
    /// Input pixels; 0: as large as the memory limit allows.
    pub tile_size: u32,
    /// Input pixels; −1: the model's receptive field.
    pub halo: i32,
    /// Bytes; 0: a share of the free memory.
    pub memory_limit: u64,
    pub fidelity: f64,
    pub blend: f64,
    pub grain: f64,
    /// Number of the first frame after a start or a flush.
    pub first_frame: u64,
    pub reuse: ReuseMode,
    /// 8-bit steps.
    pub reuse_tolerance: u32,
    /// Frames.
    pub reuse_refresh: u32,
    /// −1: automatic.
    pub pipeline_depth: i32,
    /// Milliseconds; 0: never.
    pub stats_interval: u32,
    /// Empty: the user's cache directory.
    pub cache_dir: String,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            model: "builtin".into(),
            denoise: -1.0,
            scale: 0.0,
            backend: Backend::Auto,
            device_id: 0,
            precision: Precision::Auto,
            threads: 0,
            startup: Startup::Auto,
            overload: Overload::Adapt,
            max_latency: 0,
            lighter_model: "builtin".into(),
            profiles: String::new(),
            bypass: false,
            split: 0.0,
            tile_size: 0,
            halo: -1,
            memory_limit: 0,
            fidelity: 0.0,
            blend: 1.0,
            grain: 0.0,
            first_frame: 0,
            reuse: ReuseMode::Exact,
            reuse_tolerance: 2,
            reuse_refresh: 250,
            pipeline_depth: -1,
            stats_interval: 0,
            cache_dir: String::new(),
        }
    }
}

/// One frame in flight is enough to keep the model busy.
const AUTOMATIC_DEPTH: usize = 1;

impl Properties {
    fn thread_count(&self) -> usize {
        let available = thread::available_parallelism().map_or(1, NonZero::get);
        match self.threads {
            0 => available,
            threads => available.min(threads as usize),
        }
    }

    fn cache_dir(&self) -> PathBuf {
        if self.cache_dir.is_empty() {
            return EngineOptions::default_cache_dir();
        }
        PathBuf::from(&self.cache_dir)
    }

    /// The largest number of frames in flight between two output frames.
    pub(crate) fn depth(&self, live: bool) -> usize {
        let automatic = if live { 0 } else { AUTOMATIC_DEPTH };
        usize::try_from(self.pipeline_depth).unwrap_or(automatic)
    }

    /// What a late frame shows, if frames that follow a clock have a deadline.
    pub(crate) fn late(&self) -> Option<Late> {
        let late = match self.overload {
            Overload::Drop => return None,
            Overload::Resample => Late::Resample,
            Overload::Adapt => Late::Adapt,
        };
        (self.pipeline_depth <= 0).then_some(late)
    }

    /// The longest processing time of a frame in a live pipeline, if it is limited.
    pub(crate) fn max_latency(&self) -> Option<gst::ClockTime> {
        (self.max_latency > 0).then(|| gst::ClockTime::from_mseconds(self.max_latency.into()))
    }

    /// How to open the model.
    pub(crate) fn open_options(&self) -> OpenOptions {
        OpenOptions { denoise: (self.denoise >= 0.0).then_some(self.denoise as f32) }
    }

    /// How to load an engine for the model.
    pub(crate) fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            backend: self.backend,
            precision: self.precision,
            device_id: self.device_id.max(0) as u32,
            threads: self.thread_count(),
            cache_dir: self.cache_dir(),
        }
    }

    /// The settings of a pipeline; those that the engine decides are placeholders.
    pub(crate) fn upscaler_settings(&self) -> upscaler::StreamSettings {
        upscaler::StreamSettings {
            threads: self.thread_count(),
            tile_size: self.tile_size,
            halo: u32::try_from(self.halo).ok(),
            memory_limit: (self.memory_limit > 0).then_some(self.memory_limit),
            fidelity: self.fidelity as f32,
        }
    }

    /// The settings of frame `number`, counted from the start or the last flush.
    pub(crate) fn frame_params(&self, number: u64) -> upscaler::FrameParams {
        let tolerance = u8::try_from(self.reuse_tolerance).unwrap_or(u8::MAX);
        let reuse = self.reuse.with(tolerance, self.reuse_refresh);
        let (blend, grain) = if self.bypass { (0.0, 0.0) } else { (self.blend, self.grain) };
        let (blend, grain) = (blend as f32, grain as f32);
        let number = self.first_frame.wrapping_add(number);
        upscaler::FrameParams { blend, grain, number, reuse }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_cache_directory_means_the_users() {
        let properties = Properties::default();
        assert_eq!(properties.engine_options().cache_dir, EngineOptions::default_cache_dir());
        let properties = Properties { cache_dir: "/somewhere".into(), ..properties };
        assert_eq!(properties.engine_options().cache_dir, PathBuf::from("/somewhere"));
    }
}

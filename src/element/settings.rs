//! The properties, as plain data.

use std::{num::NonZero, path::PathBuf, sync::LazyLock, thread};

use glib::prelude::*;

use crate::{
    engine::{Backend, EngineOptions, Precision},
    model::OpenOptions,
    upscaler,
};

/// The property `reuse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstUpscaleReuse")]
pub enum Reuse {
    #[enum_value(name = "Compute every frame whole", nick = "off")]
    Off,
    #[default]
    #[enum_value(name = "Reuse what is certain to come out the same, to the bit", nick = "exact")]
    Exact,
    #[enum_value(name = "Reuse what differs by no more than reuse-tolerance", nick = "tolerant")]
    Tolerant,
}

/// The property `startup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "GstUpscaleStartup")]
pub enum Startup {
    #[default]
    #[enum_value(name = "Frames wait until the model is loaded", nick = "wait")]
    Wait,
    #[enum_value(
        name = "Frames are enlarged by Lanczos until the model is loaded",
        nick = "resample"
    )]
    Resample,
}

/// The value of every property that can be set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub model: String,
    /// −1: the model as it is.
    pub denoise: f64,
    /// 0: the model's own.
    pub scale: f64,
    pub backend: Backend,
    pub device_id: i32,
    pub precision: Precision,
    /// 0: all that affinity and cgroup allow.
    pub threads: u32,
    pub startup: Startup,
    pub tile_size: u32,
    /// −1: the model's receptive field.
    pub halo: i32,
    /// 0: a share of what is free.
    pub memory_limit: u64,
    pub blend: f64,
    pub grain: f64,
    pub reuse: Reuse,
    pub reuse_tolerance: u32,
    pub reuse_refresh: u32,
    /// −1: automatic.
    pub pipeline_depth: i32,
    /// Milliseconds; 0: never.
    pub stats_interval: u32,
    pub cache_dir: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "builtin".into(),
            denoise: -1.0,
            scale: 0.0,
            backend: Backend::Auto,
            device_id: 0,
            precision: Precision::Auto,
            threads: 0,
            startup: Startup::Wait,
            tile_size: 0,
            halo: -1,
            memory_limit: 0,
            blend: 1.0,
            grain: 0.0,
            reuse: Reuse::Exact,
            reuse_tolerance: 2,
            reuse_refresh: 250,
            pipeline_depth: -1,
            stats_interval: 0,
            cache_dir: default_cache_dir(),
        }
    }
}

/// One frame is enough for the model never to wait for the other stages.
const AUTOMATIC_DEPTH: usize = 1;

fn default_cache_dir() -> String {
    let base = dirs::cache_dir().unwrap_or_else(std::env::temp_dir);
    base.join("gst-upscale").to_string_lossy().into_owned()
}

impl Settings {
    /// The value of the property of this name; `None` for `stats` and unknown ones.
    pub fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "model" => self.model.to_value(),
            "denoise" => self.denoise.to_value(),
            "scale" => self.scale.to_value(),
            "backend" => self.backend.to_value(),
            "device-id" => self.device_id.to_value(),
            "precision" => self.precision.to_value(),
            "threads" => self.threads.to_value(),
            "startup" => self.startup.to_value(),
            "tile-size" => self.tile_size.to_value(),
            "halo" => self.halo.to_value(),
            "memory-limit" => self.memory_limit.to_value(),
            "blend" => self.blend.to_value(),
            "grain" => self.grain.to_value(),
            "reuse" => self.reuse.to_value(),
            "reuse-tolerance" => self.reuse_tolerance.to_value(),
            "reuse-refresh" => self.reuse_refresh.to_value(),
            "pipeline-depth" => self.pipeline_depth.to_value(),
            "stats-interval" => self.stats_interval.to_value(),
            "cache-dir" => self.cache_dir.to_value(),
            _ => return None,
        })
    }

    /// Sets the property of this name; GObject has checked type and range.
    pub fn set(&mut self, name: &str, value: &glib::Value) {
        match name {
            "model" => {
                let model = value.get::<Option<String>>().ok().flatten();
                self.model = model.unwrap_or_else(|| Self::default().model);
            }
            "denoise" => assign(&mut self.denoise, value),
            "scale" => assign(&mut self.scale, value),
            "backend" => assign(&mut self.backend, value),
            "device-id" => assign(&mut self.device_id, value),
            "precision" => assign(&mut self.precision, value),
            "threads" => assign(&mut self.threads, value),
            "startup" => assign(&mut self.startup, value),
            "tile-size" => assign(&mut self.tile_size, value),
            "halo" => assign(&mut self.halo, value),
            "memory-limit" => assign(&mut self.memory_limit, value),
            "blend" => assign(&mut self.blend, value),
            "grain" => assign(&mut self.grain, value),
            "reuse" => assign(&mut self.reuse, value),
            "reuse-tolerance" => assign(&mut self.reuse_tolerance, value),
            "reuse-refresh" => assign(&mut self.reuse_refresh, value),
            "pipeline-depth" => assign(&mut self.pipeline_depth, value),
            "stats-interval" => assign(&mut self.stats_interval, value),
            "cache-dir" => {
                let folder = value.get::<Option<String>>().ok().flatten();
                let folder = folder.filter(|folder| !folder.is_empty());
                self.cache_dir = folder.unwrap_or_else(default_cache_dir);
            }
            _ => {}
        }
    }

    fn thread_count(&self) -> usize {
        let most = thread::available_parallelism().map_or(1, NonZero::get);
        match self.threads {
            0 => most,
            threads => most.min(threads as usize),
        }
    }

    /// Frames that may be in flight when one comes out.
    pub fn depth(&self, live: bool) -> usize {
        let automatic = if live { 0 } else { AUTOMATIC_DEPTH };
        usize::try_from(self.pipeline_depth).unwrap_or(automatic)
    }

    pub fn open_options(&self) -> OpenOptions {
        OpenOptions { denoise: (self.denoise >= 0.0).then_some(self.denoise as f32) }
    }

    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            backend: self.backend,
            precision: self.precision,
            device_id: self.device_id.max(0) as u32,
            threads: self.thread_count(),
            cache_dir: PathBuf::from(&self.cache_dir),
        }
    }

    pub fn upscaler_settings(&self) -> upscaler::StreamSettings {
        upscaler::StreamSettings {
            threads: self.thread_count(),
            tile_size: self.tile_size,
            halo: u32::try_from(self.halo).ok(),
            memory_limit: (self.memory_limit > 0).then_some(self.memory_limit),
            regions_exact: false,
            tolerant_halo: None,
        }
    }

    /// What changes from frame to frame, for frame `number`.
    pub fn frame_params(&self, number: u64) -> upscaler::FrameParams {
        let reuse = match self.reuse {
            Reuse::Off => upscaler::Reuse::Off,
            Reuse::Exact => upscaler::Reuse::Exact,
            Reuse::Tolerant => upscaler::Reuse::Tolerant {
                tolerance: u8::try_from(self.reuse_tolerance).unwrap_or(u8::MAX),
                refresh: self.reuse_refresh,
            },
        };
        let (blend, grain) = (self.blend as f32, self.grain as f32);
        upscaler::FrameParams { blend, grain, number, reuse }
    }
}

fn assign<T: for<'a> glib::value::FromValue<'a>>(slot: &mut T, value: &glib::Value) {
    if let Ok(value) = value.get::<T>() {
        *slot = value;
    }
}

/// What `gst-inspect-1.0` shows.
pub(super) fn properties() -> &'static [glib::ParamSpec] {
    static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
        let ready = glib::ParamFlags::READWRITE | gst::PARAM_FLAG_MUTABLE_READY;
        let playing = glib::ParamFlags::READWRITE | gst::PARAM_FLAG_MUTABLE_PLAYING;
        let controllable = playing | gst::PARAM_FLAG_CONTROLLABLE;
        let default = Settings::default();
        vec![
            glib::ParamSpecString::builder("model")
                .nick("Model")
                .blurb("A name of the catalogue, or the path of a model file")
                .default_value(Some(&*default.model))
                .flags(playing)
                .build(),
            glib::ParamSpecDouble::builder("denoise")
                .nick("Denoise")
                .blurb(
                    "Strength of denoising of realesr-general-x4v3, or share of the first of a \
                     pair (a.pth+b.pth), 0 to 1; -1: the model as it is",
                )
                .minimum(-1.0)
                .maximum(1.0)
                .default_value(default.denoise)
                .flags(playing)
                .build(),
            glib::ParamSpecDouble::builder("scale")
                .nick("Scale")
                .blurb("Output size over input size; 0: the model's own. Downstream caps win")
                .minimum(0.0)
                .maximum(16.0)
                .default_value(default.scale)
                .flags(playing)
                .build(),
            glib::ParamSpecEnum::builder_with_default("backend", default.backend)
                .nick("Backend")
                .blurb("What runs the model")
                .flags(ready)
                .build(),
            glib::ParamSpecInt::builder("device-id")
                .nick("Device")
                .blurb("Which GPU to use, counted from 0")
                .minimum(0)
                .maximum(i32::MAX)
                .default_value(default.device_id)
                .flags(ready)
                .build(),
            glib::ParamSpecEnum::builder_with_default("precision", default.precision)
                .nick("Precision")
                .blurb("The arithmetic of the model; an error where the backend cannot do it")
                .flags(ready)
                .build(),
            glib::ParamSpecUInt::builder("threads")
                .nick("Threads")
                .blurb("Threads to use in all; 0, and at most: as many as affinity and cgroup allow")
                .minimum(0)
                .maximum(1024)
                .default_value(default.threads)
                .flags(ready)
                .build(),
            glib::ParamSpecEnum::builder_with_default("startup", default.startup)
                .nick("Startup")
                .blurb("What becomes of frames that come while the first model is being loaded")
                .flags(ready)
                .build(),
            glib::ParamSpecUInt::builder("tile-size")
                .nick("Tile size")
                .blurb(
                    "Largest edge of a region in input pixels, halo not counted; 0: as large as \
                     memory-limit allows",
                )
                .minimum(0)
                .maximum(32768)
                .default_value(default.tile_size)
                .flags(ready)
                .build(),
            glib::ParamSpecInt::builder("halo")
                .nick("Halo")
                .blurb(
                    "Input pixels around a region; -1: the model's exact receptive field, or with \
                     reuse=tolerant as much of it as shows")
                .minimum(-1)
                .maximum(32768)
                .default_value(default.halo)
                .flags(ready)
                .build(),
            glib::ParamSpecUInt64::builder("memory-limit")
                .nick("Memory limit")
                .blurb("Bytes for the working memory of inference; 0: a share of what is free")
                .default_value(default.memory_limit)
                .flags(ready)
                .build(),
            glib::ParamSpecDouble::builder("blend")
                .nick("Blend")
                .blurb("Share of the model's picture over a Lanczos enlargement of the input")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.blend)
                .flags(controllable)
                .build(),
            glib::ParamSpecDouble::builder("grain")
                .nick("Grain")
                .blurb("Strength of the film grain laid on top, weighted by luma")
                .minimum(0.0)
                .maximum(1.0)
                .default_value(default.grain)
                .flags(controllable)
                .build(),
            glib::ParamSpecEnum::builder_with_default("reuse", default.reuse)
                .nick("Reuse")
                .blurb("What of earlier frames may serve again instead of being computed")
                .flags(playing)
                .build(),
            glib::ParamSpecUInt::builder("reuse-tolerance")
                .nick("Reuse tolerance")
                .blurb("With reuse=tolerant: the largest difference that counts as unchanged, in 8-bit steps")
                .minimum(0)
                .maximum(64)
                .default_value(default.reuse_tolerance)
                .flags(playing)
                .build(),
            glib::ParamSpecUInt::builder("reuse-refresh")
                .nick("Reuse refresh")
                .blurb("With reuse=tolerant: frames within which each differing place is computed anew")
                .minimum(1)
                .maximum(u32::MAX)
                .default_value(default.reuse_refresh)
                .flags(playing)
                .build(),
            glib::ParamSpecInt::builder("pipeline-depth")
                .nick("Pipeline depth")
                .blurb(
                    "Frames that may be at work beside the one that comes out; each delays the \
                     output by a frame. -1: none when live, else what pays",
                )
                .minimum(-1)
                .maximum(4)
                .default_value(default.pipeline_depth)
                .flags(playing)
                .build(),
            glib::ParamSpecUInt::builder("stats-interval")
                .nick("Statistics interval")
                .blurb("Milliseconds of running time between upscale-stats messages on the bus; 0: none")
                .default_value(default.stats_interval)
                .flags(playing)
                .build(),
            glib::ParamSpecString::builder("cache-dir")
                .nick("Cache folder")
                .blurb("Where compiled models, and what was measured once, are kept; empty: the user's cache folder")
                .default_value(Some(&*default.cache_dir))
                .flags(ready)
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Statistics")
                .blurb("Frames, regions, pixels and time per stage; model, backend, precision, and what was tried before")
                .read_only()
                .build(),
        ]
    });
    &PROPERTIES
}

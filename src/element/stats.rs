//! The property `stats`.

use std::time::Duration;

use crate::{
    backend::Loaded,
    engine::{Backend, Precision},
    upscaler::FrameReport,
};

/// Sums since the element started.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stats {
    pub frames_in: u64,
    pub frames_out: u64,
    /// Frames whose output was the one before, as a whole.
    frames_reused: u64,
    regions: u64,
    pixels: u64,
    /// Pixels of the frames that came.
    frame_pixels: u64,
    compare: Duration,
    unpack: Duration,
    infer: Duration,
    finish: Duration,
    /// Running time of the last message.
    posted: Option<gst::ClockTime>,
    engine: Option<EngineInUse>,
}

/// What runs the model.
#[derive(Clone, Debug, PartialEq)]
struct EngineInUse {
    model: String,
    backend: Backend,
    precision: Precision,
    /// See [`Loaded::fallbacks`].
    fallbacks: Vec<String>,
}

impl Stats {
    /// Adds a frame's work.
    pub fn add(&mut self, report: &FrameReport) {
        self.regions += u64::from(report.regions);
        self.pixels += report.pixels;
        self.frame_pixels += report.frame_pixels;
        self.compare += report.compare;
        self.unpack += report.unpack;
        self.infer += report.infer;
        self.finish += report.finish;
    }

    /// Adds a frame of this many pixels whose output was the one before.
    pub fn add_reused(&mut self, pixels: u64) {
        self.frames_reused += 1;
        self.frame_pixels += pixels;
    }

    /// Whether a message is to be posted at running time `now`, one each `interval` (0: none);
    /// `true` counts as posted.
    pub fn is_due(&mut self, now: gst::ClockTime, interval: gst::ClockTime) -> bool {
        // A seek can lead back before the last one.
        let waited = self.posted.is_none_or(|posted| now < posted || now - posted >= interval);
        let due = !interval.is_zero() && waited;
        if due {
            self.posted = Some(now);
        }
        due
    }

    /// The model in use from here on.
    pub fn set_engine(&mut self, model: String, engine: &Loaded) {
        let Loaded { backend, precision, ref fallbacks, .. } = *engine;
        let fallbacks = fallbacks.clone();
        self.engine = Some(EngineInUse { model, backend, precision, fallbacks });
    }

    /// Times are in nanoseconds.
    pub fn structure(&self) -> gst::Structure {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut structure = gst::Structure::builder("upscale-stats")
            .field("frames-in", self.frames_in)
            .field("frames-out", self.frames_out)
            .field("frames-reused", self.frames_reused)
            .field("regions", self.regions)
            .field("pixels", self.pixels)
            .field("pixels-share", self.pixels as f64 / self.frame_pixels.max(1) as f64)
            .field("compare-time", nanoseconds(self.compare))
            .field("unpack-time", nanoseconds(self.unpack))
            .field("infer-time", nanoseconds(self.infer))
            .field("finish-time", nanoseconds(self.finish))
            .build();
        if let Some(EngineInUse { model, backend, precision, fallbacks }) = &self.engine {
            structure.set("model", model.as_str());
            structure.set("backend", backend.to_string());
            structure.set("precision", precision.to_string());
            structure.set("fallbacks", gst::Array::new(fallbacks));
        }
        structure
    }
}

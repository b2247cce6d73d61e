//! The statistics of the property `stats` and of the `upscale-stats` messages.

use std::time::Duration;

use crate::{
    backend::Loaded,
    engine::{Backend, Fallback, Precision},
    upscaler::FrameReport,
};

/// Totals since the element started.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stats {
    pub frames_in: u64,
    pub frames_out: u64,
    /// Frames whose output was identical to the previous one.
    frames_reused: u64,
    /// Regions that the model enlarged.
    regions: u64,
    /// Input pixels that the model enlarged, including the halo.
    pixels: u64,
    /// Frames that were computed as a whole because memory did not suffice for features.
    without_features: u64,
    /// Input pixels of all frames.
    frame_pixels: u64,
    compare: Duration,
    unpack: Duration,
    infer: Duration,
    finish: Duration,
    /// Running time of the last message.
    posted: Option<gst::ClockTime>,
    current: Option<CurrentModel>,
}

/// The model that is running, and how it runs.
#[derive(Clone, Debug, PartialEq)]
struct CurrentModel {
    name: String,
    backend: Backend,
    precision: Precision,
    /// See [`Loaded::device`].
    device: Option<String>,
    /// See [`Loaded::fallbacks`].
    fallbacks: Vec<Fallback>,
}

impl Stats {
    /// Adds the work for a frame.
    pub(crate) fn add(&mut self, report: &FrameReport) {
        self.regions += u64::from(report.regions);
        self.pixels += report.pixels;
        self.without_features += u64::from(report.without_features);
        self.frame_pixels += report.frame_pixels;
        self.compare += report.compare;
        self.unpack += report.unpack;
        self.infer += report.infer;
        self.finish += report.finish;
    }

    /// Adds a frame of this many input pixels whose output was identical to the previous one.
    pub(crate) fn add_reused(&mut self, pixels: u64) {
        self.frames_reused += 1;
        self.frame_pixels += pixels;
    }

    /// Whether to post a message at running time `now`, with one message per `interval` (0: no
    /// messages). If so, the caller must post it.
    pub(crate) fn is_due(&mut self, now: gst::ClockTime, interval: gst::ClockTime) -> bool {
        // A seek can go back to a time before the last message.
        let waited = self.posted.is_none_or(|posted| now < posted || now - posted >= interval);
        let due = !interval.is_zero() && waited;
        if due {
            self.posted = Some(now);
        }
        due
    }

    /// Sets the model that runs from now on.
    pub(crate) fn set_model(&mut self, name: String, engine: &Loaded) {
        let Loaded { backend, precision, ref device, ref fallbacks, .. } = *engine;
        let (device, fallbacks) = (device.clone(), fallbacks.clone());
        self.current = Some(CurrentModel { name, backend, precision, device, fallbacks });
    }

    /// The backend in use as a fallback that is left for this reason.
    pub(crate) fn fallback(&self, reason: String) -> Option<Fallback> {
        Some(Fallback { backend: self.current.as_ref()?.backend, reason })
    }

    /// The value of the property and of the messages. Times are in nanoseconds.
    pub(crate) fn structure(&self) -> gst::Structure {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut structure = gst::Structure::builder("upscale-stats")
            .field("frames-in", self.frames_in)
            .field("frames-out", self.frames_out)
            .field("frames-reused", self.frames_reused)
            .field("regions", self.regions)
            .field("pixels", self.pixels)
            .field("frames-without-features", self.without_features)
            .field("pixels-share", self.pixels as f64 / self.frame_pixels.max(1) as f64)
            .field("compare-time", nanoseconds(self.compare))
            .field("unpack-time", nanoseconds(self.unpack))
            .field("infer-time", nanoseconds(self.infer))
            .field("finish-time", nanoseconds(self.finish))
            .build();
        if let Some(CurrentModel { name, backend, precision, device, fallbacks }) = &self.current {
            structure.set("model", name.as_str());
            structure.set("backend", backend.to_string());
            structure.set("precision", precision.to_string());
            if let Some(device) = device {
                structure.set("device", device.as_str());
            }
            structure.set("fallbacks", gst::Array::new(fallbacks.iter().map(Fallback::to_string)));
        }
        structure
    }
}

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
    /// When messages are posted.
    messages: Interval,
    /// Input pixels that are resampled in the last output.
    resampled: u64,
    /// The shares of the current second and of the last one.
    second: Interval,
    shares: [Shares; 2],
    current: Option<CurrentModel>,
    /// The model that is ready to be used instead.
    spare: Option<CurrentModel>,
}

/// Decides when something that must not happen too often is due.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interval {
    /// Running time of the last time.
    last: Option<gst::ClockTime>,
}

impl Interval {
    /// Whether it is due at running time `now`, once per `interval` (0: never). If so, the caller
    /// must do it.
    pub(crate) fn is_due(&mut self, now: gst::ClockTime, interval: gst::ClockTime) -> bool {
        // A seek can go back to a time before the last one.
        let waited = self.last.is_none_or(|last| now < last || now - last >= interval);
        let due = !interval.is_zero() && waited;
        if due {
            self.last = Some(now);
        }
        due
    }
}

/// Input pixels by where their picture comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shares {
    /// Computed by the model for this frame.
    model: u64,
    /// Computed by the model for an earlier frame.
    reused: u64,
    resampled: u64,
}

impl Shares {
    fn add(&mut self, frame: u64, resampled: u64, fresh: u64) {
        let shown = frame.saturating_sub(resampled);
        let model = fresh.min(shown);
        self.model += model;
        self.reused += shown - model;
        self.resampled += resampled;
    }

    /// A number of pixels as a share of all.
    fn of(&self, pixels: u64) -> f64 {
        pixels as f64 / (self.model + self.reused + self.resampled).max(1) as f64
    }
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

impl CurrentModel {
    fn new(name: String, engine: &Loaded) -> Self {
        let Loaded { backend, precision, ref device, ref fallbacks, .. } = *engine;
        let (device, fallbacks) = (device.clone(), fallbacks.clone());
        Self { name, backend, precision, device, fallbacks }
    }
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
        self.resampled = report.resampled_pixels;
        let [shares, _] = &mut self.shares;
        shares.add(report.frame_pixels, report.resampled_pixels, report.fresh_pixels);
    }

    /// Adds a frame of this many input pixels whose output was identical to the previous one.
    pub(crate) fn add_reused(&mut self, pixels: u64) {
        self.frames_reused += 1;
        self.frame_pixels += pixels;
        let [shares, _] = &mut self.shares;
        shares.add(pixels, self.resampled, 0);
    }

    /// Whether to post a message at running time `now`, with one message per `interval` (0: no
    /// messages). If so, the caller must post it.
    pub(crate) fn is_due(&mut self, now: gst::ClockTime, interval: gst::ClockTime) -> bool {
        if self.second.is_due(now, gst::ClockTime::SECOND) {
            self.shares = [Shares::default(), self.shares[0]];
        }
        self.messages.is_due(now, interval)
    }

    /// The name of the model in use.
    pub(crate) fn model_name(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.name.as_str())
    }

    /// Sets the model that runs from now on.
    pub(crate) fn set_model(&mut self, name: String, engine: &Loaded) {
        self.current = Some(CurrentModel::new(name, engine));
    }

    /// Sets the model that [`swap_models`](Self::swap_models) makes the current one.
    pub(crate) fn set_spare(&mut self, name: String, engine: &Loaded) {
        self.spare = Some(CurrentModel::new(name, engine));
    }

    /// Exchanges the current model and the spare one.
    pub(crate) fn swap_models(&mut self) {
        std::mem::swap(&mut self.current, &mut self.spare);
    }

    /// The backend in use as a fallback that is left for this reason.
    pub(crate) fn fallback(&self, reason: String) -> Option<Fallback> {
        Some(Fallback { backend: self.current.as_ref()?.backend, reason })
    }

    /// The value of the property and of the messages. Times are in nanoseconds.
    pub(crate) fn structure(&self) -> gst::Structure {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let [current, last] = self.shares;
        let shares = if last == Shares::default() { current } else { last };
        let mut structure = gst::Structure::builder("upscale-stats")
            .field("frames-in", self.frames_in)
            .field("frames-out", self.frames_out)
            .field("frames-reused", self.frames_reused)
            .field("regions", self.regions)
            .field("pixels", self.pixels)
            .field("frames-without-features", self.without_features)
            .field("pixels-share", self.pixels as f64 / self.frame_pixels.max(1) as f64)
            .field("model-share", shares.of(shares.model))
            .field("reused-share", shares.of(shares.reused))
            .field("resampled-share", shares.of(shares.resampled))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_last_second_and_sum_to_one() {
        gst::init().unwrap();
        let mut stats = Stats::default();
        let report = |resampled_pixels, fresh_pixels| FrameReport {
            frame_pixels: 100,
            resampled_pixels,
            fresh_pixels,
            ..FrameReport::default()
        };
        let shares = |stats: &Stats| {
            ["model-share", "reused-share", "resampled-share"]
                .map(|name| stats.structure().get::<f64>(name).unwrap())
        };
        let ms = gst::ClockTime::from_mseconds;
        assert!(!stats.is_due(ms(0), ms(0)));
        stats.add(&report(50, 80));
        assert_eq!(shares(&stats), [0.5, 0.0, 0.5]);
        // Part of the previous output is resampled, and stays so.
        stats.add_reused(100);
        assert_eq!(shares(&stats), [0.25, 0.25, 0.5]);
        assert!(!stats.is_due(ms(1000), ms(0)));
        stats.add(&report(0, 100));
        assert_eq!(shares(&stats), [0.25, 0.25, 0.5]);
        assert!(!stats.is_due(ms(2000), ms(0)));
        assert_eq!(shares(&stats), [1.0, 0.0, 0.0]);
    }
}

//! The property `stats`.

use std::time::Duration;

use crate::{
    inference::{Backend, Precision},
    upscaler::FrameReport,
};

/// Sums since the element started.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stats {
    pub frames_in: u64,
    pub frames_out: u64,
    regions: u64,
    pixels: u64,
    unpack: Duration,
    infer: Duration,
    finish: Duration,
    engine: Option<(String, Backend, Precision)>,
}

impl Stats {
    /// Adds a frame's work.
    pub fn add(&mut self, report: &FrameReport) {
        self.regions += u64::from(report.regions);
        self.pixels += report.pixels;
        self.unpack += report.unpack;
        self.infer += report.infer;
        self.finish += report.finish;
    }

    /// The model in use from here on.
    pub fn set_engine(&mut self, model: String, backend: Backend, precision: Precision) {
        self.engine = Some((model, backend, precision));
    }

    /// Times are in nanoseconds.
    pub fn structure(&self) -> gst::Structure {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut structure = gst::Structure::builder("application/x-upscale-stats")
            .field("frames-in", self.frames_in)
            .field("frames-out", self.frames_out)
            .field("regions", self.regions)
            .field("pixels", self.pixels)
            .field("unpack-time", nanoseconds(self.unpack))
            .field("infer-time", nanoseconds(self.infer))
            .field("finish-time", nanoseconds(self.finish))
            .build();
        if let Some((model, backend, precision)) = &self.engine {
            structure.set("model", model.as_str());
            structure.set("backend", backend_name(*backend));
            structure.set("precision", precision_name(*precision));
        }
        structure
    }
}

const fn backend_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Auto => "auto",
        Backend::TensorRt => "tensorrt",
        Backend::Cuda => "cuda",
        Backend::OpenVino => "openvino",
        Backend::Cpu => "cpu",
    }
}

const fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::Auto => "auto",
        Precision::Fp32 => "fp32",
        Precision::Fp16 => "fp16",
        Precision::Bf16 => "bf16",
        Precision::Int8 => "int8",
    }
}

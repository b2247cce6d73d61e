//! The workloads that take turns: sessions and elements.

use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_check::Harness;
use ort::{
    ep::{self, ArbitrarilyConfigurableExecutionProvider as _},
    session::Session as OrtSession,
    value::TensorRef,
};

use crate::clip::Clip;

/// Processes frame after frame.
pub trait Workload {
    /// Processes the next `count` frames and returns the time that took.
    fn turn(&mut self, count: usize) -> Duration;

    /// A note to print below the table.
    fn note(&self) -> Option<String> {
        None
    }
}

/// The number of CPU threads of each workload.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// ONNX Runtime alone. The pictures are converted to floats before the measurement.
pub struct Session {
    session: OrtSession,
    pictures: Vec<Vec<f32>>,
    shape: [i64; 4],
    next: usize,
}

impl Session {
    /// A session on the CPU provider, or on OpenVINO's in the precision `openvino` (`f32`, `bf16`).
    pub fn new(model: &str, openvino: Option<&str>, clip: &Clip) -> Self {
        let environment = gstupscale::onnxruntime::environment().expect("ONNX Runtime");
        let provider = openvino.map(|precision| {
            let config = format!(r#"{{"CPU":{{"INFERENCE_PRECISION_HINT":"{precision}"}}}}"#);
            let provider = ep::OpenVINO::default().with_device_type("CPU").with_num_streams(1);
            let provider = provider.with_num_threads(threads());
            provider.with_arbitrary_config("load_config", config).build().error_on_failure()
        });
        let session = OrtSession::builder(&environment)
            .and_then(|builder| {
                let mut builder = builder
                    .with_execution_providers(Vec::from_iter(provider))?
                    .with_intra_threads(threads())?
                    // Otherwise its threads keep spinning during the next workload's turn.
                    .with_config_entry("session.force_spinning_stop", "1")?;
                builder.commit_from_file(model)
            })
            .expect("the model loads");
        let pictures = clip.pictures().map(|picture| {
            let samples = (0..3).flat_map(|channel| picture.iter().skip(channel).step_by(3));
            samples.map(|sample| f32::from(*sample) / 255.0).collect()
        });
        let shape = [1, 3, clip.height.into(), clip.width.into()];
        Self { session, pictures: pictures.collect(), shape, next: 0 }
    }
}

impl Workload for Session {
    fn turn(&mut self, count: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..count {
            let picture = self.pictures[self.next % self.pictures.len()].as_slice();
            self.next += 1;
            let input = TensorRef::from_array_view((self.shape, picture)).expect("a tensor");
            self.session.run(ort::inputs![input]).expect("the model runs");
        }
        start.elapsed()
    }
}

/// An element, from buffer to buffer.
pub struct Element {
    element: gst::Element,
    harness: Harness,
    frames: Vec<gst::Buffer>,
    next: usize,
}

impl Element {
    /// `upscale` with `properties` in the syntax of `gst-launch-1.0`.
    pub fn upscale(properties: &str, clip: &Clip) -> Self {
        let element = gst::ElementFactory::make("upscale").build().expect("upscale");
        for property in properties.split_whitespace() {
            let (name, value) = property.split_once('=').expect("name=value");
            element.set_property_from_str(name, value);
        }
        Self::new(element, None, clip)
    }

    /// GStreamer's own scaler, for comparison.
    pub fn lanczos(factor: u32, clip: &Clip) -> Self {
        let element = gst::ElementFactory::make("videoscale").build().expect("videoscale");
        element.set_property_from_str("method", "lanczos");
        let mut large = clip.caps.copy();
        large.make_mut().set("width", (clip.width * factor) as i32);
        large.make_mut().set("height", (clip.height * factor) as i32);
        Self::new(element, Some(large), clip)
    }

    fn new(element: gst::Element, output: Option<gst::Caps>, clip: &Clip) -> Self {
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        if let Some(output) = output {
            harness.set_sink_caps(output);
        }
        harness.play();
        harness.set_src_caps(clip.caps.clone());
        Self { element, harness, frames: clip.frames.clone(), next: 0 }
    }
}

impl Workload for Element {
    fn turn(&mut self, count: usize) -> Duration {
        let start = Instant::now();
        for _ in 0..count {
            let frame = self.frames[self.next % self.frames.len()].clone();
            self.next += 1;
            self.harness.push(frame).expect("the frame is accepted");
        }
        // The last frames may still be in progress; a serialized event waits for them.
        let event = gst::event::CustomDownstream::new(gst::Structure::new_empty("end-of-turn"));
        self.harness.push_event(event);
        let out = std::iter::from_fn(|| self.harness.try_pull()).count();
        let time = start.elapsed();
        assert_eq!(out, count, "every frame is put out");
        time
    }

    fn note(&self) -> Option<String> {
        self.element.find_property("stats")?;
        let stats: gst::Structure = self.element.property("stats");
        let frames = stats.get::<u64>("frames-out").ok()?.max(1);
        let stage = |name: &str| {
            let time = stats.get::<u64>(&format!("{name}-time")).unwrap_or(0);
            format!("{name} {:.2} ms", time as f64 / frames as f64 / 1e6)
        };
        let text = |name: &str| stats.get::<String>(name).unwrap_or_default();
        let stages = ["compare", "unpack", "infer", "finish"].map(stage).join(", ");
        let share = stats.get::<f64>("pixels-share").unwrap_or(1.0);
        Some(format!(
            "{} {}, {:.1} % of the pixels computed; per frame: {stages}",
            text("backend"),
            text("precision"),
            share * 100.0,
        ))
    }
}

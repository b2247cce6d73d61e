//! The workloads that take turns: engines, sessions and elements.

use std::time::Duration;

use gst::prelude::*;
use gst_check::Harness;
use gstupscale::{
    frame::Image,
    model::Model,
    native::{Engine, Error, Options, Precision},
};
use ort::{session::Session as OrtSession, value::TensorRef};

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

/// What a measured time is.
#[derive(Clone, Copy)]
pub enum Clock {
    Wall,
    /// Processor time of all threads of the process: other load has little effect on it.
    Processor,
}

impl Clock {
    /// The name that `peers.py` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Processor => "processor",
        }
    }

    /// The time since some fixed point.
    fn now(self) -> Duration {
        let clock = match self {
            Self::Wall => libc::CLOCK_MONOTONIC,
            Self::Processor => libc::CLOCK_PROCESS_CPUTIME_ID,
        };
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is valid for writes.
        let status = unsafe { libc::clock_gettime(clock, &mut time) };
        assert_eq!(status, 0, "Linux has these clocks");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// How an engine runs, and how its time is measured.
#[derive(Clone, Copy)]
pub struct Conditions {
    pub threads: usize,
    pub clock: Clock,
}

impl Conditions {
    /// One thread, processor time.
    pub const ONE_THREAD: Self = Self { threads: 1, clock: Clock::Processor };

    /// All threads of the machine, wall time.
    pub fn all_threads() -> Self {
        Self { threads: threads(), clock: Clock::Wall }
    }
}

/// The native engine alone. The pictures are converted to floats before the measurement.
pub struct Native {
    engine: Engine,
    pictures: Vec<Image>,
    output: Image,
    clock: Clock,
    next: usize,
}

impl Native {
    /// Unlike the element, it stays in int16 also on a picture that exceeds its range.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub fn new(
        model: &Model,
        precision: Precision,
        conditions: Conditions,
        clip: &Clip,
    ) -> Result<Self, Error> {
        let options = Options { threads: conditions.threads, precision, ..Options::default() };
        let engine = Engine::open(model, &options)?;
        let channels = model.info.channels.count();
        let pictures = clip.planar(channels).map(|samples| {
            let mut picture = Image::new(channels, clip.width as usize, clip.height as usize);
            picture.data_mut().copy_from_slice(&samples);
            picture
        });
        let (pictures, output) = (pictures.collect(), Image::default());
        Ok(Self { engine, pictures, output, clock: conditions.clock, next: 0 })
    }
}

impl Workload for Native {
    fn turn(&mut self, count: usize) -> Duration {
        let start = self.clock.now();
        for _ in 0..count {
            let picture = &self.pictures[self.next % self.pictures.len()];
            self.next += 1;
            self.engine.run(picture, &mut self.output).expect("the model runs");
        }
        self.clock.now() - start
    }
}

/// ONNX Runtime alone. The pictures are converted to floats before the measurement.
pub struct Session {
    session: OrtSession,
    pictures: Vec<Vec<f32>>,
    shape: [i64; 4],
    clock: Clock,
    next: usize,
}

impl Session {
    /// A session on the CPU provider.
    pub fn new(model: &Model, conditions: Conditions, clip: &Clip) -> Self {
        let environment = gstupscale::onnxruntime::environment().expect("ONNX Runtime");
        let session = OrtSession::builder(&environment)
            .and_then(|builder| {
                let mut builder = builder
                    .with_intra_threads(conditions.threads)?
                    // Otherwise its threads keep spinning during the next workload's turn.
                    .with_config_entry("session.force_spinning_stop", "1")?;
                builder.commit_from_memory(&model.onnx)
            })
            .expect("the model loads");
        let channels = model.info.channels.count();
        let shape = [1, channels as i64, clip.height.into(), clip.width.into()];
        let pictures = clip.planar(channels).collect();
        Self { session, pictures, shape, clock: conditions.clock, next: 0 }
    }
}

impl Workload for Session {
    fn turn(&mut self, count: usize) -> Duration {
        let start = self.clock.now();
        for _ in 0..count {
            let picture = self.pictures[self.next % self.pictures.len()].as_slice();
            self.next += 1;
            let input = TensorRef::from_array_view((self.shape, picture)).expect("a tensor");
            self.session.run(ort::inputs![input]).expect("the model runs");
        }
        self.clock.now() - start
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
        // The harness is a live source: frames must wait for the model.
        element.set_property_from_str("overload", "drop");
        element.set_property_from_str("startup", "wait");
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
        let start = Clock::Wall.now();
        for _ in 0..count {
            let frame = self.frames[self.next % self.frames.len()].clone();
            self.next += 1;
            self.harness.push(frame).expect("the frame is accepted");
        }
        // The last frames may still be in progress; a serialized event waits for them.
        let event = gst::event::CustomDownstream::new(gst::Structure::new_empty("end-of-turn"));
        self.harness.push_event(event);
        let out = std::iter::from_fn(|| self.harness.try_pull()).count();
        let time = Clock::Wall.now() - start;
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

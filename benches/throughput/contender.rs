//! What takes part in a race.

use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_check::Harness;
use ort::{session::Session as OrtSession, value::TensorRef};

use crate::clip::Clip;

/// Takes frame after frame.
pub trait Contender {
    fn name(&self) -> &str;
    /// Takes the next frame and says how long that took.
    fn step(&mut self) -> Duration;
    /// Anything worth a line below the table.
    fn remark(&self) -> Option<String> {
        None
    }
}

/// ONNX Runtime with nothing around it: pictures are floats before the clock starts.
pub struct Session {
    session: OrtSession,
    pictures: Vec<Vec<f32>>,
    shape: [i64; 4],
    next: usize,
}

impl Session {
    pub fn new(model: &str, clip: &Clip) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        let environment = gstupscale::inference::environment().expect("ONNX Runtime is found");
        let mut builder = OrtSession::builder(&environment)
            // Else its threads spin on into the next contender's turn.
            .and_then(|builder| {
                let builder = builder.with_intra_threads(threads)?;
                Ok(builder.with_config_entry("session.force_spinning_stop", "1")?)
            })
            .expect("a session builder");
        let session = builder.commit_from_file(model).expect("the model loads");
        let size = clip.width as usize * clip.height as usize;
        let stride = (clip.width as usize * 3).next_multiple_of(4);
        let picture = |frame: &gst::Buffer| {
            let bytes = frame.map_readable().expect("memory");
            let mut picture = vec![0.0f32; size * 3];
            for (i, sample) in picture.iter_mut().enumerate() {
                let (channel, pixel) = (i / size, i % size);
                let (x, y) = (pixel % clip.width as usize, pixel / clip.width as usize);
                *sample = f32::from(bytes[y * stride + x * 3 + channel]) / 255.0;
            }
            picture
        };
        let pictures = clip.frames.iter().map(picture).collect();
        Self { session, pictures, shape: [1, 3, clip.height.into(), clip.width.into()], next: 0 }
    }
}

impl Contender for Session {
    fn name(&self) -> &str {
        "bare session, cpu fp32"
    }

    fn step(&mut self) -> Duration {
        let picture = &self.pictures[self.next % self.pictures.len()];
        self.next += 1;
        let start = Instant::now();
        let input = TensorRef::from_array_view((self.shape, picture.as_slice())).expect("a tensor");
        self.session.run(ort::inputs![input]).expect("the model runs");
        start.elapsed()
    }
}

/// The element `upscale`, from buffer to buffer.
pub struct Element {
    name: String,
    element: gst::Element,
    harness: Harness,
    frames: Vec<gst::Buffer>,
    next: usize,
}

impl Element {
    /// `properties` as in `gst-launch-1.0`.
    pub fn new(name: &str, properties: &str, clip: &Clip) -> Self {
        let element = gst::ElementFactory::make("upscale").build().expect("upscale");
        for property in properties.split_whitespace() {
            let (name, value) = property.split_once('=').expect("name=value");
            if element.has_property(name) {
                element.set_property_from_str(name, value);
            }
        }
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.play();
        harness.set_src_caps(clip.caps.clone());
        Self { name: name.to_owned(), element, harness, frames: clip.frames.clone(), next: 0 }
    }

    fn stats(&self) -> gst::Structure {
        self.element.property("stats")
    }
}

impl Contender for Element {
    fn name(&self) -> &str {
        &self.name
    }

    fn step(&mut self) -> Duration {
        let frame = self.frames[self.next % self.frames.len()].clone();
        self.next += 1;
        let start = Instant::now();
        let out = self.harness.push_and_pull(frame);
        let took = start.elapsed();
        out.expect("upscale gives a frame");
        took
    }

    fn remark(&self) -> Option<String> {
        let stats = self.stats();
        let frames = stats.get::<u64>("frames-out").ok()?.max(1);
        let stage = |name: &str| {
            let time = stats.get::<u64>(&format!("{name}-time")).unwrap_or(0);
            format!("{name} {:.2} ms", time as f64 / frames as f64 / 1e6)
        };
        let text = |name: &str| stats.get::<String>(name).unwrap_or_default();
        Some(format!(
            "{} {}: {}, {}, {} a frame",
            text("backend"),
            text("precision"),
            stage("unpack"),
            stage("infer"),
            stage("finish")
        ))
    }
}

/// GStreamer's own scaler, as a yardstick.
pub struct Scaler {
    harness: Harness,
    frames: Vec<gst::Buffer>,
    next: usize,
}

impl Scaler {
    pub fn new(clip: &Clip, factor: u32) -> Self {
        let element = gst::ElementFactory::make("videoscale").build().expect("videoscale");
        element.set_property_from_str("method", "lanczos");
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        let mut large = clip.caps.copy();
        large.make_mut().set("width", (clip.width * factor) as i32);
        large.make_mut().set("height", (clip.height * factor) as i32);
        harness.set_caps(clip.caps.clone(), large);
        Self { harness, frames: clip.frames.clone(), next: 0 }
    }
}

impl Contender for Scaler {
    fn name(&self) -> &str {
        "videoscale method=lanczos"
    }

    fn step(&mut self) -> Duration {
        let frame = self.frames[self.next % self.frames.len()].clone();
        self.next += 1;
        let start = Instant::now();
        self.harness.push_and_pull(frame).expect("videoscale gives a frame");
        start.elapsed()
    }
}

//! The speed of reuse by layers, and how close its output is, on several kinds of content:
//! `cargo bench --bench reuse_layers`.
//!
//! Three elements with `backend=native`, which differ in `reuse`, get the same frames in turns. The
//! time is that of the processor, of all threads, from buffer to buffer. The first frames,
//! which are computed whole, are not counted.
//!
//! `UPSCALE_BENCH` selects contents by words of their title, separated by commas,
//! `UPSCALE_BENCH_FRAMES` is the number of frames (24), `UPSCALE_BENCH_PRECISION` selects `fp32` or
//! `int16`, `UPSCALE_BENCH_MODEL` names another model than realesr-animevideov3,
//! `UPSCALE_BENCH_PROPERTIES` gives all elements more properties.

#[allow(dead_code)]
#[path = "throughput/clip.rs"]
mod clip;

use std::{env, path::PathBuf, time::Duration};

use clip::Clip;
use gst::prelude::*;
use gst_check::Harness;

/// Frames that are not counted.
const WARM_UP: u32 = 2;

/// Title, file or generator.
const CONTENT: [(&str, Source); 10] = [
    ("a desk that hardly moves", File("near_static_180p.mp4", "")),
    ("a test pattern", File("pattern_480p.mkv", "")),
    ("an old cartoon", File("popeye_480p_subtitles.mkv", "")),
    ("a rendered film", File("bbb_720p.mp4", "! videoscale ! video/x-raw,width=640,height=360")),
    ("a talking head", File("carphone_qcif.mp4", "")),
    ("drawn animation on twos", Generated(|count| Clip::twos(320, 180, count))),
    ("typing on a screen", Generated(|count| Clip::typing(1280, 720, count))),
    ("a still picture with noise", Generated(|count| noisy(320, 180, count))),
    ("a pan", Generated(|count| Clip::pan(320, 180, count))),
    ("a scene cut on every second frame", Generated(|count| cuts(320, 180, count))),
];

enum Source {
    Generated(fn(u32) -> Clip),
    /// A file of the test data, and the elements after its decoder.
    File(&'static str, &'static str),
}
use Source::{File, Generated};

const MODES: [&str; 3] = ["off", "exact", "tolerant"];

fn number(x: u32, y: u32, frame: u32) -> u32 {
    let mut state = x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b) ^ frame << 16;
    state = (state ^ state >> 16).wrapping_mul(0x7feb_352d);
    state = (state ^ state >> 15).wrapping_mul(0x846c_a68b);
    state ^ state >> 16
}

/// A still scene with noise of one or two levels everywhere, as a camera makes it.
fn noisy(width: u32, height: u32, count: u32) -> Clip {
    Clip::draw(width, height, count, |x, y, frame| {
        let base = ((x as f32 * 0.05).sin() + (y as f32 * 0.04).cos()) * 50.0 + 120.0;
        let edge = if (x / 31 + y / 23) % 3 == 0 { 40 } else { 0 };
        let noise = number(x, y, frame);
        [0, 8, 16].map(|shift| base as u8 + edge + (noise >> shift & 3) as u8)
    })
}

/// Every second frame shows another scene; the one after it changes in one place.
fn cuts(width: u32, height: u32, count: u32) -> Clip {
    Clip::draw(width, height, count, |x, y, frame| {
        let scene = frame / 2;
        let wave = (x as f32 * 0.03 * (1 + scene % 5) as f32).sin() * 60.0 + 128.0;
        let moved = frame % 2 == 1 && x < 32 && y < 32;
        let edge = ((x / (7 + scene % 11) + y / 13) % 3 == 0) ^ moved;
        [wave as u8, wave as u8 / 2 + if edge { 90 } else { 0 }, (scene * 37) as u8 ^ (x ^ y) as u8]
    })
}

/// Processor time of all threads of this process so far.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux and `time` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One element and what it has taken.
struct Contender {
    element: gst::Element,
    harness: Harness,
    times: Vec<f64>,
    /// The luma or R′G′B′ error of each frame against `off`, in decibels.
    decibels: Vec<f64>,
    differs: bool,
}

impl Contender {
    fn new(properties: &str, clip: &Clip) -> Self {
        let element = gst::ElementFactory::make("upscale").build().expect("upscale");
        // The harness is a live source: frames must wait for the model.
        element.set_property_from_str("overload", "drop");
        element.set_property_from_str("startup", "wait");
        for property in properties.split_whitespace() {
            let (name, value) = property.split_once('=').expect("name=value");
            element.set_property_from_str(name, value);
        }
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.play();
        harness.set_src_caps(clip.caps.clone());
        Self { element, harness, times: vec![], decibels: vec![], differs: false }
    }

    fn frame(&mut self, frame: &gst::Buffer) -> gst::Buffer {
        let start = processor_time();
        self.harness.push(frame.clone()).expect("the frame is accepted");
        // The frame may still be in progress; a serialized event waits for it.
        let event = gst::event::CustomDownstream::new(gst::Structure::new_empty("end-of-turn"));
        self.harness.push_event(event);
        let out = self.harness.try_pull().expect("a frame comes out");
        self.times.push((processor_time() - start).as_secs_f64());
        out
    }

    fn compare(&mut self, own: &gst::Buffer, off: &gst::Buffer) {
        let [own, off] = [own, off].map(|buffer| buffer.map_readable().expect("memory"));
        self.differs |= *own != *off;
        let squares = own.iter().zip(off.iter()).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
        let mean = squares.sum::<u64>() as f64 / own.len() as f64;
        self.decibels.push(10.0 * (255.0 * 255.0 / mean).log10());
    }

    fn stat<T: for<'a> gst::glib::value::FromValue<'a>>(&self, name: &str) -> Option<T> {
        self.element.property::<gst::Structure>("stats").get(name).ok()
    }
}

fn main() {
    gst::init().expect("GStreamer");
    gstupscale::plugin_register_static().expect("the plugin registers");
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let selected = env::var("UPSCALE_BENCH").unwrap_or_default();
    let count = env::var("UPSCALE_BENCH_FRAMES").ok().and_then(|text| text.parse().ok());
    let precisions = env::var("UPSCALE_BENCH_PRECISION").unwrap_or("fp32,int16".into());
    let model = env::var("UPSCALE_BENCH_MODEL")
        .unwrap_or_else(|_| data.join("weights/realesr-animevideov3.onnx").display().to_string());
    let more = env::var("UPSCALE_BENCH_PROPERTIES").unwrap_or_default();
    println!(
        "| content | precision | off, ms | exact | least | tolerant | least | exact equals off | tolerant dB (least) | work |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (title, source) in CONTENT {
        if !selected.is_empty() && !selected.split(',').any(|word| title.contains(word)) {
            continue;
        }
        let count = count.unwrap_or(24) + WARM_UP;
        let clip = match source {
            Generated(make) => make(count),
            File(name, elements) => {
                let file = data.join("video").join(name);
                if !file.is_file() {
                    println!("({name} does not exist: {title} is skipped)");
                    continue;
                }
                Clip::read(&file, elements, count)
            }
        };
        for precision in precisions.split(',') {
            let common =
                format!("backend=native precision={precision} model={model} threads=1 {more}");
            measure(title, precision, &common, &clip);
        }
    }
}

fn measure(title: &str, precision: &str, common: &str, clip: &Clip) {
    let mut contenders = MODES.map(|mode| Contender::new(&format!("{common} reuse={mode}"), clip));
    for (number, frame) in clip.frames.iter().enumerate() {
        // Who comes first changes from frame to frame.
        let mut outputs: [Option<gst::Buffer>; 3] = Default::default();
        for turn in 0..MODES.len() {
            let index = (turn + number) % MODES.len();
            outputs[index] = Some(contenders[index].frame(frame));
        }
        let [Some(off), exact, tolerant] = outputs else { continue };
        for (contender, own) in contenders[1..].iter_mut().zip([exact, tolerant]) {
            contender.compare(&own.expect("a frame"), &off);
        }
    }
    let [off, exact, tolerant] = contenders;
    let from = WARM_UP as usize;
    let sum = |contender: &Contender| contender.times[from..].iter().sum::<f64>();
    let frames = (off.times.len() - from) as f64;
    let gain = |contender: &Contender| sum(&off) / sum(contender);
    let least = |contender: &Contender| {
        let ratios = off.times[from..].iter().zip(&contender.times[from..]).map(|(a, b)| a / b);
        ratios.fold(f64::INFINITY, f64::min)
    };
    let mean = tolerant.decibels.iter().map(|db| 10f64.powf(-db / 10.0)).sum::<f64>()
        / tolerant.decibels.len() as f64;
    println!(
        "| {title}, {}x{} | {precision} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {:.1} ({:.1}) | {:.3} {:.3} |",
        clip.width,
        clip.height,
        sum(&off) / frames * 1e3,
        gain(&exact),
        least(&exact),
        gain(&tolerant),
        least(&tolerant),
        if exact.differs { "NO" } else { "yes" },
        -10.0 * mean.log10(),
        tolerant.decibels.iter().copied().fold(f64::INFINITY, f64::min),
        exact.stat::<f64>("pixels-share").unwrap_or(f64::NAN),
        tolerant.stat::<f64>("pixels-share").unwrap_or(f64::NAN),
    );
}

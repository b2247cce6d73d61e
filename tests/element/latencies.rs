//! How long a flush, the change to NULL and dropping the element take at random moments. It only
//! measures and prints a table; docs/RELIABILITY.md holds its figures.
//!
//! `UPSCALE_MOMENTS=200 cargo nextest run --test element latencies --run-ignored all --no-capture`

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use gst::prelude::*;

use crate::{
    bench::{caps, init, upscale},
    common::test_data,
    fake::Fake,
};

/// Numbers of a fixed sequence.
struct Random(u64);

impl Random {
    /// A time from 0 up to `most`.
    fn time(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        most.mul_f64((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// A playing pipeline of noise at 640×360 around `element`.
fn play(element: &gst::Element) -> gst::Pipeline {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc").property_from_str("pattern", "snow");
    let source = source.build().unwrap();
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", caps("video/x-raw,format=I420,width=640,height=360,framerate=25/1"));
    let filter = filter.build().unwrap();
    let sink = gst::ElementFactory::make("fakesink").property("async", false).build().unwrap();
    let elements = [&source, &filter, element, &sink];
    pipeline.add_many(elements).unwrap();
    gst::Element::link_many(elements).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    pipeline
}

fn timed(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn print(what: &str, action: &str, mut times: Vec<Duration>) {
    times.sort();
    let milliseconds = |time: Option<&Duration>| time.map_or(0.0, |t| t.as_secs_f64() * 1e3);
    let median = milliseconds(times.get(times.len() / 2));
    let worst = milliseconds(times.last());
    println!("| {what} | {action} | {} | {median:.1} | {worst:.1} |", times.len());
}

fn measure(what: &str, element: impl Fn() -> gst::Element, most: Duration, moments: usize) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut null, mut dispose) = (Vec::new(), Vec::new());
    for _ in 0..moments {
        let element = element();
        let pipeline = play(&element);
        thread::sleep(random.time(most));
        null.push(timed(|| {
            pipeline.set_state(gst::State::Null).unwrap();
        }));
        dispose.push(timed(|| drop((pipeline, element))));
    }
    print(what, "NULL", null);
    print(what, "dispose", dispose);
    let element = element();
    let pipeline = play(&element);
    let mut flush = Vec::new();
    for _ in 0..moments {
        thread::sleep(random.time(most));
        flush.push(timed(|| {
            pipeline.seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO).unwrap();
        }));
    }
    print(what, "flush", flush);
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
#[ignore = "measures for some minutes"]
fn latencies_at_random_moments() {
    init();
    let moments = std::env::var("UPSCALE_MOMENTS").ok().and_then(|text| text.parse().ok());
    let moments = moments.unwrap_or(5);
    println!("| model | action | moments | median ms | worst ms |\n|---|---|---|---|---|");
    for (what, model) in [("endless run", "stepped-x2"), ("endless load", "stuck-x2")] {
        let fake = Arc::new(Fake::default());
        let properties = format!("model={model} reuse=off");
        measure(what, || upscale(&fake, &properties), Duration::from_millis(100), moments);
        fake.open_gate();
        fake.steps.allow(usize::MAX / 2);
    }
    let slow = test_data().map(|data| data.join("weights/realesr-animevideov3.pth"));
    let slow = slow.filter(|path| path.is_file());
    for backend in ["native", "cpu", "openvino"] {
        let models = [("normal", Some("builtin".into())), ("slow", slow.clone())];
        for (kind, model) in models {
            let Some(model) = model else { continue };
            let what = format!("{kind}, {backend}");
            let element = || {
                let element = gst::ElementFactory::make("upscale")
                    .property("model", model.display().to_string())
                    .property("threads", 1u32)
                    .property_from_str("reuse", "off")
                    .property_from_str("backend", backend)
                    .property_from_str("precision", "fp32");
                element.build().unwrap()
            };
            let most = Duration::from_secs(if kind == "slow" { 3 } else { 1 });
            measure(&what, element, most, moments);
        }
    }
}

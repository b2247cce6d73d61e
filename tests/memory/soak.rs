//! A stream with random changes of properties, sizes and models, and random seeks. Each minute the
//! properties return to their first values, and the memory, the threads and the descriptors are printed.
//! The test fails on a message that nothing caused, and if the memory with the first values grows.
//!
//! `UPSCALE_SOAK=3600 cargo nextest run --test memory soak --run-ignored all --no-capture`

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use gst::prelude::*;

use crate::bench::{caps, init};

/// Numbers of a fixed sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Megabytes in memory, threads, and open descriptors of this process.
fn usage() -> (f64, usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap()
    };
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (field("VmRSS:") as f64 / 1024.0, field("Threads:"), descriptors)
}

/// The properties that change, with their first values.
const FIRST: [(&str, &str); 8] = [
    ("model", "builtin"),
    ("reuse", "exact"),
    ("blend", "1"),
    ("grain", "0"),
    ("scale", "0"),
    ("pipeline-depth", "-1"),
    ("tile-size", "0"),
    ("reuse-tolerance", "2"),
];

/// Sets one random property, or changes the model.
fn change(element: &gst::Element, random: &mut Random) {
    let (name, value) = match random.below(9) {
        0 | 1 => ("model", random.of(&["builtin", "builtin-quality", "builtin,builtin"])),
        2 => ("reuse", random.of(&["off", "exact", "tolerant"])),
        3 => ("blend", random.of(&["0", "0.5", "1"])),
        4 => ("grain", random.of(&["0", "0.2"])),
        5 => ("scale", random.of(&["0", "1.5", "2", "3"])),
        6 => ("pipeline-depth", random.of(&["-1", "0", "1", "3"])),
        7 => ("tile-size", random.of(&["0", "0", "128"])),
        _ => ("reuse-tolerance", random.of(&["0", "2", "8"])),
    };
    element.set_property_from_str(name, value);
}

/// Whether GStreamer's base class posted this because a flushing seek began during a negotiation. It
/// does for every filter.
fn is_of_a_seek(message: &gst::Message) -> bool {
    let gst::MessageView::Warning(warning) = message.view() else { return false };
    warning.debug().is_some_and(|text| text.contains("gst_base_transform_reconfigure_unlocked"))
}

#[test]
#[ignore = "runs as long as UPSCALE_SOAK says"]
fn soak() {
    init();
    let seconds = std::env::var("UPSCALE_SOAK").ok().and_then(|text| text.parse().ok());
    let end = Duration::from_secs(seconds.unwrap_or(60));
    let pipeline = gst::parse::launch(
        "videotestsrc name=source pattern=ball ! capsfilter name=size ! \
         upscale name=upscale threads=1 ! fakesink name=sink async=false",
    );
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let [size, element, sink] =
        ["size", "upscale", "sink"].map(|name| pipeline.by_name(name).unwrap());
    let reset = || FIRST.map(|(name, value)| element.set_property_from_str(name, value));
    reset();
    let of_size = |width, height| {
        let format = "video/x-raw,format=I420,framerate=25/1";
        caps(&format!("{format},width={width},height={height}"))
    };
    size.set_property("caps", of_size(320, 180));
    sink.set_property_from_str("signal-handoffs", "true");
    let frames = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = frames.clone();
    sink.connect("handoff", false, move |_| {
        counted.fetch_add(1, Relaxed);
        None
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    let (bus, mut random) = (pipeline.bus().unwrap(), Random(7));
    let (begun, mut printed, mut changes) = (Instant::now(), 0, 0);
    let mut at_rest = Vec::new();
    while begun.elapsed() < end {
        std::thread::sleep(Duration::from_millis(20 + random.below(400) as u64));
        changes += 1;
        match random.below(12) {
            0 => {
                let time = gst::ClockTime::from_seconds(random.below(60) as u64);
                let _ = pipeline.seek_simple(gst::SeekFlags::FLUSH, time);
            }
            1 => {
                let sides = [(320, 180), (160, 120), (322, 182)];
                let (width, height) = sides[random.below(sides.len())];
                size.set_property("caps", of_size(width, height));
            }
            2 if random.below(10) == 0 => {
                pipeline.set_state(gst::State::Null).unwrap();
                pipeline.set_state(gst::State::Playing).unwrap();
            }
            _ => change(&element, &mut random),
        }
        let kinds = [gst::MessageType::Error, gst::MessageType::Warning];
        while let Some(message) = bus.pop_filtered(&kinds) {
            assert!(is_of_a_seek(&message), "{message:?}");
        }
        let minute = begun.elapsed().as_secs() / 60;
        if minute >= printed {
            reset();
            size.set_property("caps", of_size(320, 180));
            let before = frames.load(Relaxed);
            // Models load, and queued frames pass.
            while frames.load(Relaxed) < before + 100 {
                std::thread::sleep(Duration::from_millis(100));
            }
            let (memory, threads, descriptors) = usage();
            println!(
                "minute {minute}: {memory:.0} MiB, {threads} threads, {descriptors} descriptors, \
                 {before} frames, {changes} changes"
            );
            at_rest.push(memory);
            printed = minute + 1;
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    // The allocators reach their size in the first quarter of an hour.
    if let (Some(early), Some(last)) = (at_rest.get(15), at_rest.last()) {
        assert!(*last < early + 32.0, "{at_rest:?}");
    }
}

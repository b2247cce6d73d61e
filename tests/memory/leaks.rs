//! No GStreamer object leaks: what the leaks tracer reports at the end of a process,
//! compared with the same pipeline on `identity`.

use crate::{bench, fake};
use std::{process::Command, sync::Arc};

use gst::prelude::*;

/// The environment variable that names the element for a child process.
const ELEMENT: &str = "UPSCALE_TEST_LEAKS_OF";

fn run(element: gst::Element) {
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc").property("num-buffers", 5).build();
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", bench::caps(&bench::rgb(16, 8)))
        .build();
    let sink = gst::ElementFactory::make("fakesink").build();
    let (source, filter, sink) = (source.unwrap(), filter.unwrap(), sink.unwrap());
    let elements = [&source, &filter, &element, &sink];
    pipeline.add_many(elements).unwrap();
    gst::Element::link_many(elements).unwrap();
    for _ in 0..3 {
        pipeline.set_state(gst::State::Playing).unwrap();
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        let end = pipeline.bus().unwrap().timed_pop_filtered(bench::LONG, &kinds).unwrap();
        assert_eq!(end.type_(), gst::MessageType::Eos);
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

/// The types of the objects that are alive at the end of a process that ran `element`.
fn left_by(element: &str) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leaks::child", "--ignored", "--nocapture"])
        .env(ELEMENT, element)
        .env("GST_TRACERS", "leaks")
        .env("GST_DEBUG", "GST_TRACER:7")
        .env("GST_DEBUG_NO_COLOR", "1")
        .env_remove("GST_DEBUG_FILE")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{log}");
    let mut types: Vec<String> = log
        .lines()
        .filter(|line| line.contains("object-alive, type-name="))
        .filter_map(|line| line.split("type-name=(string)").nth(1)?.split(',').next())
        .map(str::to_owned)
        .collect();
    types.sort();
    types
}

#[test]
#[ignore = "run by the test below, in a process of its own"]
fn child() {
    let Ok(name) = std::env::var(ELEMENT) else { return };
    bench::init();
    run(match name.as_str() {
        "upscale" => bench::upscale(&Arc::new(fake::Fake::default()), ""),
        "leaky" => {
            let element = gst::ElementFactory::make("identity").build().unwrap();
            std::mem::forget(gst::Buffer::new());
            element
        }
        name => gst::ElementFactory::make(name).build().unwrap(),
    });
    // SAFETY: GStreamer is not used after this call.
    unsafe { gst::deinit() };
}

#[test]
fn upscale_leaves_no_more_behind_than_identity() {
    let identity = left_by("identity");
    assert_eq!(left_by("upscale"), identity);
    // The tracer works and reports leaks.
    assert_ne!(left_by("leaky"), identity);
}

//! The element `upscalebin`: its properties, its overlay, and frames in other memory.

use gst::prelude::*;

use crate::{bench, common};

fn bin() -> gst::Element {
    bench::init();
    gst::ElementFactory::make("upscalebin").build().unwrap()
}

fn exists(elements: &[&str]) -> bool {
    bench::init();
    let missing = elements.iter().find(|name| gst::ElementFactory::find(name).is_none());
    if let Some(missing) = missing {
        eprintln!("skipped: the element {missing} is not installed");
    }
    missing.is_none()
}

#[test]
fn the_properties_are_those_of_the_element_inside() {
    let bin = bin();
    bin.set_property("model", "builtin-quality");
    bin.set_property("split", 0.25);
    let inside = bin.downcast_ref::<gst::Bin>().unwrap().by_name("upscale").unwrap();
    assert_eq!(inside.property::<String>("model"), "builtin-quality");
    assert_eq!(inside.property::<f64>("split"), 0.25);
    assert_eq!(bin.property::<String>("model"), "builtin-quality");
    for spec in inside.list_properties().iter().filter(|it| it.owner_type() == inside.type_()) {
        assert!(bin.find_property(spec.name()).is_some(), "{}", spec.name());
    }
}

#[test]
fn a_parser_finds_no_pad_without_a_peer_inside_that_it_would_add_to_the_bin() {
    let bin = bin().downcast::<gst::Bin>().unwrap();
    for direction in [gst::PadDirection::Sink, gst::PadDirection::Src] {
        assert_eq!(bin.find_unlinked_pad(direction).map(|pad| pad.name()), None);
    }
    for pad in bin.pads() {
        let any = gst::Caps::builder("video/x-raw").features(["memory:Other"]).build();
        assert!(pad.query_caps(None).can_intersect(&any), "{}", pad.name());
    }
}

/// The frames of a test picture, enlarged to 320×180.
fn frames(properties: &str) -> Vec<Vec<u8>> {
    bench::init();
    let description = format!(
        "videotestsrc pattern=black num-buffers=3 ! video/x-raw,format=I420,width=160,height=90 \
         ! upscalebin {properties} ! video/x-raw,width=320,height=180 ! appsink name=sink sync=false"
    );
    let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("sink").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let samples = std::iter::from_fn(|| sink.pull_sample().ok());
    let bytes = |sample: gst::Sample| sample.buffer().unwrap().map_readable().unwrap().to_vec();
    let frames = samples.map(bytes).collect();
    pipeline.set_state(gst::State::Null).unwrap();
    frames
}

#[test]
fn the_overlay_is_drawn_in_the_upper_part() {
    if !exists(&["textoverlay"]) {
        return;
    }
    let (plain, overlay) = (frames(""), frames("overlay=true"));
    assert_eq!((plain.len(), overlay.len()), (3, 3));
    assert!(plain[2] != overlay[2]);
    assert!(overlay[2][..320 * 180].iter().any(|luma| *luma > 128), "no text");
    assert!(plain[2][320 * 140..320 * 180] == overlay[2][320 * 140..320 * 180]);
}

#[test]
fn the_element_starts_again_after_it_was_stopped() {
    let bin = bin();
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc").property("num-buffers", 2).build();
    let sink = gst::ElementFactory::make("fakesink").build().unwrap();
    let elements = [&source.unwrap(), &bin, &sink];
    pipeline.add_many(elements).unwrap();
    gst::Element::link_many(elements).unwrap();
    for _ in 0..3 {
        pipeline.set_state(gst::State::Playing).unwrap();
        let end = pipeline.bus().unwrap().timed_pop_filtered(
            gst::ClockTime::from_seconds(300),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        );
        assert_eq!(end.unwrap().type_(), gst::MessageType::Eos);
        pipeline.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn a_source_that_prefers_a_frame_rate_gets_it() {
    if !exists(&["deinterlace"]) {
        return;
    }
    let description = "videotestsrc ! upscalebin name=bin ! fakesink";
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    pipeline.set_state(gst::State::Paused).unwrap();
    let _ = pipeline.state(gst::ClockTime::NONE);
    let bin = pipeline.by_name("bin").unwrap();
    let mut caps = bin.static_pad("sink").unwrap().query_caps(None);
    pipeline.set_state(gst::State::Null).unwrap();
    for structure in caps.make_mut().iter_mut() {
        let rate = gst::Fraction::new(30, 1);
        structure.fixate_field_nearest_fraction("framerate", rate);
        assert_eq!(structure.get::<gst::Fraction>("framerate"), Ok(rate));
    }
}

#[test]
fn frames_in_the_memory_of_a_gpu_are_downloaded() {
    if !exists(&["gltestsrc", "gldownload"]) {
        return;
    }
    let pipeline = gst::parse::launch("gltestsrc num-buffers=1 ! fakesink").unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().unwrap().timed_pop_filtered(gst::ClockTime::from_seconds(300), &kinds);
    pipeline.set_state(gst::State::Null).unwrap();
    if end.unwrap().type_() == gst::MessageType::Error {
        eprintln!("skipped: OpenGL is not available");
        return;
    }
    let small = "video/x-raw(memory:GLMemory),width=64,height=48";
    common::run(&format!("gltestsrc num-buffers=3 ! {small} ! upscalebin ! fakesink"));
}

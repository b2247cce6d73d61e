//! Failures: the domain, the code and the text of their messages.

use gst::{LibraryError, ResourceError, prelude::*};

use crate::{
    bench::{Bench, LONG, check_error, rgb, upscale},
    fake::Fake,
};

/// Checks that the change to PAUSED fails with this model, and that the next one succeeds.
#[track_caller]
fn fails_to_open<T: glib::error::ErrorDomain + PartialEq + std::fmt::Debug>(model: &str, code: T) {
    let element = upscale(&Default::default(), &format!("model={model}"));
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    assert!(element.set_state(gst::State::Paused).is_err(), "{model}");
    let message = bus.timed_pop_filtered(LONG, &[gst::MessageType::Error]).unwrap();
    check_error(&message, code, model);
    element.set_state(gst::State::Null).unwrap();
    // The element still works with another model.
    element.set_property("model", "x2");
    element.set_state(gst::State::Paused).unwrap();
    element.set_state(gst::State::Null).unwrap();
}

/// Checks that the first frame fails.
#[track_caller]
fn fails_to_load<T: glib::error::ErrorDomain + PartialEq + std::fmt::Debug>(
    properties: &str,
    code: T,
    text: &str,
) {
    let mut bench = Bench::with_caps(properties, &rgb(16, 8));
    let frame = bench.frame(0, 0);
    assert_eq!(bench.harness.push(frame), Err(gst::FlowError::Error));
    bench.expect_error(gst::MessageType::Error, code, text);
}

#[test]
fn a_model_that_cannot_be_opened_fails_the_state_change() {
    fails_to_open("absent", ResourceError::NotFound);
    fails_to_open("unreadable", ResourceError::OpenRead);
    fails_to_open("unknown", ResourceError::Failed);
    fails_to_open("damaged", ResourceError::Read);
    fails_to_open("unsuitable", ResourceError::Settings);
}

#[test]
fn a_model_that_cannot_be_loaded_fails_the_first_frame() {
    fails_to_load("model=no-library", LibraryError::Init, "ORT_DYLIB_PATH");
    fails_to_load("model=out-of-memory", ResourceError::NoSpaceLeft, "emory");
    fails_to_load("model=broken", LibraryError::Failed, "build a session");
    fails_to_load("model=panicking", LibraryError::Failed, "report");
}

#[test]
fn an_unavailable_backend_is_an_error() {
    for backend in ["tensorrt", "cuda", "openvino"] {
        let properties = format!("backend={backend}");
        fails_to_load(&properties, LibraryError::Settings, "is not available");
    }
}

#[test]
fn a_short_frame_is_skipped_with_a_warning_that_contains_its_size() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    for number in 0..20 {
        let short = gst::Buffer::with_size(16 * 8 * 3 - 1).unwrap();
        assert_eq!(bench.harness.push(short), Ok(gst::FlowSuccess::Ok));
        bench.expect_error(gst::MessageType::Warning, gst::StreamError::Format, "has 383 bytes");
        let frame = bench.frame(number, number as u8);
        let time = frame.pts();
        assert_eq!(bench.push_and_pull(frame).pts(), time);
    }
}

#[test]
fn many_consecutive_short_frames_are_an_error() {
    let mut bench = Bench::with_caps("", &rgb(16, 8));
    let mut pushed = Ok(gst::FlowSuccess::Ok);
    for _ in 0..20 {
        let short = gst::Buffer::with_size(16 * 8 * 3 - 1).unwrap();
        pushed = pushed.and_then(|_| bench.harness.push(short));
    }
    assert_eq!(pushed, Err(gst::FlowError::Error));
    bench.expect_error(gst::MessageType::Error, gst::StreamError::Format, "has 383 bytes");
}

#[test]
fn a_pipeline_with_an_error_can_be_stopped() {
    crate::bench::init();
    let pipeline = gst::Pipeline::new();
    let source = gst::ElementFactory::make("videotestsrc").build().unwrap();
    let sink = gst::ElementFactory::make("fakesink").build().unwrap();
    let element = upscale(&std::sync::Arc::new(Fake::default()), "model=broken");
    pipeline.add_many([&source, &element, &sink]).unwrap();
    gst::Element::link_many([&source, &element, &sink]).unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let bus = pipeline.bus().unwrap();
    let message = bus.timed_pop_filtered(LONG, &[gst::MessageType::Error]).unwrap();
    assert_eq!(message.src(), Some(element.upcast_ref()));
    check_error(&message, LibraryError::Failed, "build a session");
    pipeline.set_state(gst::State::Null).unwrap();
}

#[test]
fn settings_that_make_a_frame_much_more_costly_are_a_warning() {
    for (properties, is_costly) in
        [("tile-size=1 halo=8", true), ("tile-size=8 halo=2", false), ("", false)]
    {
        let mut bench = Bench::with_caps(properties, &rgb(16, 16));
        let frame = bench.frame(0, 0);
        bench.push_and_pull(frame);
        let warning = bench.bus.pop_filtered(&[gst::MessageType::Warning]);
        assert_eq!(warning.is_some(), is_costly, "{properties}: {warning:?}");
        if let Some(warning) = warning {
            check_error(&warning, LibraryError::Settings, "set tile-size to 0");
        }
    }
}

//! Running a pipeline from its description.

use gst::prelude::*;

/// Runs a pipeline to its end. Returns `false`, with a message that the test is skipped, if ONNX
/// Runtime is not available.
#[track_caller]
pub fn run(description: &str) -> bool {
    gst::init().unwrap();
    let _ = gstupscale::plugin_register_static();
    let pipeline = gst::parse::launch(description).unwrap();
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(300);
    let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &kinds).expect("an end");
    pipeline.set_state(gst::State::Null).unwrap();
    if let gst::MessageView::Error(error) = end.view() {
        if error.error().kind() == Some(gst::LibraryError::Init) {
            eprintln!("skipped: {}", error.error());
            return false;
        }
        panic!("{} ({:?})", error.error(), error.debug());
    }
    true
}

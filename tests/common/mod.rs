//! What the tests share.

use std::path::PathBuf;

use gst::prelude::*;

/// The folder of pictures, models and videos beside the checkout, where there is one. A test
/// that finds none is skipped and says so.
pub fn test_data() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no test data at {}", folder.display());
    None
}

/// Runs a pipeline to its end; an error of the element without a library means a skip.
// Each test uses its share.
#[allow(dead_code)]
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

//! Video files: writing and reading them.

use std::{
    hash::{DefaultHasher, Hasher as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use gst::prelude::*;

use crate::data::test_data;

/// A short and small clip: 320×180 pixels, 341 frames, MP3 sound and timed text.
pub fn clip() -> Option<PathBuf> {
    Some(test_data()?.join("video/near_static_180p.mp4"))
}

/// The media types of a file's streams, sorted, and the width of its video.
pub fn streams(path: &Path) -> (Vec<String>, i32) {
    let pipeline = pipeline("filesrc name=file ! parsebin name=parser", path);
    let found = Arc::new(Mutex::new((Vec::new(), 0)));
    let (into, target) = (found.clone(), pipeline.downgrade());
    pipeline.by_name("parser").unwrap().connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).unwrap();
        let mut found = into.lock().unwrap();
        found.0.push(media.name().to_string());
        found.1 = found.1.max(media.get("width").unwrap_or(0));
        let pipeline = target.upgrade().unwrap();
        let sink = gst::ElementFactory::make("fakesink").property("async", false).build().unwrap();
        pipeline.add(&sink).unwrap();
        sink.sync_state_with_parent().unwrap();
        pad.link(&sink.static_pad("sink").unwrap()).unwrap();
    });
    run(&pipeline);
    let mut found = found.lock().unwrap().clone();
    found.0.sort();
    found
}

/// The colorimetry that the container of a video without sound states.
pub fn container_colorimetry(path: &Path) -> Option<String> {
    let demuxer = match path.extension().and_then(|it| it.to_str()) {
        Some("mp4" | "mov") => "qtdemux",
        _ => "matroskademux",
    };
    let (_, caps) = last_caps(&format!("filesrc name=file ! {demuxer}"), path);
    let caps = caps.parse::<gst::Caps>().unwrap();
    caps.structure(0).unwrap().get::<String>("colorimetry").ok()
}

/// Writes a file with the elements of `description`.
pub fn create(path: &Path, description: &str) -> PathBuf {
    run(&pipeline(&format!("{description} ! filesink name=file"), path));
    path.into()
}

/// The pipeline of `description`, whose element `file` gets the path.
fn pipeline(description: &str, path: &Path) -> gst::Pipeline {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap();
    let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
    pipeline.by_name("file").unwrap().set_property("location", path);
    pipeline
}

/// Runs to the end of the stream.
fn run(pipeline: &gst::Pipeline) {
    pipeline.set_state(gst::State::Playing).unwrap();
    let types = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_seconds(300);
    let end = pipeline.bus().unwrap().timed_pop_filtered(limit, &types).expect("an end");
    assert!(matches!(end.view(), gst::MessageView::Eos(_)), "{end:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}

/// The times and hashes of a file's decoded pictures.
pub fn pictures(path: &Path) -> Vec<(Option<gst::ClockTime>, u64)> {
    let description = "filesrc name=file ! decodebin ! fakesink name=out signal-handoffs=true";
    let pipeline = pipeline(description, path);
    let found = Arc::new(Mutex::new(Vec::new()));
    let into = found.clone();
    pipeline.by_name("out").unwrap().connect("handoff", false, move |values| {
        let buffer = values[1].get::<gst::Buffer>().unwrap();
        let mut hash = DefaultHasher::new();
        hash.write(&buffer.map_readable().unwrap());
        into.lock().unwrap().push((buffer.pts(), hash.finish()));
        None
    });
    run(&pipeline);
    found.lock().unwrap().clone()
}

/// The number of decoded frames of a file, and the caps of the last one.
pub fn decode(path: &Path) -> (usize, String) {
    last_caps("filesrc name=file ! decodebin", path)
}

/// The number of buffers that leave `description`, and the caps of the last one.
fn last_caps(description: &str, path: &Path) -> (usize, String) {
    let description = format!("{description} ! fakesink name=out signal-handoffs=true");
    let pipeline = pipeline(&description, path);
    let found = Arc::new(Mutex::new((0, String::new())));
    let into = found.clone();
    pipeline.by_name("out").unwrap().connect("handoff", false, move |values| {
        let caps = values[2].get::<gst::Pad>().unwrap().current_caps().unwrap();
        let mut found = into.lock().unwrap();
        *found = (found.0 + 1, caps.to_string());
        None
    });
    run(&pipeline);
    found.lock().unwrap().clone()
}

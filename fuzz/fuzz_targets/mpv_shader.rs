//! Reads an mpv shader, and analyses and writes its graph.
#![no_main]

use std::path::Path;

use gstupscale::model::{Model, internals::parse_mpv_shader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(graph) = parse_mpv_shader(&String::from_utf8_lossy(data)) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.glsl"), graph);
    }
});

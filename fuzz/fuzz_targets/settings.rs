//! Opens a small network with settings in its metadata, as its companion `.toml` has them. Each line
//! of the input is `key=value`.
#![no_main]

use std::path::Path;

use gstupscale::model::{
    Graph, Window,
    internals::{open_onnx, write_onnx},
};
use libfuzzer_sys::fuzz_target;

/// A convolution without settings.
fn network() -> Vec<u8> {
    let mut graph = Graph::new(3);
    let weight = graph.constant_f32("weight", &[3, 3, 3, 3], &[0.1; 81]);
    let output = graph.conv("input", &weight, None, Window::padded(1));
    graph.set_output(&output);
    write_onnx(&graph, Default::default()).map(|bytes| bytes.to_vec()).unwrap_or_default()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut file = network();
    for line in text.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        file.extend(upscale_fuzz::metadata(&format!("upscale.{key}"), value));
    }
    let _ = open_onnx("fuzz", Path::new("/missing/fuzz.onnx"), file.into());
});

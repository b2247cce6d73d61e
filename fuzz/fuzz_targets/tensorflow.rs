//! Reads a frozen graph of TensorFlow, and analyses and writes the result.
#![no_main]

use std::path::Path;

use gstupscale::model::{Model, internals::parse_tensorflow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(graph) = parse_tensorflow(bytes::Bytes::copy_from_slice(data)) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.pb"), graph);
    }
});

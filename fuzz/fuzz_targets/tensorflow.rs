//! The reader of TensorFlow's frozen graphs, and the analysis and writing of what it makes.
#![no_main]

use std::path::Path;

use gstupscale::model::{Model, tensorflow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(graph) = tensorflow::parse(bytes::Bytes::copy_from_slice(data)) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.pb"), graph);
    }
});

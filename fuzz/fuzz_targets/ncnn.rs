//! ncnn's reader, and the analysis and writing of what it makes: the text half up to the first
//! byte of 0, then the weights.
#![no_main]

use std::path::Path;

use gstupscale::model::{Model, ncnn};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (text, weights) = data.split_at(end);
    let weights = bytes::Bytes::copy_from_slice(weights.get(1..).unwrap_or_default());
    if let Ok(graph) = ncnn::parse(&String::from_utf8_lossy(text), weights) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.param"), graph);
    }
});

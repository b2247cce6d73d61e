//! Reads an ncnn model, and analyses and writes its graph. The input is the `.param` file up to the
//! first zero byte, then the `.bin` file.
#![no_main]

use std::path::Path;

use gstupscale::model::{Model, internals::parse_ncnn};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (text, weights) = data.split_at(end);
    let weights = bytes::Bytes::copy_from_slice(weights.get(1..).unwrap_or_default());
    if let Ok(graph) = parse_ncnn(&String::from_utf8_lossy(text), weights) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.param"), graph);
    }
});

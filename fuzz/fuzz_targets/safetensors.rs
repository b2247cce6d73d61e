//! Reads a safetensors file, builds the network and analyses its graph. The input is a file without
//! the length of its header, which is the first line.
#![no_main]

use std::path::Path;

use bytes::Bytes;
use gstupscale::model::{
    Model,
    internals::{Hints, build_network, parse_checkpoint},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let header = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let content = [&(header as u64).to_le_bytes(), data].concat();
    let Ok(weights) = parse_checkpoint(&Bytes::from(content)) else { return };
    if let Ok(graph) = build_network(&weights, &Hints::default()) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.safetensors"), graph);
    }
});

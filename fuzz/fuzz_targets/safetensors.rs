//! The reader of safetensors and the networks that it knows. The input is a file less the
//! length of its table: so many bytes as end with the first line.
#![no_main]

use std::path::Path;

use bytes::Bytes;
use gstupscale::model::{
    Model,
    architecture::{self, Hints},
    checkpoint,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let table = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let content = [&(table as u64).to_le_bytes(), data].concat();
    let Ok(weights) = checkpoint::parse(&Bytes::from(content)) else { return };
    if let Ok(graph) = architecture::graph(&weights, &Hints::default()) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.safetensors"), graph);
    }
});

//! Reads a PyTorch checkpoint, builds the network and analyses its graph. If the first byte is 0,
//! the others are pickles that follow [`STREAM_START`]; otherwise all bytes are a file.
#![no_main]

use std::path::Path;

use bytes::Bytes;
use gstupscale::model::{
    Model,
    internals::{Hints, build_network, parse_checkpoint},
};
use libfuzzer_sys::fuzz_target;

/// The stream format up to the pickle of the weights.
const STREAM_START: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let content = if *first == 0 { [STREAM_START, rest].concat() } else { data.to_vec() };
    let Ok(weights) = parse_checkpoint(&Bytes::from(content)) else { return };
    if let Ok(graph) = build_network(&weights, &Hints::default()) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.pth"), graph);
    }
});

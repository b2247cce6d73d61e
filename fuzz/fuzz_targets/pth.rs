//! The reader of PyTorch's checkpoints, the networks that it knows, and the analysis of those.
//! The first byte tells what the others are: a whole file, or pickles of the older stream.
#![no_main]

use std::path::Path;

use bytes::Bytes;
use gstupscale::model::{
    Model,
    architecture::{self, Hints},
    checkpoint,
};
use libfuzzer_sys::fuzz_target;

/// What the older stream begins with, up to the pickle of the weights.
const START: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let content = if *kind == 0 { [START, rest].concat() } else { data.to_vec() };
    let Ok(weights) = checkpoint::parse(&Bytes::from(content)) else { return };
    if let Ok(graph) = architecture::graph(&weights, &Hints::default()) {
        let _ = Model::from_graph("fuzz", Path::new("fuzz.pth"), graph);
    }
});

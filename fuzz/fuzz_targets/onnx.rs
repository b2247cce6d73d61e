//! Reads an ONNX file, analyses its graph and adds adapters.
#![no_main]

use std::path::Path;

use gstupscale::model::internals::open_onnx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // External weights are read from this folder, which does not exist.
    let path = Path::new("/missing/fuzz.onnx");
    let _ = open_onnx("fuzz", path, bytes::Bytes::copy_from_slice(data));
});

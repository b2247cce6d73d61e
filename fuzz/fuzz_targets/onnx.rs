//! The reader of ONNX files, the analysis of what they hold, and what is put around them.
#![no_main]

use std::path::Path;

use gstupscale::model::onnx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Weights in files of their own are looked for beside it: there are none.
    let path = Path::new("/nowhere/fuzz.onnx");
    let _ = onnx::open("fuzz", path, bytes::Bytes::copy_from_slice(data));
});

//! Opens an ONNX file that is built from the input: see [`upscale_fuzz::model`].
#![no_main]

use std::path::Path;

use gstupscale::model::internals::open_onnx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = open_onnx("fuzz", Path::new("/missing/fuzz.onnx"), upscale_fuzz::model(data).into());
});

//! The command `gst-upscale`, run as a process.

#[path = "../../../tests/common/cpp.rs"]
mod cpp;
#[allow(dead_code)]
#[path = "../../../tests/common/data.rs"]
mod data;
#[path = "../../../tests/common/pipeline.rs"]
mod pipeline;

mod bench;
mod selftest;
mod upscale;

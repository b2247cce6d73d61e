//! Runs the command `gst-upscale` as a child process.

#[path = "../../../tests/common/cpp.rs"]
mod cpp;
#[allow(dead_code)]
#[path = "../../../tests/common/data.rs"]
mod data;
#[path = "../../../tests/common/pipeline.rs"]
mod pipeline;

mod bench;
mod browser;
mod cadence;
mod captions;
mod clean;
mod colour;
mod container;
mod crop;
mod edit;
mod encoders;
mod ffmpeg;
mod field;
mod film;
mod hdr;
mod hdr_pictures;
mod media;
mod model_auto;
mod models;
mod oddities;
mod output_files;
mod pictures;
mod preview;
mod program;
mod queue;
mod remaster;
mod scarcity;
mod selftest;
mod serve;
mod signals;
mod standard_output;
mod upscale;
mod without_onnx_runtime;
mod zoo;

//! The readers of model files, for this project's tests and fuzz targets. Not a stable interface.

pub use super::{
    architecture::{Hints, graph as build_network, name as architecture_name},
    checkpoint::{StateDict, parse as parse_checkpoint, read as read_checkpoint},
    fault::Fault,
    mpv_shader::parse as parse_mpv_shader,
    ncnn::{parse as parse_ncnn, read as read_ncnn},
    onnx::{open as open_onnx, write as write_onnx},
    tensorflow::parse as parse_tensorflow,
};

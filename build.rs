//! Plugin version strings, and Rust types for the protobuf files that models come in.

use std::{env, io, path::PathBuf};

fn main() -> io::Result<()> {
    gst_plugin_version_helper::info();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    let protos = ["src/model/proto/onnx.proto"];
    for proto in protos {
        println!("cargo:rerun-if-changed={proto}");
    }
    let set = protox::compile(protos, ["src/model/proto"]).map_err(io::Error::other)?;
    prost_build::Config::new().bytes(["."]).out_dir(out).compile_fds(set)
}

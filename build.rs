//! Generates the plugin's version strings, and Rust types for the protobuf formats of model files.

use std::{env, io, path::PathBuf};

fn main() -> io::Result<()> {
    gst_plugin_version_helper::info();
    set_setup_directory();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    let protos = ["src/model/proto/onnx.proto", "src/model/proto/graphdef.proto"];
    for proto in protos {
        println!("cargo:rerun-if-changed={proto}");
    }
    let set = protox::compile(protos, ["src/model/proto"]).map_err(io::Error::other)?;
    prost_build::Config::new().bytes(["."]).out_dir(out).compile_fds(set)
}

/// In a checkout, tells the plugin where `make setup` installs ONNX Runtime, wherever the plugin is
/// built. A packaged build must not search the directories of the machine that built it.
fn set_setup_directory() {
    let checkout = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    if let Some(checkout) = checkout.filter(|folder| folder.join(".git").exists()) {
        println!("cargo:rustc-env=UPSCALE_SETUP_DIR={}/build/onnxruntime", checkout.display());
    }
}

//! Plugin version strings, and Rust types for the protobuf files that models come in.

use std::{env, io, path::PathBuf};

fn main() -> io::Result<()> {
    gst_plugin_version_helper::info();
    name_the_set_up_folder();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?);
    let protos = ["src/model/proto/onnx.proto", "src/model/proto/graphdef.proto"];
    for proto in protos {
        println!("cargo:rerun-if-changed={proto}");
    }
    let set = protox::compile(protos, ["src/model/proto"]).map_err(io::Error::other)?;
    prost_build::Config::new().bytes(["."]).out_dir(out).compile_fds(set)
}

/// In a checkout, the folder that `make setup` puts ONNX Runtime into is known to the plugin
/// wherever it is built to. A packaged build must not look into its builder's folders.
fn name_the_set_up_folder() {
    let checkout = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    if let Some(checkout) = checkout.filter(|folder| folder.join(".git").exists()) {
        println!("cargo:rustc-env=UPSCALE_SETUP_DIR={}/build/onnxruntime", checkout.display());
    }
}

//! Reading model files: formats, weights, networks, and the rejection of invalid files.

#[path = "../common/mod.rs"]
mod common;

mod architectures;
mod checkpoints;
mod field;
mod files;
mod large_weights;
mod ncnn;
mod references;
mod shader;
mod tensorflow;
mod weights;

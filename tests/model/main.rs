//! Model files: readers, weights, and refusal of damaged files.

#[path = "../common/mod.rs"]
mod common;

mod architectures;
mod checkpoints;
mod files;
mod large_weights;
mod ncnn;
mod tensorflow;
mod weights;

//! Pixel formats, colour conversion and resampling.

#[path = "../common/mod.rs"]
mod common;

mod colour;
mod resampling;

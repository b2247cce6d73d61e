//! Choosing and running a backend.

#[path = "../common/mod.rs"]
mod common;

mod fallbacks;
mod no_driver;
mod pictures;
mod trial;
mod webgpu;

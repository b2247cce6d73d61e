//! Helpers that the test binaries share. Each binary uses some of them.
#![allow(dead_code, unused_imports)]

pub mod blur;
pub mod checkpoint;
pub mod cpp;
mod data;
pub mod emulator;
pub mod engine;
pub mod footage;
pub mod frame;
mod pipeline;

pub use data::test_data;
pub use pipeline::run;

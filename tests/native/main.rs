//! The native engine: pictures, bits, updates.

#[path = "../common/mod.rs"]
mod common;

mod bits;
mod golden;
mod graphs;
mod incremental;
mod partial;
mod pictures;
mod strips;

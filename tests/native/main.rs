//! The project's own engine.

#[path = "../common/mod.rs"]
mod common;

mod bits;
mod graphs;
mod incremental;
mod pictures;

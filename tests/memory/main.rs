//! Memory and GStreamer objects over time. Each test measures its own process, as
//! cargo-nextest runs it.

#[path = "../common/mod.rs"]
mod common;

#[path = "../element/bench.rs"]
#[allow(dead_code)]
mod bench;
mod control_group;
#[path = "../element/fake.rs"]
#[allow(dead_code)]
mod fake;
mod growth;
mod leaks;
mod soak;

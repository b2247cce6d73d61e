//! The kernels against the CPU stages: a C++ compiler builds the same sources as NVRTC does,
//! and both are run on the same frames. Without a C++ compiler these tests are skipped.

#[path = "../common/mod.rs"]
mod common;

mod compare;
mod finish;
mod library;
mod memory;
mod pack;
mod ptx;
mod regions;
mod storage;
mod unpack;

use common::cpp;

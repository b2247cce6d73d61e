//! The kernels give the same output as the CPU stages. A C++ compiler builds the kernels from the
//! sources that NVRTC compiles; without one, these tests are skipped.

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
mod transactions;
mod unpack;

use common::cpp;

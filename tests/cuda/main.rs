//! The GPU's road, on an emulated GPU.

#[path = "../common/cpp.rs"]
mod cpp;
#[path = "../common/emulator.rs"]
mod emulator;

mod device;

//! The GPU's road, on an emulated GPU.

#[path = "../common/blur.rs"]
mod blur;
#[path = "../common/cpp.rs"]
mod cpp;
#[path = "../common/emulator.rs"]
mod emulator;
#[path = "../common/frame.rs"]
mod frame;

mod device;
mod failures;
mod model;
mod pictures;
mod reuse;
mod stream;

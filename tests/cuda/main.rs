//! The pipeline on an emulated GPU.

#[path = "../common/mod.rs"]
mod common;

use common::{blur, emulator, frame};

mod device;
mod failures;
mod model;
mod pictures;
mod reuse;
mod stages;
mod stream;

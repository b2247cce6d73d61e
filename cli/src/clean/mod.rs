//! `--clean`: removes traces of compression and noise before a film is enlarged.
//!
//! [`measure`] finds what a film has, [`Cleaning`] says what is done about it, and [`element`] does it to
//! each picture on its own, so that every segment of a film gets the pictures that the whole has.

pub mod element;
pub mod measure;
mod options;
mod shrink;

pub use measure::Quality;
pub use options::{Clean, Cleaning};

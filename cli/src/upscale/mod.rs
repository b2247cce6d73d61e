//! What enlarging a video needs apart from segments: reading containers, the pipeline from the input
//! to the output file, and what is shown meanwhile.

mod channels;
pub mod container;
pub mod demux;
pub mod elements;
pub mod enlarging;
mod error;
mod guard;
pub mod input;
pub mod lane;
pub mod ledger;
pub mod losses;
mod mp4;
pub mod muxer;
pub mod options;
pub mod pipeline;
pub mod plan;
pub mod progress;
pub mod properties;
pub mod run_state;
pub mod segments;
pub mod shutdown;
pub mod signals;
mod streams;
pub mod survey;
mod times;
pub mod vp9;

pub use error::Error;

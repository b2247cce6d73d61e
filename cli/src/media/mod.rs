//! What enlarging needs apart from segments: reading containers and pictures, the pipeline from the
//! input to the output file, and what is shown meanwhile.

pub mod captions;
mod channels;
pub mod container;
mod damage;
pub mod demux;
pub mod durations;
pub mod elements;
pub mod enlarging;
mod error;
pub mod files;
pub mod frame_files;
mod frame_pad;
mod guard;
pub mod input;
pub mod lane;
pub mod ledger;
pub mod losses;
mod matroska;
mod mp4;
pub mod muxer;
pub mod options;
mod output;
pub mod picture;
mod picture_pads;
pub mod pipeline;
pub mod plan;
mod planes;
pub mod progress;
pub mod properties;
pub mod run_state;
pub mod segments;
pub mod sequence;
pub mod shutdown;
pub mod signals;
mod streams;
pub mod survey;
mod times;
pub mod vp9;
mod y4m;
mod y4m_pads;

pub use error::Error;

//! The cadence of a film: which fields of the decoded frames belong to the same picture, and which
//! pictures are shown when.
//!
//! [`evidence`] measures frames, [`detect`] divides the film into scenes of one pattern,
//! [`schedule`] lists the pictures to show, and [`element`] makes them from the decoded frames.

mod deinterlace;
pub mod detect;
pub mod element;
pub mod evidence;
mod options;
mod pattern;
mod picture;
pub mod report;
pub mod schedule;

pub use options::{FieldOrder, Options};
pub use pattern::Scene;
pub use picture::{FORMATS, row_bytes};
pub use schedule::Schedule;

//! What consecutive frames say about scenes and fields.

use gst_video::{VideoFrameExt as _, VideoFrameRef};

use super::{frame_table::SCENE_CUT, picture::Thumbnail};
use crate::cadence::{
    detect::{LEAST_ROWS, Observation},
    evidence::{self, Luma},
};

/// Compares each frame with the one before it.
#[derive(Debug, Default)]
pub struct Observer {
    before: (Thumbnail, Luma),
}

impl Observer {
    /// The [change](Thumbnail::change) since the frame before, and the observation, whose duration is
    /// still 0. `is_flagged`: the decoder says that the frame may be interlaced.
    pub fn observe(
        &mut self,
        frame: &VideoFrameRef<&gst::BufferRef>,
        is_flagged: bool,
    ) -> (u16, Observation) {
        let now = (Thumbnail::of(frame), Luma::of(frame));
        let change = now.0.change(&self.before.0);
        let observation = Observation {
            duration: 0,
            evidence: evidence::measure(&self.before.1, &now.1),
            is_cut: change >= SCENE_CUT,
            can_be_interlaced: is_flagged || frame.height() >= LEAST_ROWS,
        };
        self.before = now;
        (change, observation)
    }
}

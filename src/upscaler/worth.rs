//! Whether keeping features pays: comparing and storing them costs a few percent, which a stream in
//! which everything changes does not give back.

/// Updates that compute more than this share of a whole run cost as much as the run.
const WORTH: f64 = 0.95;

/// Updates in a row that are not worth their cost before features are no longer kept. One alone is a
/// scene cut.
const PATIENCE: u32 = 2;

/// Features are kept again when less than this share of the pixels changes.
const FEW: f64 = 0.25;

/// Frames before it is tried again: at first and, doubled with each try, at most.
const PAUSE: (u32, u32) = (16, 128);

/// Learns from updates whether the next ones are worth their cost.
#[derive(Debug)]
pub(super) struct Worth {
    /// The last updates that were not.
    wasted: u32,
    /// Frames that were computed without features since.
    frames: u32,
    /// Frames to compute without features before the next try.
    pause: u32,
}

impl Default for Worth {
    fn default() -> Self {
        Self { wasted: 0, frames: 0, pause: PAUSE.0 }
    }
}

impl Worth {
    /// Whether features should be kept for a frame in which at most `share` of the pixels changed.
    pub(crate) fn keeps(&mut self, share: f64) -> bool {
        if self.wasted < PATIENCE {
            return true;
        }
        self.frames += 1;
        if share >= FEW && self.frames <= self.pause {
            return false;
        }
        self.frames = 0;
        self.pause = (self.pause * 2).min(PAUSE.1);
        // Another one is enough.
        self.wasted = PATIENCE - 1;
        true
    }

    /// An update after another one computed `work`, a share of a whole run.
    pub(crate) fn learn(&mut self, work: f64) {
        if work < WORTH {
            *self = Self::default();
        } else {
            self.wasted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_given_up_when_everything_changes_and_tried_again_after_a_pause() {
        let mut worth = Worth::default();
        let mut kept = Vec::new();
        for frame in 0..200 {
            if worth.keeps(1.0) {
                kept.push(frame);
                // The first after frames without features says nothing.
                if frame == 0 || kept.len() < 2 || kept[kept.len() - 2] + 1 == frame {
                    worth.learn(1.0);
                }
            }
        }
        assert_eq!(kept, [0, 1, 18, 19, 52, 53, 118, 119]);
    }

    #[test]
    fn one_scene_cut_or_a_small_change_keeps_features() {
        let mut worth = Worth::default();
        for _ in 0..10 {
            worth.learn(1.0);
            assert!(worth.keeps(1.0));
            worth.learn(0.5);
            assert!(worth.keeps(1.0));
        }
        worth.learn(1.0);
        worth.learn(1.0);
        assert!(!worth.keeps(0.9));
        assert!(worth.keeps(0.1));
    }
}

//! How long each block of a stream has not changed.

use super::changed_map::ChangedMap;

/// Frames without a change after which a block is still.
const STILL: u8 = 2;

/// Counts, for each block, the frames since it last changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stillness {
    /// Row by row, at most [`STILL`].
    frames: Vec<u8>,
}

impl Stillness {
    /// Adds a frame in which the blocks of `changed` differ from the frame before it, and returns
    /// the blocks that are still.
    pub(crate) fn advance(&mut self, changed: &ChangedMap) -> ChangedMap {
        let (width, height) = changed.size();
        self.frames.resize((changed.columns() * changed.rows()) as usize, 0);
        let mut still = ChangedMap::none(width, height);
        let mut frames = self.frames.iter_mut();
        for row in 0..changed.rows() {
            for (column, frames) in (0..changed.columns()).zip(&mut frames) {
                *frames = if changed.get(column, row) { 0 } else { (*frames + 1).min(STILL) };
                if *frames == STILL {
                    still.mark(column, row);
                }
            }
        }
        still
    }

    /// Forgets all frames.
    pub(crate) fn reset(&mut self) {
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Rect;

    #[test]
    fn a_block_is_still_two_frames_after_its_last_change() {
        let map = |rects: &[Rect]| ChangedMap::of_rects(rects, 32, 16);
        let moving = Rect::new(8, 8, 8, 8);
        let mut stillness = Stillness::default();
        assert!(stillness.advance(&ChangedMap::all(32, 16)).is_empty());
        assert!(stillness.advance(&map(&[moving])).is_empty());
        let all_but_moving = ChangedMap::all(32, 16).without(&map(&[moving]));
        assert_eq!(stillness.advance(&map(&[moving])), all_but_moving);
        assert_eq!(stillness.advance(&map(&[])), all_but_moving);
        assert_eq!(stillness.advance(&map(&[])), ChangedMap::all(32, 16));
    }
}

//! Which blocks rest.

use super::{changed_map::ChangedMap, reference::Reference};
use crate::frame::Error;

/// Frames between two that later ones are compared with.
const PERIOD: u32 = 4;

/// Compares each frame with one that is [`PERIOD`] to twice as many frames older. Noise is as large
/// as between neighbouring frames then, while a slow movement adds up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stillness {
    /// The frame to compare with, and the next one.
    frames: [Option<Reference>; 2],
    /// Frames since the last of them.
    age: u32,
}

impl Stillness {
    /// Adds a frame, and returns its blocks that do not rest: their samples differ by more than
    /// `noise` 8-bit steps. At first nothing rests.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] if the frame is of another kind than those before it.
    pub(crate) fn advance(&mut self, frame: &Reference, noise: u8) -> Result<ChangedMap, Error> {
        if self.age == 0 {
            self.frames.swap(0, 1);
            self.frames[1] = Some(frame.clone());
        }
        self.age = (self.age + 1) % PERIOD;
        let frame = frame.frame();
        let distances = match &mut self.frames[0] {
            Some(older) => older.distances(&frame)?,
            None => None,
        };
        let all = || ChangedMap::all(frame.info.width, frame.info.height);
        Ok(distances.map_or_else(all, |distances| distances.above(noise)))
    }

    /// Forgets all frames.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameInfo, OwnedFrame, PixelFormat, Range, Rect};

    /// Frames in which a block has these luma samples, and the blocks of each that do not rest.
    fn moving(luma: impl IntoIterator<Item = u8>) -> Vec<ChangedMap> {
        let info = FrameInfo::bt709(PixelFormat::Gray8, 32, 16, Range::Limited);
        let (mut stillness, mut shown) = (Stillness::default(), Reference::new(info).unwrap());
        let frames = luma.into_iter().map(|luma| {
            let mut frame = OwnedFrame::new(info, 0).unwrap();
            let plane = frame.plane_mut(0).unwrap();
            plane.data[9 * 32 + 9] = luma;
            shown.update_rect(&frame.read(), Rect::of_size(32, 16)).unwrap();
            stillness.advance(&shown, 16).unwrap()
        });
        frames.collect()
    }

    fn block() -> ChangedMap {
        ChangedMap::of_rects(&[Rect::new(8, 8, 8, 8)], 32, 16)
    }

    #[test]
    fn noise_rests_and_a_slow_movement_does_not() {
        let noise = moving((0..20).map(|frame| 100 + frame % 2 * 16));
        assert_eq!(noise[0], ChangedMap::all(32, 16));
        assert!(noise[PERIOD as usize..].iter().all(ChangedMap::is_empty));
        let movement = moving((0..20).map(|frame| 100 + frame * 5));
        assert!(movement[PERIOD as usize..].iter().all(|map| *map == block()));
    }

    #[test]
    fn a_block_rests_some_frames_after_its_last_change() {
        let maps = moving((0..30).map(|frame| if frame < 10 { 0 } else { 200 }));
        assert!(maps[9].is_empty());
        assert_eq!(maps[10], block());
        assert!(maps[10 + 2 * PERIOD as usize..].iter().all(ChangedMap::is_empty));
    }
}

//! Pictures that stay from frame to frame and are updated by patches.

use super::super::{buffer_pool::BufferPool, enlarger::Patch};
use crate::frame::{Image, Rect};

/// The source picture or the canvas of a stream.
pub(super) struct Surface {
    picture: Image,
    /// The frame, in input pixels.
    bounds: Rect,
    /// The picture's size relative to the frame.
    factor: u32,
    pool: BufferPool,
}

impl Surface {
    /// A picture `factor` times as large as the frame, without contents.
    pub(crate) fn new(bounds: Rect, factor: u32, pool: BufferPool) -> Self {
        Self { picture: Image::default(), bounds, factor, pool }
    }

    /// The picture; empty until the first patch of the whole frame.
    pub(crate) fn picture(&self) -> &Image {
        &self.picture
    }

    /// The frame, in input pixels.
    pub(crate) fn bounds(&self) -> Rect {
        self.bounds
    }

    /// Replaces what `patches` cover.
    pub(crate) fn update(&mut self, patches: Vec<Patch>) {
        for patch in patches {
            if patch.rect == self.bounds && patch.parts.is_empty() {
                self.release();
                self.picture = patch.picture;
                continue;
            }
            for part in patch.parts() {
                let inside = Rect { x: part.x - patch.rect.x, y: part.y - patch.rect.y, ..*part };
                let Rect { x, y, .. } = part.scaled(self.factor);
                let inside = inside.scaled(self.factor);
                self.picture.copy_from(&patch.picture, inside, x as usize, y as usize);
            }
            self.pool.put(patch.picture);
        }
    }

    /// Returns the picture's memory to the pool; the next patch covers the whole frame.
    pub(crate) fn release(&mut self) {
        self.pool.put(std::mem::take(&mut self.picture));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_replace_their_part_and_the_whole_frame_replaces_the_picture() {
        let pool = BufferPool::default();
        let mut surface = Surface::new(Rect::of_size(2, 1), 2, pool.clone());
        let patch = |rect: Rect, value: f32| {
            let size = rect.scaled(2);
            let mut picture = Image::new(1, size.width as usize, size.height as usize);
            picture.data_mut().fill(value);
            Patch { rect, picture, parts: vec![] }
        };
        surface.update(vec![patch(Rect::of_size(2, 1), 1.0)]);
        surface.update(vec![patch(Rect::new(1, 0, 1, 1), 2.0)]);
        assert_eq!(surface.picture().data(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
        let mut picture = Image::new(1, 4, 2);
        picture.data_mut().fill(3.0);
        let parts = vec![Rect::new(0, 0, 1, 1)];
        surface.update(vec![Patch { rect: Rect::of_size(2, 1), picture, parts }]);
        assert_eq!(surface.picture().data(), [3.0, 3.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0]);
        surface.release();
        assert!(surface.picture().data().is_empty());
        assert!(pool.take(1, 4, 2).capacity() >= 8);
    }
}

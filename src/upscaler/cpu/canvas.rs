//! The enlarged picture that lives from frame to frame, at the model's own factor.

use super::{
    super::Region,
    buffer_pool::BufferPool,
    job::{Part, Update},
};
use crate::frame::{Image, Rect};

/// The model's picture of the frame that was finished last.
pub(super) struct Canvas {
    picture: Image,
    /// The model's.
    factor: u32,
    pool: BufferPool,
}

impl Canvas {
    pub(super) fn new(factor: u32, pool: BufferPool) -> Self {
        Self { picture: Image::default(), factor, pool }
    }

    pub(super) fn picture(&self) -> &Image {
        &self.picture
    }

    /// Brings it up to date.
    pub(super) fn update(&mut self, update: Update) {
        match update {
            Update::Nothing => {}
            Update::Whole(picture) => {
                self.release();
                self.picture = picture;
            }
            Update::Parts(parts) => {
                for Part { region, picture } in parts {
                    self.paste(&region, &picture);
                    self.pool.put(picture);
                }
            }
        }
    }

    /// What it holds is not built on any more.
    pub(super) fn release(&mut self) {
        self.pool.put(std::mem::take(&mut self.picture));
    }

    fn paste(&mut self, region: &Region, picture: &Image) {
        let Rect { x, y, width, height } = region.compute.scaled(self.factor);
        self.picture.copy_from(picture, Rect::of_size(width, height), x as usize, y as usize);
    }
}

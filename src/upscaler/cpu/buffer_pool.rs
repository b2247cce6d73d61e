//! Pictures that are free to be written again: large ones take long to allocate.

use std::sync::{Arc, Mutex, PoisonError};

use crate::frame::Image;

/// Pictures kept at most, so that many small regions once do not cost memory for ever.
const MOST: usize = 16;

/// Shared by the stages.
#[derive(Clone, Default)]
pub(super) struct BufferPool(Arc<Mutex<Vec<Image>>>);

impl BufferPool {
    /// A picture of this shape; its samples are left over as they lie.
    pub fn take(&self, channels: usize, width: usize, height: usize) -> Image {
        let mut image = self.smallest_for(channels * width * height);
        image.resize(channels, width, height);
        image
    }

    /// The smallest that has room, so that large ones stay for large pictures.
    fn smallest_for(&self, samples: usize) -> Image {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = images.iter().enumerate().filter(|(_, image)| image.capacity() >= samples);
        let smallest = fitting.min_by_key(|(_, image)| image.capacity()).map(|(index, _)| index);
        smallest.map(|index| images.swap_remove(index)).unwrap_or_default()
    }

    /// Gives a picture back.
    pub fn put(&self, image: Image) {
        if image.capacity() == 0 {
            return;
        }
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        images.push(image);
        if images.len() > MOST {
            let sizes = images.iter().enumerate();
            let smallest = sizes.min_by_key(|(_, image)| image.capacity()).map(|(index, _)| index);
            smallest.map(|index| images.swap_remove(index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pictures_are_kept_for_large_ones() {
        let pool = BufferPool::default();
        pool.put(Image::new(1, 100, 100));
        pool.put(Image::new(1, 20, 20));
        assert!(pool.take(1, 10, 10).capacity() < 100 * 100);
        assert!(pool.take(1, 90, 90).capacity() >= 100 * 100);
        assert_eq!(pool.take(1, 0, 0).capacity(), 0, "none is left");
    }

    #[test]
    fn no_more_than_some_are_kept() {
        let pool = BufferPool::default();
        (0..2 * MOST).for_each(|side| pool.put(Image::new(1, 1 + side, 1)));
        let kept: Vec<_> = (0..MOST).map(|_| pool.take(1, MOST + 1, 1).capacity()).collect();
        assert!(kept.iter().all(|capacity| *capacity > MOST), "the largest: {kept:?}");
        assert_eq!(pool.take(0, 0, 0).capacity(), 0, "none is left");
    }
}

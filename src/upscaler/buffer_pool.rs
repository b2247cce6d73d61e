//! Pictures for reuse: allocating large ones takes long.

use std::sync::{Arc, Mutex, PoisonError};

use crate::frame::Image;

/// Most pictures that are kept, so that a frame of many small regions does not keep memory for
/// ever.
const MAX_KEPT: usize = 16;

/// Pictures that may be overwritten, shared by the stages of a stream.
#[derive(Clone, Debug, Default)]
pub struct BufferPool(Arc<Mutex<Vec<Image>>>);

impl BufferPool {
    /// A picture of this shape, whose samples are undefined.
    #[must_use]
    pub fn take(&self, channels: usize, width: usize, height: usize) -> Image {
        let mut image = self.smallest_for(channels * width * height);
        image.resize(channels, width, height);
        image
    }

    /// The smallest picture with room for so many samples: large ones stay for large pictures.
    fn smallest_for(&self, samples: usize) -> Image {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = images.iter().enumerate().filter(|(_, image)| image.capacity() >= samples);
        let smallest = fitting.min_by_key(|(_, image)| image.capacity()).map(|(index, _)| index);
        smallest.map(|index| images.swap_remove(index)).unwrap_or_default()
    }

    /// Returns a picture to the pool.
    pub fn put(&self, image: Image) {
        if image.capacity() == 0 {
            return;
        }
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        images.push(image);
        if images.len() > MAX_KEPT {
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
    fn large_pictures_are_kept_for_large_requests() {
        let pool = BufferPool::default();
        pool.put(Image::new(1, 100, 100));
        pool.put(Image::new(1, 20, 20));
        assert!(pool.take(1, 10, 10).capacity() < 100 * 100);
        assert!(pool.take(1, 90, 90).capacity() >= 100 * 100);
        assert_eq!(pool.take(1, 0, 0).capacity(), 0, "the pool is empty");
    }

    #[test]
    fn the_pool_keeps_a_limited_number_and_drops_the_smallest() {
        let pool = BufferPool::default();
        (0..2 * MAX_KEPT).for_each(|side| pool.put(Image::new(1, 1 + side, 1)));
        let kept: Vec<_> = (0..MAX_KEPT).map(|_| pool.take(1, MAX_KEPT + 1, 1)).collect();
        assert!(kept.iter().all(|image| image.capacity() > MAX_KEPT), "the largest are kept");
        assert_eq!(pool.take(0, 0, 0).capacity(), 0, "the pool is empty");
    }
}

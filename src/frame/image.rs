//! Planar float images, the input and output of models.

use super::Rect;

/// What the channels of a model's input and output mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One channel: Y′ in 0..1 (0 black, 1 nominal white, whatever the range of the format).
    Luma,
    /// Three channels: R′G′B′ in 0..1.
    Rgb,
}

impl Channels {
    /// Number of channels.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Channels::Luma => 1,
            Channels::Rgb => 3,
        }
    }
}

/// A planar float image: channel after channel, row after row, without padding (a CHW tensor).
/// Samples are nominally 0..1 and may lie outside of that range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    channels: usize,
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl Image {
    /// An image of zeros.
    #[must_use]
    pub fn new(channels: usize, width: usize, height: usize) -> Self {
        let mut image = Self::default();
        image.resize(channels, width, height);
        image
    }

    /// Changes the shape and reuses the allocation if it is large enough. The samples are
    /// unspecified afterwards: the caller must overwrite all of them.
    pub fn resize(&mut self, channels: usize, width: usize, height: usize) {
        (self.channels, self.width, self.height) = (channels, width, height);
        self.data.resize(channels * width * height, 0.0);
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Samples per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows per channel.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Number of samples that fit into the current allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.data.capacity()
    }

    /// All samples in CHW order.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All samples in CHW order, to write.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The samples of one channel, row after row; empty if the channel does not exist.
    #[must_use]
    pub fn channel(&self, channel: usize) -> &[f32] {
        let size = self.width * self.height;
        self.data.get(channel * size..(channel + 1) * size).unwrap_or(&[])
    }

    /// The samples of one channel, to write; empty if the channel does not exist.
    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        let size = self.width * self.height;
        self.data.get_mut(channel * size..(channel + 1) * size).unwrap_or(&mut [])
    }

    /// One row of one channel; empty if it does not exist.
    #[must_use]
    pub fn row(&self, channel: usize, y: usize) -> &[f32] {
        let start = (channel * self.height + y) * self.width;
        self.data.get(start..start + self.width).unwrap_or(&[])
    }

    /// One row of one channel, to write; empty if it does not exist.
    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [f32] {
        let start = (channel * self.height + y) * self.width;
        self.data.get_mut(start..start + self.width).unwrap_or(&mut [])
    }

    /// Row `y` of the first `N` channels, to write; empty for those that do not exist.
    pub fn rows_mut<const N: usize>(&mut self, y: usize) -> [&mut [f32]; N] {
        let (width, size) = (self.width, self.width * self.height);
        let mut rows = std::array::from_fn(|_| <&mut [f32]>::default());
        for (row, channel) in rows.iter_mut().zip(self.data.chunks_exact_mut(size.max(1))) {
            *row = channel.get_mut(y * width..(y + 1) * width).unwrap_or_default();
        }
        rows
    }

    /// Copies the rectangle `from` of `source` to (`x`, `y`) of this image, in every channel that
    /// both images have. Samples outside of either image are skipped.
    pub fn copy_from(&mut self, source: &Image, from: Rect, x: usize, y: usize) {
        let width = (from.width as usize)
            .min(source.width.saturating_sub(from.x as usize))
            .min(self.width.saturating_sub(x));
        let height = (from.height as usize)
            .min(source.height.saturating_sub(from.y as usize))
            .min(self.height.saturating_sub(y));
        let from_x = from.x as usize;
        for channel in 0..self.channels.min(source.channels) {
            for row in 0..height {
                let source_row = source.row(channel, from.y as usize + row);
                if let (Some(to), Some(from)) = (
                    self.row_mut(channel, y + row).get_mut(x..x + width),
                    source_row.get(from_x..from_x + width),
                ) {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

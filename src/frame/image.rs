//! A picture in float, as models take and give it.

use super::Rect;

/// What the samples of a model's picture mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One channel: Y′ in 0..1 (0 black, 1 nominal white, whatever the range of the format).
    Luma,
    /// Three channels: R′G′B′ in 0..1.
    Rgb,
}

impl Channels {
    pub const fn count(self) -> usize {
        match self {
            Channels::Luma => 1,
            Channels::Rgb => 3,
        }
    }
}

/// Planar float samples: channel after channel, row after row, no padding (the CHW of a
/// model's tensor). Samples are nominally 0..1 and may over- and undershoot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    channels: usize,
    width: usize,
    height: usize,
    data: Vec<f32>,
}

impl Image {
    /// All zero.
    pub fn new(channels: usize, width: usize, height: usize) -> Self {
        let mut image = Self::default();
        image.resize(channels, width, height);
        image
    }

    /// Changes the shape, keeping the allocation where it suffices. The samples that were
    /// there are left over as they lie: the caller overwrites them all.
    pub fn resize(&mut self, channels: usize, width: usize, height: usize) {
        (self.channels, self.width, self.height) = (channels, width, height);
        self.data.resize(channels * width * height, 0.0);
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// Samples that there is room for without another allocation.
    pub fn capacity(&self) -> usize {
        self.data.capacity()
    }

    /// All samples, CHW.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The samples of one channel, row after row; empty where there is no such channel.
    pub fn channel(&self, channel: usize) -> &[f32] {
        let size = self.width * self.height;
        self.data.get(channel * size..(channel + 1) * size).unwrap_or(&[])
    }

    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        let size = self.width * self.height;
        self.data.get_mut(channel * size..(channel + 1) * size).unwrap_or(&mut [])
    }

    /// One row of one channel; empty where there is none.
    pub fn row(&self, channel: usize, y: usize) -> &[f32] {
        let start = (channel * self.height + y) * self.width;
        self.data.get(start..start + self.width).unwrap_or(&[])
    }

    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [f32] {
        let start = (channel * self.height + y) * self.width;
        self.data.get_mut(start..start + self.width).unwrap_or(&mut [])
    }

    /// Row `y` of the first `N` channels; empty where there is none.
    pub fn rows_mut<const N: usize>(&mut self, y: usize) -> [&mut [f32]; N] {
        let (width, size) = (self.width, self.width * self.height);
        let mut rows = std::array::from_fn(|_| <&mut [f32]>::default());
        for (row, channel) in rows.iter_mut().zip(self.data.chunks_exact_mut(size.max(1))) {
            *row = channel.get_mut(y * width..(y + 1) * width).unwrap_or_default();
        }
        rows
    }

    /// Copies the rectangle `from` of `source` to (`x`, `y`) here, in every channel that both
    /// have. What would fall outside of either picture is left out.
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

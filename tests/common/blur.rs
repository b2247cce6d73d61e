//! A fake model that makes misplaced regions visible: a blur with a known receptive field, then
//! nearest-neighbour enlargement.

use gstupscale::{
    engine::{self, Infer},
    frame::{Channels, Image},
    model::ModelInfo,
};

/// The receptive field beyond a pixel, in input pixels.
pub const RADIUS: usize = 3;

/// Sums a window of (2·RADIUS+1)² pixels, with zeros outside the picture, like a convolution.
pub struct Blur {
    pub info: ModelInfo,
    /// Runs with more pixels fail because of missing memory.
    pub memory: usize,
}

impl Blur {
    /// A model that has enough memory for any picture.
    pub fn new(channels: Channels, factor: u32, align: u32) -> Self {
        let info = ModelInfo {
            channels,
            factor,
            halo: Some(RADIUS as u32),
            align,
            min_side: align,
            fixed_size: None,
            batch: true,
            parameters: 0,
            macs_per_pixel: 1.0,
            peak_floats_per_pixel: 8.0,
        };
        Self { info, memory: usize::MAX }
    }
}

impl Infer for Blur {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        let (width, height) = (input.width(), input.height());
        assert_eq!((width % self.info.align as usize, height % self.info.align as usize), (0, 0));
        if width * height > self.memory {
            return Err(engine::Error::OutOfMemory);
        }
        let factor = self.info.factor as usize;
        output.resize(input.channels(), width * factor, height * factor);
        for channel in 0..input.channels() {
            for y in 0..height * factor {
                for x in 0..width * factor {
                    let (cy, cx) = (y / factor, x / factor);
                    let mut sum = 0.0;
                    for wy in cy.saturating_sub(RADIUS)..(cy + RADIUS + 1).min(height) {
                        for wx in cx.saturating_sub(RADIUS)..(cx + RADIUS + 1).min(width) {
                            let weight = 1.0 + (wx + RADIUS - cx) as f32 * 0.01;
                            sum += input.row(channel, wy)[wx] * weight;
                        }
                    }
                    output.row_mut(channel, y)[x] = sum / 51.0;
                }
            }
        }
        Ok(())
    }
}

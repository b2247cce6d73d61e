//! A model that is plain arithmetic, so that only the stages around it are tested.

use gstupscale::{
    engine::{self, Infer},
    frame::{Channels, Image},
    model::ModelInfo,
};

/// How [`TestModel`] reads its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Each pixel alone.
    Nearest,
    /// Each pixel and its four neighbours: a halo of one pixel.
    Soft,
}

/// Enlarges by repeating pixels.
pub struct TestModel {
    pub info: ModelInfo,
    filter: Filter,
}

impl TestModel {
    pub fn new(channels: Channels, factor: u32, filter: Filter) -> Self {
        let halo = match filter {
            Filter::Nearest => 0,
            Filter::Soft => 1,
        };
        let info = ModelInfo {
            channels,
            factor,
            halo: Some(halo),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: false,
            parameters: 0,
            macs_per_pixel: 5.0,
            peak_floats_per_pixel: 30.0,
        };
        Self { info, filter }
    }
}

impl Infer for TestModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn run(&mut self, input: &Image, output: &mut Image) -> Result<(), engine::Error> {
        let factor = self.info.factor as usize;
        output.resize(input.channels(), input.width() * factor, input.height() * factor);
        for channel in 0..input.channels() {
            for y in 0..output.height() {
                // Zero outside of the picture.
                let at = |x: Option<usize>, y: Option<usize>| {
                    let inside = x.zip(y).filter(|(_, y)| *y < input.height());
                    inside.and_then(|(x, y)| input.row(channel, y).get(x)).copied().unwrap_or(0.0)
                };
                for (x, to) in output.row_mut(channel, y).iter_mut().enumerate() {
                    let (x, y) = (x / factor, y / factor);
                    let (left, up) = (x.checked_sub(1), y.checked_sub(1));
                    let center = at(Some(x), Some(y));
                    let neighbours = at(left, Some(y))
                        + at(Some(x + 1), Some(y))
                        + at(Some(x), up)
                        + at(Some(x), Some(y + 1));
                    *to = match self.filter {
                        Filter::Nearest => center,
                        Filter::Soft => 0.5 * center + 0.125 * neighbours,
                    };
                }
            }
        }
        Ok(())
    }
}

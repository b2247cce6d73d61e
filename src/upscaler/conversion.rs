//! How output depends on input and canvas: the same wherever frames lie.

use crate::frame::{BypassPlanes, Channels, Error, FrameInfo, Packer, Rect, Resampler, Unpacker};

/// What lies between frames of two sizes, set up once per caps.
pub(super) struct Conversion {
    pub output: FrameInfo,
    /// The canvas's size over the input's.
    pub factor: u32,
    pub unpacker: Unpacker,
    pub packer: Packer,
    /// From the canvas.
    pub canvas: Resampler,
    /// From the input: the Lanczos enlargement that the model's picture is blended over.
    pub input: Resampler,
    /// From the planes that do not go through the model: chroma of luma models, alpha.
    pub bypass_planes: Vec<Resampler>,
}

impl Conversion {
    pub fn new(
        input: FrameInfo,
        output: FrameInfo,
        channels: Channels,
        factor: u32,
    ) -> Result<Self, Error> {
        let unpacker = Unpacker::new(input, channels)?;
        let packer = Packer::new(output, channels)?;
        let enlarge = |(from, to): (&BypassPlanes, &BypassPlanes)| Resampler::between(from, to);
        let bypass_planes =
            unpacker.bypass_planes().iter().zip(packer.bypass_planes()).map(enlarge);
        let size = (output.width, output.height);
        Ok(Self {
            canvas: Resampler::new((input.width * factor, input.height * factor), size),
            input: Resampler::new((input.width, input.height), size),
            bypass_planes: bypass_planes.collect(),
            output,
            factor,
            unpacker,
            packer,
        })
    }

    /// The output pixels that change where the input pixels of `rect` and their part of the
    /// canvas do.
    pub fn dependents(&self, rect: Rect) -> Rect {
        let bypass_planes = self.unpacker.bypass_planes().iter().zip(self.packer.bypass_planes());
        let around = self.packer.dependents(
            self.canvas.dependents(rect.scaled(self.factor)).union(&self.input.dependents(rect)),
        );
        bypass_planes.zip(&self.bypass_planes).fold(around, |all, ((from, to), resampler)| {
            all.union(&to.grid.pixels(resampler.dependents(from.grid.samples(rect))))
        })
    }

    /// The whole output.
    pub fn whole(&self) -> Rect {
        Rect::of_size(self.output.width, self.output.height)
    }
}

//! How output pixels depend on input and canvas pixels, whichever memory frames are in.

use super::fidelity::{Enlarge, Fidelity};
use crate::frame::{BypassPlanes, Channels, Error, FrameInfo, Packer, Rect, Resampler, Unpacker};

/// The conversions between frames of two sizes, set up once per stream.
pub(super) struct Conversion {
    pub output: FrameInfo,
    /// The canvas's size relative to the input's.
    pub factor: u32,
    /// From the input to the source picture.
    pub unpacker: Unpacker,
    /// From the finished picture to the output.
    pub packer: Packer,
    /// From the canvas to the output's size.
    pub canvas: Resampler,
    /// From the source picture to the output's size, for blending with the canvas.
    pub input: Resampler,
    /// From the planes that bypass the model to the output's size.
    pub bypass_planes: Vec<Resampler>,
    /// `None`: the picture is the model's own.
    pub fidelity: Option<Fidelity>,
}

impl Conversion {
    /// From `input` to `output` frames, through a model with these channels and this factor, whose
    /// picture is held to the input with this `fidelity`, 0..1.
    ///
    /// # Errors
    /// [`Error`] for unsupported sizes.
    pub(crate) fn new(
        input: FrameInfo,
        output: FrameInfo,
        channels: Channels,
        factor: u32,
        fidelity: f32,
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
            fidelity: Fidelity::new(fidelity, channels, input, output),
            output,
            factor,
            unpacker,
            packer,
        })
    }

    /// The output pixels that depend on the input pixels of `rect` and their part of the canvas.
    pub(crate) fn dependents(&self, rect: Rect) -> Rect {
        let bypass_planes = self.unpacker.bypass_planes().iter().zip(self.packer.bypass_planes());
        let canvas = rect.scaled(self.factor);
        let picture = match &self.fidelity {
            Some(fidelity) => fidelity.dependents(self.enlarge(), canvas, rect),
            None => self.canvas.dependents(canvas).union(&self.input.dependents(rect)),
        };
        let around = self.packer.dependents(picture);
        bypass_planes.zip(&self.bypass_planes).fold(around, |all, ((from, to), resampler)| {
            all.union(&to.grid.pixels(resampler.dependents(from.grid.samples(rect))))
        })
    }

    /// What enlarges the canvas and the input.
    pub(crate) fn enlarge(&self) -> Enlarge<'_> {
        Enlarge { unpacker: &self.unpacker, canvas: &self.canvas, input: &self.input }
    }

    /// The whole output.
    pub(crate) fn whole(&self) -> Rect {
        Rect::of_size(self.output.width, self.output.height)
    }
}

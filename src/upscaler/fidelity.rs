//! Holding the model's picture to the input: chroma from a Lanczos enlargement, and one back-projection
//! (Irani and Peleg, "Improving resolution by image registration", 1991).

use crate::frame::{
    Channels, Error, Filter, FrameInfo, FrameRef, Image, MatrixCoefficients, PlacedImage, Rect,
    Resampler, Unpacker,
};

/// What brings the model's picture closer to the input, set up once per stream.
pub(super) struct Fidelity {
    /// How close, above 0 and up to 1.
    share: f32,
    /// For the luma of R′G′B′. `None`: the model computes luma only, so chroma is Lanczos anyway.
    matrix: Option<MatrixCoefficients>,
    /// From the output's size to the input's.
    reduce: Resampler,
}

/// The resamplers of the stream to the output's size.
#[derive(Clone, Copy)]
pub(super) struct Enlarge<'a> {
    pub unpacker: &'a Unpacker,
    pub canvas: &'a Resampler,
    pub input: &'a Resampler,
}

impl Fidelity {
    /// `None` if `share` is 0, or the output is not larger than the input: it would become the input.
    pub(crate) fn new(
        share: f32,
        channels: Channels,
        input: FrameInfo,
        output: FrameInfo,
    ) -> Option<Self> {
        let is_larger = output.width > input.width && output.height > input.height;
        let matrix = || MatrixCoefficients::new(input.colorimetry.matrix);
        (share > 0.0 && is_larger).then(|| Self {
            share: share.min(1.0),
            matrix: (channels == Channels::Rgb).then(matrix),
            reduce: Resampler::of_grids(&output.grid(), &input.grid(), Filter::CatmullRom),
        })
    }

    /// The output pixels that depend on the input pixels of `rect` or on their part of the canvas.
    pub(crate) fn dependents(&self, enlarge: Enlarge<'_>, canvas: Rect, rect: Rect) -> Rect {
        let direct = enlarge.canvas.dependents(canvas).union(&enlarge.input.dependents(rect));
        let compared = self.reduce.dependents(direct).union(&rect);
        direct.union(&enlarge.input.dependents(compared))
    }

    /// Writes the pixels `rect` of the picture, at the output's size, to `out`.
    ///
    /// # Errors
    /// [`Error`] if `frame` is not of the stream's format and size, or `rect` lies outside of the
    /// output.
    pub(crate) fn picture(
        &self,
        enlarge: Enlarge<'_>,
        canvas: PlacedImage<'_>,
        frame: &FrameRef<'_>,
        rect: Rect,
        (out, scratch): (&mut Image, &mut Scratch),
    ) -> Result<(), Error> {
        let Scratch { source, lanczos, model, error } = scratch;
        let compared = enlarge.input.needed(rect);
        let area = self.reduce.needed(compared).union(&rect);
        let read = enlarge.input.needed(area).union(&compared);
        enlarge.unpacker.unpack(frame, read, source)?;
        let source = PlacedImage::new(source, read.x, read.y);
        enlarge.canvas.resample(canvas, area, model)?;
        if let Some(matrix) = &self.matrix {
            enlarge.input.resample(source, area, lanczos)?;
            self.take_chroma(matrix, lanczos, model);
        }
        let model = PlacedImage::new(model, area.x, area.y);
        self.reduce.resample(model, compared, error)?;
        subtract_from(source, compared, error);
        enlarge.input.resample(PlacedImage::new(error, compared.x, compared.y), rect, out)?;
        self.add_to(model, rect, out);
        Ok(())
    }

    /// Replaces the chroma of `model` by that of `lanczos`, as far as the share says.
    fn take_chroma(&self, matrix: &MatrixCoefficients, lanczos: &Image, model: &mut Image) {
        for y in 0..model.height() {
            let [r, g, b] = [0, 1, 2].map(|channel| lanczos.row(channel, y));
            let [red, green, blue] = model.rows_mut(y);
            let lanczos = r.iter().zip(g).zip(b);
            let model = red.iter_mut().zip(green).zip(blue);
            for (((red, green), blue), ((r, g), b)) in model.zip(lanczos) {
                let detail = matrix.luma_of(*red - r, *green - g, *blue - b);
                *red += self.share * (r + detail - *red);
                *green += self.share * (g + detail - *green);
                *blue += self.share * (b + detail - *blue);
            }
        }
    }

    /// Makes `correction`, of the pixels `rect`, the picture: `model` and a share of the correction.
    fn add_to(&self, model: PlacedImage<'_>, rect: Rect, correction: &mut Image) {
        for channel in 0..correction.channels() {
            for y in 0..rect.height {
                let model = model.row(channel, rect.x, rect.y + y, rect.width);
                let row = correction.row_mut(channel, y as usize).iter_mut();
                row.zip(model).for_each(|(sample, model)| *sample = model + self.share * *sample);
            }
        }
    }
}

/// Subtracts `image`, which has the pixels `rect`, from `source`, and leaves the result in `image`.
fn subtract_from(source: PlacedImage<'_>, rect: Rect, image: &mut Image) {
    for channel in 0..image.channels() {
        for y in 0..rect.height {
            let source = source.row(channel, rect.x, rect.y + y, rect.width);
            let row = image.row_mut(channel, y as usize).iter_mut();
            row.zip(source).for_each(|(sample, source)| *sample = source - *sample);
        }
    }
}

/// Pictures that a thread keeps from band to band, to allocate them once.
#[derive(Default)]
pub(super) struct Scratch {
    source: Image,
    lanczos: Image,
    model: Image,
    error: Image,
}

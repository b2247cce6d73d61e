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
    /// The output's size, and its pixels for a pixel of the input, per axis.
    size: [u32; 2],
    scale: [f32; 2],
}

/// Up to this distance from the border, in pixels of the input, the picture is that of Lanczos, and from
/// the second one on that of the model, which takes what is outside of the frame for black.
const BORDER: [f32; 2] = [4.0, 12.0];

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
            size: [output.width, output.height],
            scale: [
                output.width as f32 / input.width as f32,
                output.height as f32 / input.height as f32,
            ],
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
        let has_border = self.has_border(area);
        if self.matrix.is_some() || has_border {
            enlarge.input.resample(source, area, lanczos)?;
        }
        if let Some(matrix) = &self.matrix {
            self.take_chroma(matrix, lanczos, model);
        }
        if has_border {
            self.fade(area, lanczos, model);
        }
        let model = PlacedImage::new(model, area.x, area.y);
        self.reduce.resample(model, compared, error)?;
        subtract_from(source, compared, error);
        enlarge.input.resample(PlacedImage::new(error, compared.x, compared.y), rect, out)?;
        self.add_to(model, rect, out);
        Ok(())
    }

    /// How much of the picture at this position along an axis is that of Lanczos, because it is near the
    /// border: 0 to 1.
    #[allow(clippy::indexing_slicing, reason = "an axis is 0 or 1")]
    fn border(&self, axis: usize, at: u32) -> f32 {
        let (size, scale) = (self.size[axis], self.scale[axis]);
        let distance = at.min(size.saturating_sub(at + 1)) as f32 / scale;
        let [all, none] = BORDER;
        ((none - distance) / (none - all)).clamp(0.0, 1.0)
    }

    fn has_border(&self, area: Rect) -> bool {
        let ends = [(0, area.x, area.right()), (1, area.y, area.bottom())];
        ends.into_iter().any(|(axis, start, end)| {
            self.border(axis, start) > 0.0 || self.border(axis, end.saturating_sub(1)) > 0.0
        })
    }

    /// Fades `model`, of the pixels `area`, to `lanczos` at the border of the picture, as far as the share
    /// says.
    fn fade(&self, area: Rect, lanczos: &Image, model: &mut Image) {
        let columns: Vec<f32> = (area.x..area.right()).map(|x| self.border(0, x)).collect();
        for y in 0..area.height {
            let row = self.border(1, area.y + y);
            for channel in 0..model.channels() {
                let lanczos = lanczos.row(channel, y as usize);
                let model = model.row_mut(channel, y as usize).iter_mut();
                for ((model, lanczos), column) in model.zip(lanczos).zip(&columns) {
                    *model += self.share * row.max(*column) * (lanczos - *model);
                }
            }
        }
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

//! Packs float images into frames: conversion to Y′CbCr, chroma subsampling, code values.

use super::{
    Band, BypassKind, BypassPlanes, Channels, Error, Filter, FrameInfo, Image, Matrix, Operand,
    PlacedImage, Rect, Resampler,
    colour::{Codes, MatrixCoefficients},
    filter::Scratch,
    format::{Component, Family},
    samples,
};

/// Luma rows that are converted at once, so that their chroma stays in the cache.
const BAND_ROWS: u32 = 32;

/// Converts a model image and its bypass planes to frames, the inverse of
/// [`Unpacker`](super::Unpacker). Values are rounded to the nearest code and clamped to the valid
/// codes. Padding bytes (the x of RGBx) become 0xFF.
///
/// Every sample depends on its absolute position only: packing by rectangles gives the same bits
/// as packing the whole frame.
#[derive(Clone, Debug)]
pub struct Packer {
    info: FrameInfo,
    channels: Channels,
    bypass_planes: Vec<BypassPlanes>,
    /// From the pixels to the chroma grid; used to convert R′G′B′ to YUV.
    downsampler: Resampler,
}

impl Packer {
    /// Packs frames like `info` from images of `channels`.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`].
    pub fn new(info: FrameInfo, channels: Channels) -> Result<Self, Error> {
        info.check()?;
        Ok(Self {
            info,
            channels,
            bypass_planes: BypassPlanes::of(&info, channels),
            downsampler: Resampler::of_grids(&info.grid(), &info.chroma_grid(), Filter::CatmullRom),
        })
    }

    /// The bypass planes that [`pack`](Self::pack) takes, in this order.
    #[must_use]
    pub fn bypass_planes(&self) -> &[BypassPlanes] {
        &self.bypass_planes
    }

    /// The resampling from the pixels to the chroma grid that converts R′G′B′ to YUV.
    #[must_use]
    pub fn downsampler(&self) -> &Resampler {
        &self.downsampler
    }

    fn makes_chroma(&self) -> bool {
        self.info.format.layout().family == Family::Yuv && self.channels == Channels::Rgb
    }

    /// The samples of the model image that packing `rect` reads.
    #[must_use]
    pub fn needed(&self, rect: Rect) -> Rect {
        if !self.makes_chroma() {
            return rect;
        }
        self.downsampler.needed(self.info.chroma_grid().samples(rect)).union(&rect)
    }

    /// The samples of the bypass planes `index` that packing `rect` reads, on the planes' own grid;
    /// empty if there are no such planes.
    #[must_use]
    pub fn needed_bypass(&self, index: usize, rect: Rect) -> Rect {
        self.bypass_planes.get(index).map_or(Rect::default(), |it| it.grid.samples(rect))
    }

    /// The pixels of the frame that depend on the pixels `rect` of the model image.
    #[must_use]
    pub fn dependents(&self, rect: Rect) -> Rect {
        if !self.makes_chroma() {
            return rect;
        }
        self.info.chroma_grid().pixels(self.downsampler.dependents(rect)).union(&rect)
    }

    /// Writes the pixels `rect` of the frame to `band`, including chroma samples that are shared
    /// with pixels outside of `rect`. `model_image` covers [`needed`](Self::needed), and
    /// `bypass_planes` cover [`needed_bypass`](Self::needed_bypass).
    ///
    /// # Errors
    /// [`Error::NotCovered`] if an image or the band does not cover what is needed,
    /// [`Error::MissingBypassPlanes`], and [`Error::FrameMismatch`] if the band belongs to a frame
    /// of another kind than [`new`](Self::new) was given.
    pub fn pack(
        &self,
        model_image: PlacedImage<'_>,
        bypass_planes: &[PlacedImage<'_>],
        rect: Rect,
        band: &mut Band<'_>,
    ) -> Result<(), Error> {
        self.check(model_image, bypass_planes, rect, band)?;
        for (index, planes) in self.bypass_planes.iter().enumerate() {
            let (Some(&alpha), BypassKind::Alpha) = (bypass_planes.get(index), planes.kind) else {
                continue;
            };
            for y in rect.y..rect.bottom() {
                self.write(band, 3, rect.x, y, alpha.row(0, rect.x, y, rect.width));
            }
        }
        match (self.info.format.layout().family, self.channels) {
            (Family::Yuv, Channels::Luma) => {
                self.copy(model_image, 0, 0, rect, band);
                if let Some(&chroma) = bypass_planes.first() {
                    let samples = self.info.chroma_grid().samples(rect);
                    self.copy(chroma, 0, 1, samples, band);
                    self.copy(chroma, 1, 2, samples, band);
                }
            }
            (Family::Yuv, Channels::Rgb) => self.rgb_to_yuv(model_image, rect, band),
            (Family::Rgb, Channels::Rgb) => {
                self.fill(rect, band);
                for component in 0..3 {
                    self.copy(model_image, component, component, rect, band);
                }
            }
            (Family::Rgb, Channels::Luma) => {
                self.fill(rect, band);
                if let Some(&chroma) = bypass_planes.first() {
                    self.luma_to_rgb(model_image, chroma, rect, band);
                }
            }
            (Family::Gray, Channels::Luma) => self.copy(model_image, 0, 0, rect, band),
            (Family::Gray, Channels::Rgb) => {
                let matrix = MatrixCoefficients::new(self.info.colorimetry.matrix);
                self.write_luma(&matrix, model_image, rect, band);
            }
        }
        Ok(())
    }

    fn check(
        &self,
        model_image: PlacedImage<'_>,
        bypass_planes: &[PlacedImage<'_>],
        rect: Rect,
        band: &Band<'_>,
    ) -> Result<(), Error> {
        band.info.check_same_kind(&self.info)?;
        if !band.rect().contains(&rect) {
            let have = band.rect();
            return Err(Error::NotCovered { operand: Operand::Band, have, need: rect });
        }
        model_image.check(Operand::ModelImage, self.channels.count(), self.needed(rect))?;
        for (index, planes) in self.bypass_planes.iter().enumerate() {
            let need = planes.grid.samples(rect);
            let image = bypass_planes.get(index).ok_or(Error::MissingBypassPlanes { index })?;
            image.check(Operand::BypassPlanes, planes.channels(), need)?;
        }
        Ok(())
    }

    fn rgb_to_yuv(&self, rgb: PlacedImage<'_>, rect: Rect, band: &mut Band<'_>) {
        let matrix = MatrixCoefficients::new(self.info.colorimetry.matrix);
        self.write_luma(&matrix, rgb, rect, band);
        let samples = self.info.chroma_grid().samples(rect);
        let (mut chroma, mut scratch) = (Image::default(), Scratch::default());
        let mut out = vec![0.0; samples.width as usize];
        for top in (samples.y..samples.bottom()).step_by(BAND_ROWS as usize / 2) {
            let rows = (BAND_ROWS / 2).min(samples.bottom() - top);
            let needed = self.downsampler.needed(Rect::new(samples.x, top, samples.width, rows));
            chroma.resize(2, needed.width as usize, needed.height as usize);
            for y in 0..needed.height {
                let row =
                    [0, 1, 2].map(|channel| rgb.row(channel, needed.x, needed.y + y, needed.width));
                let [cb, cr] = chroma.rows_mut(y as usize);
                matrix.to_chroma(row, cb, cr);
            }
            let placed = PlacedImage::new(&chroma, needed.x, needed.y);
            for y in top..top + rows {
                for channel in 0..2 {
                    self.downsampler.row(placed, channel, samples.x, y, &mut out, &mut scratch);
                    self.write(band, 1 + channel, samples.x, y, &out);
                }
            }
        }
    }

    fn luma_to_rgb(
        &self,
        luma: PlacedImage<'_>,
        chroma: PlacedImage<'_>,
        rect: Rect,
        band: &mut Band<'_>,
    ) {
        let bt601 = MatrixCoefficients::new(Matrix::Bt601);
        let mut rows = Image::new(3, rect.width as usize, 1);
        for y in rect.y..rect.bottom() {
            let [r, g, b] = rows.rows_mut(0);
            r.copy_from_slice(luma.row(0, rect.x, y, rect.width));
            g.copy_from_slice(chroma.row(0, rect.x, y, rect.width));
            b.copy_from_slice(chroma.row(1, rect.x, y, rect.width));
            bt601.to_rgb(r, g, b);
            for component in 0..3 {
                self.write(band, component, rect.x, y, rows.row(component, 0));
            }
        }
    }

    fn write_luma(
        &self,
        matrix: &MatrixCoefficients,
        rgb: PlacedImage<'_>,
        rect: Rect,
        band: &mut Band<'_>,
    ) {
        let mut luma = vec![0.0; rect.width as usize];
        for y in rect.y..rect.bottom() {
            let [r, g, b] = [0, 1, 2].map(|channel| rgb.row(channel, rect.x, y, rect.width));
            matrix.to_luma(r, g, b, &mut luma);
            self.write(band, 0, rect.x, y, &luma);
        }
    }

    /// Sets the pixels `rect` to 0xFF if the format has padding bytes.
    fn fill(&self, rect: Rect, band: &mut Band<'_>) {
        let layout = self.info.format.layout();
        if let [component @ Component { step: 4, .. }, _, _] = layout.components {
            for y in rect.y..rect.bottom() {
                let row = band.row_mut(component.plane, y as usize);
                samples::fill(layout, *component, row, rect.x as usize, rect.width as usize);
            }
        }
    }

    /// Writes the samples `rect` of a channel, on the component's grid, as a component.
    fn copy(
        &self,
        from: PlacedImage<'_>,
        channel: usize,
        component: usize,
        rect: Rect,
        band: &mut Band<'_>,
    ) {
        for y in rect.y..rect.bottom() {
            self.write(band, component, rect.x, y, from.row(channel, rect.x, y, rect.width));
        }
    }

    /// Writes samples of a component from (`x`, `y`) of its grid on.
    fn write(&self, band: &mut Band<'_>, component: usize, x: u32, y: u32, values: &[f32]) {
        let layout = self.info.format.layout();
        let codes = Codes::of(&self.info, component);
        if let Some(&place) = layout.components.get(component) {
            let row = band.row_mut(place.plane, y as usize);
            samples::write(layout, place, codes, values, row, x as usize);
        }
    }
}

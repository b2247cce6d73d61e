//! Float pictures to frames.

use super::{
    Band, Channels, Companion, CompanionKind, Error, FrameInfo, Image, Kernel, Matrix, Part, Rect,
    Resampler,
    colour::{Codes, Coefficients},
    filter::Scratch,
    format::Family,
    samples,
};

/// Luma rows that are worked on at once, so that their chroma stays in the cache.
const BAND: u32 = 32;

/// Turns finished pictures and the enlarged companions beside them into frames: the way back
/// from [`Unpacker`](super::Unpacker). Values are rounded to the nearest code and clamped to
/// those that there are; padding (the x of RGBx) is 0xFF.
///
/// Every sample is a function of its absolute position: packing by rectangles gives the same
/// frame, to the bit, as packing it whole.
#[derive(Clone, Debug)]
pub struct Packer {
    info: FrameInfo,
    channels: Channels,
    companions: Vec<Companion>,
    /// Pixels to the chroma grid; of use for R′G′B′ to YUV alone.
    downsampler: Resampler,
}

impl Packer {
    /// For frames like `info`, from pictures of these channels.
    ///
    /// # Errors
    /// [`Error::Size`] for a size that cannot be handled.
    pub fn new(info: FrameInfo, channels: Channels) -> Result<Self, Error> {
        info.check()?;
        Ok(Self {
            info,
            channels,
            companions: Companion::of(&info, channels),
            downsampler: Resampler::of_grids(&info.grid(), &info.chroma_grid(), Kernel::CatmullRom),
        })
    }

    /// The pictures that [`pack`](Self::pack) wants beside the main one, in this order.
    pub fn companions(&self) -> &[Companion] {
        &self.companions
    }

    /// Pixels to the chroma grid: what R′G′B′ to YUV makes chroma by.
    pub fn downsampler(&self) -> &Resampler {
        &self.downsampler
    }

    fn makes_chroma(&self) -> bool {
        self.info.format.layout().family == Family::Yuv && self.channels == Channels::Rgb
    }

    /// The part of the main picture that packing `rect` reads.
    pub fn needed(&self, rect: Rect) -> Rect {
        if !self.makes_chroma() {
            return rect;
        }
        self.downsampler.needed(self.info.chroma_grid().samples(rect)).union(&rect)
    }

    /// The part of companion `index` that packing `rect` reads, on the companion's own grid;
    /// empty where there is none.
    pub fn needed_companion(&self, index: usize, rect: Rect) -> Rect {
        self.companions.get(index).map_or(Rect::default(), |it| it.grid.samples(rect))
    }

    /// The pixels of the frame that change where pixels `rect` of the main picture do.
    pub fn dependents(&self, rect: Rect) -> Rect {
        if !self.makes_chroma() {
            return rect;
        }
        self.info.chroma_grid().pixels(self.downsampler.dependents(rect)).union(&rect)
    }

    /// Writes the pixels `rect` of the frame into `band`, from a main picture that covers
    /// [`needed`](Self::needed) and companions that cover what
    /// [`needed_companion`](Self::needed_companion) says. Chroma samples that `rect` shares with
    /// pixels outside of it are written too.
    ///
    /// # Errors
    /// [`Error::Uncovered`] where a picture or the band does not cover what it should,
    /// [`Error::OtherFrame`] where the band is not of a frame as described to [`new`](Self::new).
    pub fn pack(
        &self,
        main: Part<'_>,
        companions: &[Part<'_>],
        rect: Rect,
        band: &mut Band<'_>,
    ) -> Result<(), Error> {
        self.check(main, companions, rect, band)?;
        let main_channels = self.channels;
        for (index, companion) in self.companions.iter().enumerate() {
            let (Some(&part), CompanionKind::Alpha) = (companions.get(index), companion.kind)
            else {
                continue;
            };
            for y in rect.y..rect.bottom() {
                self.write(band, 3, rect.x, y, part.row(0, rect.x, y, rect.width));
            }
        }
        match (self.info.format.layout().family, main_channels) {
            (Family::Yuv, Channels::Luma) => {
                self.copy(main, 0, 0, rect, band);
                if let Some(&chroma) = companions.first() {
                    let samples = self.info.chroma_grid().samples(rect);
                    self.copy(chroma, 0, 1, samples, band);
                    self.copy(chroma, 1, 2, samples, band);
                }
            }
            (Family::Yuv, Channels::Rgb) => self.rgb_to_yuv(main, rect, band),
            (Family::Rgb, Channels::Rgb) => {
                self.fill(rect, band);
                for component in 0..3 {
                    self.copy(main, component, component, rect, band);
                }
            }
            (Family::Rgb, Channels::Luma) => {
                self.fill(rect, band);
                if let Some(&chroma) = companions.first() {
                    self.luma_to_rgb(main, chroma, rect, band);
                }
            }
            (Family::Gray, Channels::Luma) => self.copy(main, 0, 0, rect, band),
            (Family::Gray, Channels::Rgb) => {
                let matrix = Coefficients::new(self.info.colorimetry.matrix);
                self.write_luma(&matrix, main, rect, band);
            }
        }
        Ok(())
    }

    fn check(
        &self,
        main: Part<'_>,
        companions: &[Part<'_>],
        rect: Rect,
        band: &Band<'_>,
    ) -> Result<(), Error> {
        let (have, need) = (band.info, self.info);
        if (have.format, have.width, have.height) != (need.format, need.width, need.height) {
            return Err(Error::OtherFrame { have: Box::new(have), need: Box::new(need) });
        }
        if !band.rect().contains(&rect) {
            return Err(Error::Uncovered { what: "band", have: band.rect(), need: rect });
        }
        main.check("main picture", self.channels.count(), self.needed(rect))?;
        for (index, companion) in self.companions.iter().enumerate() {
            let need = companion.grid.samples(rect);
            let part = companions.get(index).ok_or(Error::NoCompanion { index })?;
            part.check("companion", companion.channels(), need)?;
        }
        Ok(())
    }

    fn rgb_to_yuv(&self, main: Part<'_>, rect: Rect, band: &mut Band<'_>) {
        let matrix = Coefficients::new(self.info.colorimetry.matrix);
        self.write_luma(&matrix, main, rect, band);
        let samples = self.info.chroma_grid().samples(rect);
        let (mut full, mut scratch) = (Image::default(), Scratch::default());
        let mut out = vec![0.0; samples.width as usize];
        for top in (samples.y..samples.bottom()).step_by(BAND as usize / 2) {
            let rows = (BAND / 2).min(samples.bottom() - top);
            let needed = self.downsampler.needed(Rect::new(samples.x, top, samples.width, rows));
            full.resize(2, needed.width as usize, needed.height as usize);
            for y in 0..needed.height {
                let rgb = [0, 1, 2]
                    .map(|channel| main.row(channel, needed.x, needed.y + y, needed.width));
                let [cb, cr] = full.rows_mut(y as usize);
                matrix.to_chroma(rgb, cb, cr);
            }
            let full = Part::new(&full, needed.x, needed.y);
            for y in top..top + rows {
                for channel in 0..2 {
                    self.downsampler.row(full, channel, samples.x, y, &mut out, &mut scratch);
                    self.write(band, 1 + channel, samples.x, y, &out);
                }
            }
        }
    }

    fn luma_to_rgb(&self, luma: Part<'_>, chroma: Part<'_>, rect: Rect, band: &mut Band<'_>) {
        let bt601 = Coefficients::new(Matrix::Bt601);
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

    fn write_luma(&self, matrix: &Coefficients, main: Part<'_>, rect: Rect, band: &mut Band<'_>) {
        let mut luma = vec![0.0; rect.width as usize];
        for y in rect.y..rect.bottom() {
            let [r, g, b] = [0, 1, 2].map(|channel| main.row(channel, rect.x, y, rect.width));
            matrix.to_luma(r, g, b, &mut luma);
            self.write(band, 0, rect.x, y, &luma);
        }
    }

    /// Sets the padding of RGBx and its kin.
    fn fill(&self, rect: Rect, band: &mut Band<'_>) {
        let layout = self.info.format.layout();
        if let [component @ super::format::Component { step: 4, .. }, _, _] = layout.components {
            for y in rect.y..rect.bottom() {
                let row = band.row_mut(component.plane, y as usize);
                samples::fill(layout, *component, row, rect.x as usize, rect.width as usize);
            }
        }
    }

    /// A channel's samples `rect` (on the component's grid) as a component.
    fn copy(
        &self,
        from: Part<'_>,
        channel: usize,
        component: usize,
        rect: Rect,
        band: &mut Band<'_>,
    ) {
        for y in rect.y..rect.bottom() {
            self.write(band, component, rect.x, y, from.row(channel, rect.x, y, rect.width));
        }
    }

    /// Samples of a component from (`x`, `y`) of its grid on.
    fn write(&self, band: &mut Band<'_>, component: usize, x: u32, y: u32, values: &[f32]) {
        let layout = self.info.format.layout();
        let codes = Codes::of(&self.info, component);
        if let Some(&place) = layout.components.get(component) {
            let row = band.row_mut(place.plane, y as usize);
            samples::write(layout, place, codes, values, row, x as usize);
        }
    }
}

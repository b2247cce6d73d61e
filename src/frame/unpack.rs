//! Frames to float pictures.

use super::{
    Channels, Companion, CompanionKind, Error, FrameInfo, FrameRef, Image, Kernel, Matrix, Part,
    Rect, Resampler,
    colour::{Codes, Coefficients},
    filter::Scratch,
    format::Family,
    samples,
};

/// Rows that are worked on at once, so that their chroma stays in the cache.
const BAND: u32 = 32;

/// Turns frames of one description into planar R′G′B′ or Y′ and the companions beside it.
///
/// Every sample is a function of its absolute position: a rectangle holds the same, to the bit,
/// as that place of the whole frame.
#[derive(Clone, Debug)]
pub struct Unpacker {
    info: FrameInfo,
    channels: Channels,
    companions: Vec<Companion>,
    /// Chroma to luma's grid; of use for YUV to R′G′B′ alone.
    upsampler: Resampler,
}

impl Unpacker {
    /// For frames like `info`, into pictures of these channels.
    ///
    /// # Errors
    /// [`Error::Size`] for a size that cannot be handled.
    pub fn new(info: FrameInfo, channels: Channels) -> Result<Self, Error> {
        info.check()?;
        Ok(Self {
            info,
            channels,
            companions: Companion::of(&info, channels),
            upsampler: Resampler::of_grids(&info.chroma_grid(), &info.grid(), Kernel::CatmullRom),
        })
    }

    /// Those of the main picture.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// Whether the main picture depends on this component of the format; companions alone
    /// depend on the others.
    pub fn reads(&self, component: usize) -> bool {
        match (self.info.format.layout().family, self.channels) {
            (Family::Rgb, _) | (Family::Yuv, Channels::Rgb) => component < 3,
            _ => component == 0,
        }
    }

    /// The planes that do not go through the model.
    pub fn companions(&self) -> &[Companion] {
        &self.companions
    }

    /// How many pixels around a rectangle its main picture depends on (by shared and
    /// interpolated chroma).
    pub fn reads_beyond(&self) -> u32 {
        // Two chroma samples to each side, two pixels each; where one lies on the pixel itself,
        // the others weigh nothing.
        if self.upsampler.is_identity() || !self.interpolates() { 0 } else { 4 }
    }

    /// Chroma to luma's grid: what YUV to R′G′B′ interpolates by.
    pub fn upsampler(&self) -> &Resampler {
        &self.upsampler
    }

    fn interpolates(&self) -> bool {
        self.info.format.layout().family == Family::Yuv && self.channels == Channels::Rgb
    }

    fn check(&self, frame: &FrameRef<'_>, rect: Rect, whole: Rect) -> Result<(), Error> {
        frame.check()?;
        let (have, need) = (frame.info, self.info);
        if (have.format, have.width, have.height) != (need.format, need.width, need.height) {
            return Err(Error::OtherFrame { have: Box::new(have), need: Box::new(need) });
        }
        if whole.contains(&rect) {
            return Ok(());
        }
        Err(Error::Uncovered { what: "frame", have: whole, need: rect })
    }

    /// Writes the pixels of `rect` into `out`, which gets their size and the channels.
    ///
    /// # Errors
    /// Where `frame` is not as described to [`new`](Self::new), or `rect` reaches beyond it.
    pub fn unpack(&self, frame: &FrameRef<'_>, rect: Rect, out: &mut Image) -> Result<(), Error> {
        self.check(frame, rect, self.info.grid().rect())?;
        let (width, height) = (rect.width as usize, rect.height as usize);
        out.resize(self.channels.count(), width, height);
        match (self.info.format.layout().family, self.channels) {
            (Family::Yuv, Channels::Rgb) => self.yuv_to_rgb(frame, rect, out)?,
            (Family::Rgb, Channels::Luma) => {
                let bt601 = Coefficients::new(Matrix::Bt601);
                let mut rgb = Image::new(3, width, 1);
                for y in 0..height {
                    for component in 0..3 {
                        self.read(frame, component, rect, y, rgb.row_mut(component, 0));
                    }
                    let [r, g, b] = [0, 1, 2].map(|component| rgb.row(component, 0));
                    bt601.to_luma(r, g, b, out.row_mut(0, y));
                }
            }
            (Family::Rgb, Channels::Rgb) => {
                for component in 0..3 {
                    for y in 0..height {
                        self.read(frame, component, rect, y, out.row_mut(component, y));
                    }
                }
            }
            (_, Channels::Luma) | (Family::Gray, Channels::Rgb) => {
                for channel in 0..self.channels.count() {
                    for y in 0..height {
                        self.read(frame, 0, rect, y, out.row_mut(channel, y));
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the samples `rect` (on the companion's own grid) of companion `index` into `out`,
    /// which gets their size and the companion's channels.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack), and for an `index` that there is not.
    pub fn unpack_companion(
        &self,
        index: usize,
        frame: &FrameRef<'_>,
        rect: Rect,
        out: &mut Image,
    ) -> Result<(), Error> {
        let companion = self.companions.get(index).ok_or(Error::NoCompanion { index })?;
        self.check(frame, rect, companion.grid.rect())?;
        let (width, height) = (rect.width as usize, rect.height as usize);
        out.resize(companion.channels(), width, height);
        match (companion.kind, self.info.format.layout().family) {
            (CompanionKind::Chroma, Family::Rgb) => {
                let bt601 = Coefficients::new(Matrix::Bt601);
                let mut rgb = Image::new(3, width, 1);
                for y in 0..height {
                    for component in 0..3 {
                        self.read(frame, component, rect, y, rgb.row_mut(component, 0));
                    }
                    let rgb = [0, 1, 2].map(|component| rgb.row(component, 0));
                    let [cb, cr] = out.rows_mut(y);
                    bt601.to_chroma(rgb, cb, cr);
                }
            }
            (CompanionKind::Chroma, _) => self.read_chroma(frame, rect, out),
            (CompanionKind::Alpha, _) => {
                for y in 0..height {
                    self.read(frame, 3, rect, y, out.row_mut(0, y));
                }
            }
        }
        Ok(())
    }

    fn yuv_to_rgb(&self, frame: &FrameRef<'_>, rect: Rect, out: &mut Image) -> Result<(), Error> {
        let matrix = Coefficients::new(self.info.colorimetry.matrix);
        let (mut chroma, mut scratch) = (Image::default(), Scratch::default());
        for top in (0..rect.height).step_by(BAND as usize) {
            let rows = BAND.min(rect.height - top);
            let band = Rect::new(rect.x, rect.y + top, rect.width, rows);
            let needed = self.upsampler.needed(band);
            chroma.resize(2, needed.width as usize, needed.height as usize);
            self.read_chroma(frame, needed, &mut chroma);
            let chroma = Part::new(&chroma, needed.x, needed.y);
            for y in 0..rows {
                let [luma, cb, cr] = out.rows_mut((top + y) as usize);
                self.read(frame, 0, band, y as usize, luma);
                self.upsampler.row(chroma, 0, band.x, band.y + y, cb, &mut scratch);
                self.upsampler.row(chroma, 1, band.x, band.y + y, cr, &mut scratch);
                matrix.to_rgb(luma, cb, cr);
            }
        }
        Ok(())
    }

    /// Chroma samples `rect` into the two channels of `out`, which has their size.
    fn read_chroma(&self, frame: &FrameRef<'_>, rect: Rect, out: &mut Image) {
        for y in 0..rect.height as usize {
            for channel in 0..2 {
                self.read(frame, 1 + channel, rect, y, out.row_mut(channel, y));
            }
        }
    }

    /// Row `y` of the samples `rect` of a component, in the component's own grid.
    fn read(&self, frame: &FrameRef<'_>, component: usize, rect: Rect, y: usize, out: &mut [f32]) {
        let layout = self.info.format.layout();
        let codes = Codes::of(&self.info, component);
        if let Some(&place) = layout.components.get(component) {
            let row = frame.row(place.plane, rect.y as usize + y);
            samples::read(layout, place, codes, row, rect.x as usize, out);
        }
    }
}

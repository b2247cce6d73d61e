//! Unpacks frames to float images; chroma is interpolated to the pixels according to its site.

use super::{
    BypassKind, BypassPlanes, Channels, Error, Filter, FrameInfo, FrameRef, Image, Matrix, Operand,
    PlacedImage, Rect, Resampler,
    colour::{Codes, MatrixCoefficients},
    filter::Scratch,
    format::Family,
    samples,
};

/// Luma rows that are converted at once, so that their chroma stays in the cache.
const BAND_ROWS: u32 = 32;

/// Converts frames to the image that the model processes, planar R′G′B′ or Y′, and to the bypass
/// planes.
///
/// Every sample depends on its absolute position only: unpacking by rectangles gives the same bits
/// as unpacking the whole frame.
#[derive(Clone, Debug)]
pub struct Unpacker {
    info: FrameInfo,
    channels: Channels,
    bypass_planes: Vec<BypassPlanes>,
    /// From the chroma grid to the pixels; used to convert YUV to R′G′B′.
    upsampler: Resampler,
}

impl Unpacker {
    /// Unpacks frames like `info` to images of `channels`.
    ///
    /// # Errors
    /// [`Error::UnsupportedSize`].
    pub fn new(info: FrameInfo, channels: Channels) -> Result<Self, Error> {
        info.check()?;
        Ok(Self {
            info,
            channels,
            bypass_planes: BypassPlanes::of(&info, channels),
            upsampler: Resampler::of_grids(&info.chroma_grid(), &info.grid(), Filter::CatmullRom),
        })
    }

    /// The frames that are unpacked.
    #[must_use]
    pub fn info(&self) -> &FrameInfo {
        &self.info
    }

    /// The channels of the model image.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// Whether the model image depends on this component of the format. The bypass planes depend
    /// on the other components.
    #[must_use]
    pub fn reads(&self, component: usize) -> bool {
        match (self.info.format.layout().family, self.channels) {
            (Family::Rgb, _) | (Family::Yuv, Channels::Rgb) => component < 3,
            _ => component == 0,
        }
    }

    /// The planes that bypass the model.
    #[must_use]
    pub fn bypass_planes(&self) -> &[BypassPlanes] {
        &self.bypass_planes
    }

    /// The distance in pixels up to which the model image of a rectangle depends on pixels around
    /// it, because chroma is shared and interpolated.
    #[must_use]
    pub fn reads_beyond(&self) -> u32 {
        // The filter reads two chroma samples on each side, of two pixels each. If a chroma sample
        // lies on the pixel itself, the others have weight 0.
        if self.upsampler.is_identity() || !self.interpolates() { 0 } else { 4 }
    }

    /// The resampling from the chroma grid to the pixels that converts YUV to R′G′B′.
    #[must_use]
    pub fn upsampler(&self) -> &Resampler {
        &self.upsampler
    }

    fn interpolates(&self) -> bool {
        self.info.format.layout().family == Family::Yuv && self.channels == Channels::Rgb
    }

    fn check(&self, frame: &FrameRef<'_>, rect: Rect, whole: Rect) -> Result<(), Error> {
        frame.check()?;
        frame.info.check_same_kind(&self.info)?;
        if whole.contains(&rect) {
            return Ok(());
        }
        Err(Error::NotCovered { operand: Operand::Frame, have: whole, need: rect })
    }

    /// Writes the model image of the pixels `rect` to `out`, which is resized to them.
    ///
    /// # Errors
    /// [`Error::FrameMismatch`] if `frame` is of another kind than [`new`](Self::new) was given,
    /// [`Error::ShortPlane`], and [`Error::NotCovered`] if `rect` lies partly outside of it.
    pub fn unpack(&self, frame: &FrameRef<'_>, rect: Rect, out: &mut Image) -> Result<(), Error> {
        self.check(frame, rect, self.info.grid().rect())?;
        let (width, height) = (rect.width as usize, rect.height as usize);
        out.resize(self.channels.count(), width, height);
        match (self.info.format.layout().family, self.channels) {
            (Family::Yuv, Channels::Rgb) => self.yuv_to_rgb(frame, rect, out)?,
            (Family::Rgb, Channels::Luma) => {
                let bt601 = MatrixCoefficients::new(Matrix::Bt601);
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

    /// Writes the samples `rect`, on the planes' own grid, of the bypass planes `index` to `out`,
    /// which is resized to them.
    ///
    /// # Errors
    /// As [`unpack`](Self::unpack), and [`Error::MissingBypassPlanes`].
    pub fn unpack_bypass(
        &self,
        index: usize,
        frame: &FrameRef<'_>,
        rect: Rect,
        out: &mut Image,
    ) -> Result<(), Error> {
        let planes = self.bypass_planes.get(index).ok_or(Error::MissingBypassPlanes { index })?;
        self.check(frame, rect, planes.grid.rect())?;
        let (width, height) = (rect.width as usize, rect.height as usize);
        out.resize(planes.channels(), width, height);
        match (planes.kind, self.info.format.layout().family) {
            (BypassKind::Chroma, Family::Rgb) => {
                let bt601 = MatrixCoefficients::new(Matrix::Bt601);
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
            (BypassKind::Chroma, _) => self.read_chroma(frame, rect, out),
            (BypassKind::Alpha, _) => {
                for y in 0..height {
                    self.read(frame, 3, rect, y, out.row_mut(0, y));
                }
            }
        }
        Ok(())
    }

    fn yuv_to_rgb(&self, frame: &FrameRef<'_>, rect: Rect, out: &mut Image) -> Result<(), Error> {
        let matrix = MatrixCoefficients::new(self.info.colorimetry.matrix);
        let (mut chroma, mut scratch) = (Image::default(), Scratch::default());
        for top in (0..rect.height).step_by(BAND_ROWS as usize) {
            let rows = BAND_ROWS.min(rect.height - top);
            let band = Rect::new(rect.x, rect.y + top, rect.width, rows);
            let needed = self.upsampler.needed(band);
            chroma.resize(2, needed.width as usize, needed.height as usize);
            self.read_chroma(frame, needed, &mut chroma);
            let chroma = PlacedImage::new(&chroma, needed.x, needed.y);
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

    /// Reads the chroma samples `rect` into the two channels of `out`, which has their size.
    fn read_chroma(&self, frame: &FrameRef<'_>, rect: Rect, out: &mut Image) {
        for y in 0..rect.height as usize {
            for channel in 0..2 {
                self.read(frame, 1 + channel, rect, y, out.row_mut(channel, y));
            }
        }
    }

    /// Reads row `y` of the samples `rect` of a component, on the component's own grid.
    fn read(&self, frame: &FrameRef<'_>, component: usize, rect: Rect, y: usize, out: &mut [f32]) {
        let layout = self.info.format.layout();
        let codes = Codes::of(&self.info, component);
        if let Some(&place) = layout.components.get(component) {
            let row = frame.row(place.plane, rect.y as usize + y);
            samples::read(layout, place, codes, row, rect.x as usize, out);
        }
    }
}

//! Pictures made of the fields of decoded frames.

use gst::glib;
use gst_video::{VideoFormatInfo, VideoFrameExt as _, VideoFrameRef, VideoInfo};

use super::{
    deinterlace::{Plane, Sample, Scratch, Window},
    evidence::Luma,
    schedule::Source,
};

/// Formats whose samples are bytes or 16-bit words, least significant byte first.
pub const FORMATS: &str = "I420, YV12, Y42B, Y41B, YUV9, YVU9, Y444, NV12, NV21, NV16, NV61, NV24, \
     YUY2, YVYU, UYVY, VYUY, AYUV, A420, GRAY8, RGB, BGR, RGBx, BGRx, xRGB, xBGR, RGBA, BGRA, ARGB, \
     ABGR, GBR, GBRA, I420_10LE, I422_10LE, Y444_10LE, A420_10LE, A422_10LE, A444_10LE, GBR_10LE, \
     GBRA_10LE, I420_12LE, I422_12LE, Y444_12LE, GBR_12LE, GBRA_12LE, GRAY16_LE, P010_10LE, \
     P012_LE, P016_LE, Y444_16LE, ARGB64, AYUV64";

type Readable<'a> = VideoFrameRef<&'a gst::BufferRef>;

impl Luma {
    /// The first component of a frame at 8 bits.
    pub fn of(frame: &Readable<'_>) -> Self {
        let info = frame.format_info();
        let first = |values: &[i32]| {
            values.first().map_or(0, |&it| usize::try_from(it).unwrap_or_default())
        };
        let (pixel, offset) = (
            first(info.pixel_stride()).max(1),
            info.poffset().first().map_or(0, |&it| it as usize),
        );
        let depth = info.depth().first().copied().unwrap_or(8);
        let shift = info.shift().first().copied().unwrap_or(0);
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let stride = first(frame.plane_stride()).max(1);
        let data = frame.plane_data(info.plane().first().copied().unwrap_or(0)).unwrap_or_default();
        let mut samples = Vec::with_capacity(width * height);
        for row in data.chunks(stride).take(height) {
            let row = row.get(offset..).unwrap_or_default();
            let before = samples.len();
            match (depth, pixel) {
                (..=8, 1) => samples.extend(row.iter().take(width)),
                (..=8, _) => samples.extend(row.iter().step_by(pixel).take(width)),
                _ => samples.extend(row.chunks(pixel).take(width).map(|bytes| {
                    let word = bytes.first_chunk::<2>().map_or(0, |it| u16::from_le_bytes(*it));
                    (word >> shift >> (depth - 8)).min(255) as u8
                })),
            }
            samples.resize(before + width, 0);
        }
        Self { width, samples }
    }
}

/// A decoded frame with those before and after it. At the ends of the film there is none.
#[derive(Clone, Copy, Debug)]
pub struct Frames<'a> {
    pub before: Option<&'a gst::Buffer>,
    pub now: &'a gst::Buffer,
    pub after: Option<&'a gst::Buffer>,
    pub info: &'a VideoInfo,
}

impl Frames<'_> {
    /// Makes a picture.
    ///
    /// # Errors
    /// A buffer cannot be mapped or copied.
    pub fn make(&self, source: Source) -> Result<gst::Buffer, glib::BoolError> {
        match source {
            Source::Frame => Ok(self.now.clone()),
            Source::BottomBefore => self.weave(1),
            Source::TopBefore => self.weave(0),
            Source::Top { is_first } => self.deinterlace(1, is_first),
            Source::Bottom { is_first } => self.deinterlace(0, is_first),
        }
    }

    /// The present frame with the rows of `parity` (0: top field) of the frame before.
    fn weave(&self, parity: usize) -> Result<gst::Buffer, glib::BoolError> {
        let before = self.map(self.before.unwrap_or(self.now))?;
        self.change(|plane, layout, to| {
            let from = before.plane_data(plane).unwrap_or_default();
            let rows = to.chunks_mut(layout.stride).zip(from.chunks(layout.stride));
            for (to, from) in rows.take(layout.height).skip(parity).step_by(2) {
                let bytes = layout.bytes.min(to.len()).min(from.len());
                if let (Some(to), Some(from)) = (to.get_mut(..bytes), from.get(..bytes)) {
                    to.copy_from_slice(from);
                }
            }
            Ok(())
        })
    }

    /// The present frame with predicted rows of `parity`.
    fn deinterlace(&self, parity: usize, is_first: bool) -> Result<gst::Buffer, glib::BoolError> {
        let now = self.map(self.now)?;
        let before = self.map(self.before.unwrap_or(self.now))?;
        let after = self.map(self.after.unwrap_or(self.now))?;
        let format = self.info.format_info();
        let depth = format.depth().first().copied().unwrap_or(8);
        let shift = format.shift().first().copied().unwrap_or(0);
        let max = ((1_i32 << depth.min(16)) - 1) << shift.min(8);
        let mut scratch = Scratch::default();
        self.change(|plane, layout, to| {
            let [before, now, after] =
                [&before, &now, &after].map(|frame| frame.plane_data(plane).unwrap_or_default());
            let fields = Fields { layout, parity, is_first, max };
            if depth <= 8 {
                fields.predict([before, now, after], to, &mut scratch);
            } else {
                let cast = bytemuck::try_cast_slice::<u8, u16>;
                let unaligned = |_| glib::bool_error!("a plane is not aligned to its samples");
                let planes = [
                    cast(even(before)).map_err(unaligned)?,
                    cast(even(now)).map_err(unaligned)?,
                    cast(even(after)).map_err(unaligned)?,
                ];
                let bytes = to.len() & !1;
                let to = to.get_mut(..bytes).unwrap_or_default();
                let to = bytemuck::try_cast_slice_mut::<u8, u16>(to).map_err(unaligned)?;
                let layout = layout.in_words();
                Fields { layout, ..fields }.predict(planes, to, &mut scratch);
            }
            Ok(())
        })
    }

    /// A copy of the present frame whose planes `edit` changes.
    fn change(
        &self,
        mut edit: impl FnMut(u32, Layout, &mut [u8]) -> Result<(), glib::BoolError>,
    ) -> Result<gst::Buffer, glib::BoolError> {
        let mut copy = self.now.copy_deep()?;
        let writable = copy.get_mut().ok_or_else(|| glib::bool_error!("a copy is shared"))?;
        let mut frame = VideoFrameRef::from_buffer_ref_writable(writable, self.info)?;
        for plane in 0..frame.n_planes() {
            let stride = frame.plane_stride().get(plane as usize).copied().unwrap_or_default();
            let stride = usize::try_from(stride).unwrap_or_default().max(1);
            let bytes = row_bytes(&frame.format_info(), plane, frame.width()).unwrap_or(stride);
            let height = frame.plane_height(plane) as usize;
            let layout = Layout { stride, bytes: bytes.min(stride), height };
            edit(plane, layout, frame.plane_data_mut(plane)?)?;
        }
        drop(frame);
        Ok(copy)
    }

    fn map<'a>(&self, buffer: &'a gst::Buffer) -> Result<Readable<'a>, glib::BoolError> {
        VideoFrameRef::from_buffer_ref_readable(buffer, self.info)
    }
}

/// The layout of a plane in bytes, or in 16-bit words.
#[derive(Clone, Copy, Debug)]
struct Layout {
    stride: usize,
    /// Visible part of a row.
    bytes: usize,
    height: usize,
}

impl Layout {
    fn in_words(self) -> Self {
        Self { stride: self.stride / 2, bytes: self.bytes / 2, height: self.height }
    }
}

/// Which rows of a plane are predicted.
#[derive(Clone, Copy, Debug)]
struct Fields {
    layout: Layout,
    parity: usize,
    is_first: bool,
    max: i32,
}

impl Fields {
    fn predict<S: Sample>(&self, planes: [&[S]; 3], to: &mut [S], scratch: &mut Scratch) {
        let Layout { stride, bytes: width, height } = self.layout;
        let [before, now, after] = planes.map(|samples| Plane { samples, stride, width, height });
        let window = Window { before, now, after, is_first: self.is_first, max: self.max };
        let rows = to.chunks_mut(stride.max(1)).take(height).enumerate();
        for (y, row) in rows.skip(self.parity).step_by(2) {
            let width = width.min(row.len());
            window.predict(y, scratch, row.get_mut(..width).unwrap_or_default());
        }
    }
}

fn even(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len() & !1).unwrap_or_default()
}

/// Visible bytes of a row. `None` for formats that pack several pixels into a word.
pub fn row_bytes(info: &VideoFormatInfo, plane: u32, width: u32) -> Option<usize> {
    let component = info.plane().iter().position(|&it| it == plane)?;
    let pixel = usize::try_from(*info.pixel_stride().get(component)?).ok().filter(|&it| it > 0)?;
    let shift = *info.w_sub().get(component)?;
    Some((width as usize).div_ceil(1 << shift) * pixel)
}

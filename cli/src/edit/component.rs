//! The samples of one component of a frame, in any format of 8 to 16 bits.

use std::ops::Range;

use gst_video::{VideoColorRange, VideoFrameRef, VideoInfo};

/// A frame that can be changed.
pub type Frame<'a> = VideoFrameRef<&'a mut gst::BufferRef>;

/// Where the samples of a component are, and what their codes mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    plane: u32,
    /// Of the first sample in the plane, in bytes.
    offset: usize,
    pub width: usize,
    pub height: usize,
    stride: usize,
    /// Bytes from one sample to the next one.
    pixel: usize,
    shift: u32,
    depth: u32,
    /// The code of 0: black, or no colour.
    pub zero: i32,
    /// The difference in code between 0 and 1.
    pub scale: i32,
}

impl Component {
    /// The components of frames like `info` without alpha: Y′, or Y′ Cb Cr, or R′ G′ B′.
    pub fn all(info: &VideoInfo) -> Vec<Self> {
        let format = info.format_info();
        let range = match info.colorimetry().range() {
            VideoColorRange::Unknown if !format.is_rgb() => VideoColorRange::Range16_235,
            VideoColorRange::Unknown => VideoColorRange::Range0_255,
            known => known,
        };
        let (zeros, scales) = format.range_offsets(range);
        let count = if format.is_gray() { 1 } else { info.n_components().min(3) };
        let component = |number: u32| {
            let (small, index) = (u8::try_from(number).ok()?, usize::try_from(number).ok()?);
            let (depth, offset) = (*format.depth().get(index)?, info.comp_poffset(small) as usize);
            Some(Self {
                plane: info.comp_plane(small),
                // GStreamer 1.22 says that Cr of P010 begins at the second byte.
                offset: if depth > 8 { offset.next_multiple_of(2) } else { offset },
                width: info.comp_width(small) as usize,
                height: info.comp_height(small) as usize,
                stride: usize::try_from(info.comp_stride(small)).ok()?,
                pixel: usize::try_from(info.comp_pstride(small)).ok()?.max(1),
                shift: *format.shift().get(index)?,
                depth,
                zero: *zeros.get(index)?,
                scale: *scales.get(index)?,
            })
        };
        (0..count).filter_map(component).collect()
    }

    /// The highest code.
    pub fn max(&self) -> u16 {
        u16::try_from((1_u32 << self.depth.min(16)) - 1).unwrap_or(u16::MAX)
    }

    /// The code of a value, 0 to 1 or −0.5 to 0.5.
    pub fn code(&self, value: f32) -> f32 {
        self.zero as f32 + value * self.scale as f32
    }

    /// The nearest code that exists.
    pub fn nearest(&self, code: f32) -> u16 {
        code.round().clamp(0.0, f32::from(self.max())) as u16
    }

    /// Replaces the codes of some columns of a row.
    pub fn change(
        &self,
        frame: &mut Frame<'_>,
        row: usize,
        columns: Range<usize>,
        change: impl FnOnce(&mut [u16]),
    ) {
        // A frame that was mapped has all planes.
        let Ok(data) = frame.plane_data_mut(self.plane) else { return };
        let start = self.offset + row * self.stride + columns.start * self.pixel;
        let Some(data) = data.get_mut(start..) else { return };
        let is_wide = self.depth > 8;
        let read = |pixel: &[u8]| match *pixel {
            [low, high, ..] if is_wide => u16::from_ne_bytes([low, high]) >> self.shift,
            [sample, ..] => u16::from(sample),
            [] => 0,
        };
        let pixels = data.chunks_mut(self.pixel).take(columns.len());
        let mut codes: Vec<u16> = pixels.map(|pixel| read(pixel)).collect();
        change(&mut codes);
        for (pixel, code) in data.chunks_mut(self.pixel).zip(codes) {
            match pixel {
                [low, high, ..] if is_wide => [*low, *high] = (code << self.shift).to_ne_bytes(),
                [sample, ..] => *sample = code as u8,
                [] => {}
            }
        }
    }

    /// The codes of a row.
    pub fn row(&self, frame: &mut Frame<'_>, row: usize) -> Vec<u16> {
        let mut codes = Vec::new();
        self.change(frame, row, 0..self.width, |row| codes = row.to_vec());
        codes
    }
}

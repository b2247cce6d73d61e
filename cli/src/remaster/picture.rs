//! Hash and change of decoded pictures.

use gst_video::{VideoFrameExt as _, VideoFrameRef};
use xxhash_rust::xxh3::Xxh3;

use crate::cadence::row_bytes;

type Frame<'a> = VideoFrameRef<&'a gst::BufferRef>;

/// Hash of the visible samples of all planes, of the format and of the size. Padding does not count.
pub fn hash(frame: &Frame<'_>) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(frame.format().to_str().as_bytes());
    hash.update(&frame.width().to_le_bytes());
    hash.update(&frame.height().to_le_bytes());
    for plane in 0..frame.n_planes() {
        for row in rows(frame, plane) {
            hash.update(row);
        }
    }
    hash.digest()
}

/// The visible bytes of each row of a plane.
fn rows<'a>(frame: &'a Frame<'_>, plane: u32) -> impl Iterator<Item = &'a [u8]> {
    let info = frame.format_info();
    let stride = frame.plane_stride().get(plane as usize).copied().unwrap_or_default();
    let stride = usize::try_from(stride).unwrap_or_default();
    let bytes = row_bytes(&info, plane, frame.width()).unwrap_or(stride).min(stride);
    let data = frame.plane_data(plane).unwrap_or_default();
    let rows = frame.plane_height(plane) as usize;
    data.chunks(stride.max(1)).take(rows).map(move |row| row.get(..bytes).unwrap_or(row))
}

/// A small picture of the first component, to measure how much the picture changes.
#[derive(Debug, Default, PartialEq)]
pub struct Thumbnail(Vec<u8>);

/// Rows and columns of a [`Thumbnail`].
const GRID: usize = 48;

/// Samples of the first component by column and row, in 8-bit steps.
pub fn luma<'a>(frame: &'a Frame<'_>) -> impl Fn(usize, usize) -> u8 + 'a {
    let info = frame.format_info();
    let pixel = info.pixel_stride().first().map_or(1, |&it| usize::try_from(it).unwrap_or(1));
    let depth = info.depth().first().copied().unwrap_or(8);
    let offset = info.poffset().first().map_or(0, |&it| usize::try_from(it).unwrap_or(0));
    let shift = info.shift().first().copied().unwrap_or(0);
    let plane = info.plane().first().copied().unwrap_or(0);
    let stride = frame.plane_stride().first().map_or(0, |&it| usize::try_from(it).unwrap_or(0));
    let data = frame.plane_data(plane).unwrap_or_default();
    move |x: usize, y: usize| {
        let at = y * stride + x * pixel + offset;
        match depth {
            ..=8 => data.get(at).copied().unwrap_or_default(),
            _ => {
                let bytes = data.get(at..).and_then(|rest| rest.first_chunk::<2>());
                let word = u32::from(bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes)));
                (word >> shift >> (depth - 8)).min(255) as u8
            }
        }
    }
}

impl Thumbnail {
    pub fn of(frame: &Frame<'_>) -> Self {
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let sample = luma(frame);
        // The middle of each cell of the grid.
        let at = |cell: usize, size: usize| (2 * cell + 1) * size / (2 * GRID);
        let cells = (0..GRID).flat_map(|y| (0..GRID).map(move |x| (x, y)));
        Self(cells.map(|(x, y)| sample(at(x, width), at(y, height))).collect())
    }

    /// Mean absolute difference of neighbours, in 8-bit steps: how much there is to see.
    pub fn contrast(&self) -> f64 {
        let rows = self.0.chunks_exact(GRID);
        let along: u32 = rows.flat_map(|row| row.windows(2)).map(difference).sum();
        let down = self.0.iter().zip(self.0.iter().skip(GRID));
        let down: u32 = down.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        f64::from(along + down) / (2 * GRID * (GRID - 1)) as f64
    }

    /// Mean absolute difference from another picture, in 1/16 of an 8-bit step. 0 if there is no
    /// other.
    pub fn change(&self, before: &Self) -> u16 {
        let sum: u32 = self.0.iter().zip(&before.0).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        u16::try_from(sum * 16 / (GRID * GRID) as u32).unwrap_or(u16::MAX)
    }
}

fn difference(pair: &[u8]) -> u32 {
    match pair {
        [a, b] => u32::from(a.abs_diff(*b)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use gst_video::VideoFormat;

    use super::*;

    fn buffer(info: &gst_video::VideoInfo, value: impl Fn(usize) -> u8) -> gst::Buffer {
        let mut buffer = gst::Buffer::with_size(info.size()).unwrap();
        let mut map = buffer.get_mut().unwrap().map_writable().unwrap();
        for (at, byte) in map.iter_mut().enumerate() {
            *byte = value(at);
        }
        drop(map);
        buffer
    }

    fn info(format: VideoFormat, width: u32) -> gst_video::VideoInfo {
        gst::init().unwrap();
        gst_video::VideoInfo::builder(format, width, 6).build().unwrap()
    }

    fn hash_of(info: &gst_video::VideoInfo, value: impl Fn(usize) -> u8) -> u64 {
        let buffer = buffer(info, value);
        hash(&VideoFrameRef::from_buffer_ref_readable(&buffer, info).unwrap())
    }

    #[test]
    fn the_hash_depends_on_every_sample_and_not_on_padding() {
        for format in
            [VideoFormat::I420, VideoFormat::Nv12, VideoFormat::Rgb, VideoFormat::P01010le]
        {
            let info = info(format, 5);
            let plain = hash_of(&info, |_| 7);
            let strides: Vec<_> = info.stride().iter().map(|&it| it as usize).collect();
            let first_row_bytes = row_bytes(&info.format_info(), 0, 5).unwrap();
            for at in [0, first_row_bytes - 1, info.offset()[info.n_planes() as usize - 1]] {
                assert_ne!(hash_of(&info, |it| if it == at { 8 } else { 7 }), plain, "{format}");
            }
            assert!(first_row_bytes < strides[0], "{format} has no padding");
            let padding = strides[0] - 1;
            assert_eq!(hash_of(&info, |it| if it == padding { 8 } else { 7 }), plain, "{format}");
        }
    }

    #[test]
    fn equal_bytes_of_another_size_or_format_have_another_hash() {
        let formats = [(VideoFormat::I420, 8), (VideoFormat::Yv12, 8), (VideoFormat::I420, 16)];
        let hashes: Vec<_> =
            formats.iter().map(|&(format, width)| hash_of(&info(format, width), |_| 7)).collect();
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2]);
    }

    #[test]
    fn a_change_is_measured_in_sixteenths_of_an_8_bit_step_at_any_depth() {
        for (format, step) in [(VideoFormat::Gray8, 1), (VideoFormat::Gray16Le, 256)] {
            let info = info(format, 64);
            let picture = |level: usize| {
                let value = (level * step).to_le_bytes();
                let buffer = buffer(&info, |at| value[if step == 1 { 0 } else { at % 2 }]);
                Thumbnail::of(&VideoFrameRef::from_buffer_ref_readable(&buffer, &info).unwrap())
            };
            assert_eq!(picture(30).change(&picture(10)), 20 * 16);
            assert_eq!(picture(30).change(&Thumbnail::default()), 0);
        }
    }
}

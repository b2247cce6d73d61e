//! Copies frames between rows without padding, as pictures and Y4M files have them, and GStreamer's
//! rows.

use std::borrow::Cow;

use gst_video::{VideoFrame, VideoFrameExt as _, VideoFrameRef, VideoInfo};

/// The bytes of a row and the number of rows of each plane.
fn planes(info: &VideoInfo) -> Vec<(usize, usize)> {
    let components = || 0..info.n_components() as u8;
    let plane = |plane: u32| {
        let component = components().find(|it| info.comp_plane(*it) == plane)?;
        let row = info.comp_width(component) as usize * info.comp_pstride(component) as usize;
        Some((row, info.comp_height(component) as usize))
    };
    (0..info.n_planes()).filter_map(plane).collect()
}

/// The bytes of a frame without padding.
pub fn size(info: &VideoInfo) -> usize {
    planes(info).into_iter().map(|(row, rows)| row * rows).sum()
}

/// A buffer with a frame whose planes follow each other in `samples`; `None` if there are too few.
pub fn to_buffer(info: &VideoInfo, samples: &[u8]) -> Option<gst::Buffer> {
    let buffer = gst::Buffer::with_size(info.size()).ok()?;
    let mut frame = VideoFrame::from_buffer_writable(buffer, info).ok()?;
    let mut rest = samples;
    for (plane, (row, rows)) in planes(info).into_iter().enumerate() {
        let stride = usize::try_from(*frame.plane_stride().get(plane)?).ok()?;
        let (from, later) = rest.split_at_checked(row * rows)?;
        let to = frame.plane_data_mut(plane as u32).ok()?;
        for (to, from) in to.chunks_mut(stride).zip(from.chunks_exact(row)) {
            to.get_mut(..row)?.copy_from_slice(from);
        }
        rest = later;
    }
    Some(frame.into_buffer())
}

/// The planes of a frame, one after the other; a single plane without padding is not copied. `None` if
/// the buffer does not hold the frame.
pub fn of_frame<'a>(frame: &'a VideoFrameRef<&gst::BufferRef>) -> Option<Cow<'a, [u8]>> {
    let info = frame.info();
    if let [(row, rows)] = planes(info)[..]
        && usize::try_from(*frame.plane_stride().first()?).ok()? == row
    {
        return Some(Cow::Borrowed(frame.plane_data(0).ok()?.get(..row * rows)?));
    }
    let mut samples = Vec::with_capacity(size(info));
    for (plane, (row, rows)) in planes(info).into_iter().enumerate() {
        let stride = usize::try_from(*frame.plane_stride().get(plane)?).ok()?;
        for from in frame.plane_data(plane as u32).ok()?.chunks(stride).take(rows) {
            samples.extend_from_slice(from.get(..row)?);
        }
    }
    Some(Cow::Owned(samples))
}

#[cfg(test)]
mod tests {
    use gst_video::VideoFormat;

    use super::*;

    #[test]
    fn frames_of_odd_sizes_are_the_same_there_and_back() {
        gst::init().unwrap();
        for (format, bytes) in [
            (VideoFormat::Rgb, 5 * 3 * 3),
            (VideoFormat::I420, 5 * 3 + 2 * 3 * 2),
            (VideoFormat::I42210le, 2 * (5 * 3 + 2 * 3 * 3)),
            (VideoFormat::Rgba64Le, 5 * 3 * 8),
        ] {
            let info = VideoInfo::builder(format, 5, 3).build().unwrap();
            assert_eq!(size(&info), bytes, "{format}");
            let samples: Vec<u8> = (0..bytes as u8).collect();
            let buffer = to_buffer(&info, &samples).unwrap();
            let frame = VideoFrameRef::from_buffer_ref_readable(&buffer, &info).unwrap();
            assert_eq!(of_frame(&frame).unwrap(), samples, "{format}");
            assert!(to_buffer(&info, &samples[1..]).is_none());
        }
    }

    #[test]
    fn one_plane_without_padding_is_not_copied() {
        gst::init().unwrap();
        for (width, is_copied) in [(8, false), (5, true)] {
            let info = VideoInfo::builder(VideoFormat::Rgb, width, 3).build().unwrap();
            let samples: Vec<u8> = (0..size(&info) as u8).collect();
            let buffer = to_buffer(&info, &samples).unwrap();
            let frame = VideoFrameRef::from_buffer_ref_readable(&buffer, &info).unwrap();
            let found = of_frame(&frame).unwrap();
            assert_eq!(*found, samples);
            assert_eq!(matches!(found, Cow::Owned(_)), is_copied);
        }
    }
}

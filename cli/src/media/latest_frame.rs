//! A small picture of the latest enlarged frame, for who watches a long run.

use std::{
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use gst::prelude::*;
use gst_video::VideoInfo;
use image::{RgbImage, codecs::jpeg::JpegEncoder};

use super::planes;
use crate::part_file::{IfExists, PartFile};

/// The largest width and height.
const MAX_SIDE: f64 = 640.0;

/// How long a conversion may take.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Writes a JPEG file of a frame that passes `pad` whenever `file` does not exist: removing it asks for a
/// newer one. If it cannot be written, there is none any more.
pub fn write_on_request(pad: &gst::Pad, file: &Path) {
    let file = file.to_owned();
    let is_busy = Arc::new(AtomicBool::new(false));
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if file.exists() || is_busy.swap(true, Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        if let (Some(buffer), Some(caps)) = (info.buffer(), pad.current_caps()) {
            let sample = gst::Sample::builder().buffer(buffer).caps(&caps).build();
            let (file, is_busy) = (file.clone(), is_busy.clone());
            thread::spawn(move || {
                let is_written = write(&sample, &file).is_some();
                is_busy.store(!is_written, Ordering::Relaxed);
            });
        }
        gst::PadProbeReturn::Ok
    });
}

fn write(sample: &gst::Sample, file: &Path) -> Option<()> {
    let (width, height) = size(&VideoInfo::from_caps(sample.caps()?).ok()?)?;
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "RGB")
        .field("width", width)
        .field("height", height)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    let small = gst_video::convert_sample(sample, &caps, Some(TIMEOUT)).ok()?;
    let info = VideoInfo::from_caps(small.caps()?).ok()?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(small.buffer()?, &info).ok()?;
    let samples = planes::of_frame(&frame)?.into_owned();
    let picture = RgbImage::from_raw(info.width(), info.height(), samples)?;
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 80).encode_image(&picture).ok()?;
    let part = PartFile::create(file).ok()?;
    part.complete(|mut file| file.write_all(&jpeg)).ok()?;
    part.finish(IfExists::Overwrite).ok()
}

/// The size of the small picture of frames like `info`.
fn size(info: &VideoInfo) -> Option<(i32, i32)> {
    let pixel = f64::from(info.par().numer()) / f64::from(info.par().denom().max(1));
    let (width, height) = (f64::from(info.width()) * pixel, f64::from(info.height()));
    let shrink = (MAX_SIDE / width.max(height)).min(1.0);
    let side = |pixels: f64| ((pixels * shrink).round() as i32).max(1);
    (pixel > 0.0).then(|| (side(width), side(height)))
}

#[cfg(test)]
mod tests {
    use gst_video::VideoFormat;

    use super::*;

    #[test]
    fn the_picture_is_small_and_has_the_shape_that_a_player_shows() {
        gst::init().unwrap();
        let of = |width, height, par: (i32, i32)| {
            let info = VideoInfo::builder(VideoFormat::I420, width, height);
            size(&info.par(gst::Fraction::new(par.0, par.1)).build().unwrap()).unwrap()
        };
        assert_eq!(of(1920, 1080, (1, 1)), (640, 360));
        assert_eq!(of(1440, 1152, (64, 45)), (640, 360));
        assert_eq!(of(90, 160, (1, 1)), (90, 160));
        assert_eq!(of(1080, 1920, (1, 1)), (360, 640));
    }
}

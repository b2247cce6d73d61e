//! Generated and real frames.

use std::path::Path;

use gst::prelude::*;
use gst_video::VideoFrameExt as _;

/// Frames in memory, all with the same caps.
pub struct Clip {
    pub caps: gst::Caps,
    pub frames: Vec<gst::Buffer>,
    pub width: u32,
    pub height: u32,
}

impl Clip {
    /// `count` decoded frames from the middle of a file. `elements` follow the decoder.
    pub fn read(file: &Path, elements: &str, count: u32) -> Self {
        // After the titles and fades of all clips used.
        const FIRST: usize = 72;
        let description = format!(
            "filesrc location={} ! decodebin ! video/x-raw {elements} ! appsink name=sink \
             sync=false max-buffers=2",
            file.display()
        );
        let pipeline = gst::parse::launch(&description).expect("a pipeline");
        let sink = pipeline.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("sink"));
        let sink = sink.and_then(|sink| sink.downcast::<gst_app::AppSink>().ok()).expect("a sink");
        pipeline.set_state(gst::State::Playing).expect("it plays");
        let samples = std::iter::from_fn(|| sink.pull_sample().ok());
        let samples: Vec<_> = samples.skip(FIRST).take(count as usize).collect();
        pipeline.set_state(gst::State::Null).expect("it stops");
        let caps = samples.first().and_then(|sample| sample.caps_owned()).expect("frames");
        let info = gst_video::VideoInfo::from_caps(&caps).expect("video");
        let frames = samples.iter().zip(0..).map(|(sample, number)| {
            stamped(sample.buffer().expect("a frame").copy_deep().expect("memory"), number)
        });
        let frames = frames.collect();
        Self { caps, frames, width: info.width(), height: info.height() }
    }

    /// Smooth shapes and hard edges that move by a pixel per frame: nothing can be reused.
    pub fn pan(width: u32, height: u32, count: u32) -> Self {
        Self::draw(width, height, count, |x, y, frame| {
            let (x, y) = (x + frame, y);
            let wave = ((x as f32 * 0.11).sin() + (y as f32 * 0.07).cos()) * 60.0 + 128.0;
            let edge = if (x / 23 + y / 17) % 3 == 0 { 40 } else { 0 };
            [wave as u8, (wave as u8).wrapping_add(edge), (x ^ y) as u8 / 4 + 64]
        })
    }

    /// The same frame repeated.
    pub fn still(width: u32, height: u32, count: u32) -> Self {
        Self::draw(width, height, count, |x, y, _| page(x, y))
    }

    /// A page of text on which each frame adds a letter at a cursor.
    pub fn typing(width: u32, height: u32, count: u32) -> Self {
        Self::draw(width, height, count, move |x, y, frame| {
            let (line, left) = (height / 2, width / 4);
            if !(line..line + 16).contains(&y) || x < left {
                return page(x, y);
            }
            let column = (x - left) / 9;
            match column.cmp(&frame) {
                std::cmp::Ordering::Less => letter(x, y, column),
                std::cmp::Ordering::Equal => [20, 20, 20],
                std::cmp::Ordering::Greater => page(x, y),
            }
        })
    }

    /// A shape that moves in every second frame over a still background.
    pub fn twos(width: u32, height: u32, count: u32) -> Self {
        Self::draw(width, height, count, move |x, y, frame| {
            let centre = i64::from(width / 4 + frame / 2 * 6);
            let (dx, dy) = (i64::from(x) - centre, i64::from(y) - i64::from(height / 2));
            match dx * dx + dy * dy {
                0..1600 => [230, 180, 60],
                1600..1900 => [20, 20, 20],
                _ => page(x, y),
            }
        })
    }

    /// Frames by a function of the column, the row and the frame number.
    pub fn draw(
        width: u32,
        height: u32,
        count: u32,
        pixel: impl Fn(u32, u32, u32) -> [u8; 3],
    ) -> Self {
        let caps = gst_video::VideoCapsBuilder::new()
            .format(gst_video::VideoFormat::Rgb)
            .width(width as i32)
            .height(height as i32)
            .framerate((25, 1).into())
            .build();
        let stride = (width as usize * 3).next_multiple_of(4);
        let frames = (0..count).map(|frame| {
            let mut bytes = vec![0u8; stride * height as usize];
            for (y, row) in bytes.chunks_exact_mut(stride).enumerate() {
                for (x, sample) in row.chunks_exact_mut(3).take(width as usize).enumerate() {
                    sample.copy_from_slice(&pixel(x as u32, y as u32, frame));
                }
            }
            stamped(gst::Buffer::from_slice(bytes), frame)
        });
        Self { caps, frames: frames.collect(), width, height }
    }

    /// The frames as R′G′B′ with 8 bits per sample, without padding between rows.
    pub fn pictures(&self) -> impl Iterator<Item = Vec<u8>> {
        let Self { caps, frames, width, height } = self;
        let frames = frames.clone();
        let same = Self { caps: caps.clone(), frames, width: *width, height: *height };
        let Self { caps, frames, .. } = same.in_format("RGB");
        let info = gst_video::VideoInfo::from_caps(&caps).expect("video");
        frames.into_iter().map(move |frame| {
            let frame = gst_video::VideoFrame::from_buffer_readable(frame, &info).expect("memory");
            let stride = frame.plane_stride()[0] as usize;
            let rows = frame.plane_data(0).expect("a plane").chunks(stride);
            rows.flat_map(|row| row[..frame.width() as usize * 3].to_vec()).collect()
        })
    }

    /// The first `channels` of the frames in R′G′B′, planar, in 0..1.
    pub fn planar(&self, channels: usize) -> impl Iterator<Item = Vec<f32>> {
        self.pictures().map(move |picture| {
            let samples = (0..channels).flat_map(|channel| picture.iter().skip(channel).step_by(3));
            samples.map(|sample| f32::from(*sample) / 255.0).collect()
        })
    }

    /// The same frames in another format.
    pub fn in_format(self, format: &str) -> Self {
        let convert = gst::ElementFactory::make("videoconvert").build().expect("videoconvert");
        let mut harness = gst_check::Harness::with_element(&convert, Some("sink"), Some("src"));
        let mut caps = self.caps.copy();
        caps.make_mut().set("format", format);
        if format == "RGB" {
            let luma_only = ["colorimetry", "chroma-site"];
            caps.make_mut().structure_mut(0).expect("caps").remove_fields(luma_only);
        }
        harness.set_caps(self.caps, caps.clone());
        let frames = self.frames.into_iter().zip(0..).map(|(frame, number)| {
            let out = harness.push_and_pull(frame).expect("a converted frame");
            stamped(out.copy_deep().expect("memory"), number)
        });
        let frames = frames.collect();
        Self { caps, frames, ..self }
    }
}

fn stamped(mut buffer: gst::Buffer, number: u32) -> gst::Buffer {
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::from_mseconds(40) * u64::from(number));
        buffer.set_duration(gst::ClockTime::from_mseconds(40));
    }
    buffer
}

/// Lines of letters on a light background.
fn page(x: u32, y: u32) -> [u8; 3] {
    match (y / 16) % 2 {
        0 if x > 24 => letter(x, y, x / 9 * 7 + y / 16),
        _ => [236, 238, 240],
    }
}

/// A shape with the size and detail of a letter.
fn letter(x: u32, y: u32, which: u32) -> [u8; 3] {
    let ink = (x % 9).wrapping_mul(which | 1) ^ (y % 16).wrapping_mul(which % 5 + 1);
    if x % 9 < 7 && y % 16 > 3 && ink.is_multiple_of(3) { [40, 44, 60] } else { [236, 238, 240] }
}

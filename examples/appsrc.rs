//! Enlarges the frames of an application: RGB frames from standard input go into an `appsrc`, and
//! enlarged frames come out of an `appsink` and go to standard output.
//!
//! ```shell
//! cargo run --example appsrc -- 320 180 < small.rgb > large.rgb
//! ```

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    thread,
};

use gst::prelude::*;
use gst_video::{VideoFormat, VideoFrame, VideoInfo};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<u32> =
        env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [width, height] = arguments[..] else { return Err("usage: appsrc WIDTH HEIGHT".into()) };
    let (width, height) = enlarge(width, height, io::stdin(), io::stdout().lock())?;
    eprintln!("the enlarged frames have {width}x{height} pixels");
    Ok(())
}

/// Enlarges all frames of `input`, whose rows have no padding, and returns their new size.
pub fn enlarge(
    width: u32,
    height: u32,
    input: impl Read + Send,
    mut output: impl Write,
) -> Result<(u32, u32), Box<dyn Error>> {
    gst::init()?;
    gstupscale::plugin_register_static()?;
    let info = VideoInfo::builder(VideoFormat::Rgb, width, height).fps((25, 1)).build()?;
    let caps = info.to_caps()?;
    let source =
        gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).block(true).build();
    let upscale = gst::ElementFactory::make("upscale").build()?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    let pipeline = gst::Pipeline::new();
    pipeline.add_many([source.upcast_ref(), &upscale, sink.upcast_ref()])?;
    gst::Element::link_many([source.upcast_ref(), &upscale, sink.upcast_ref()])?;
    pipeline.set_state(gst::State::Playing)?;

    let mut size = (0, 0);
    let done = thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        // Frames must be pushed while others are pulled: the element keeps some in flight.
        scope.spawn(|| push_frames(&source, &info, input));
        while let Ok(sample) = sink.pull_sample() {
            let info = VideoInfo::from_caps(sample.caps().ok_or("a sample without caps")?)?;
            let buffer = sample.buffer_owned().ok_or("a sample without a buffer")?;
            let frame =
                VideoFrame::from_buffer_readable(buffer, &info).map_err(|_| "not readable")?;
            size = (info.width(), info.height());
            for row in frame.plane_data(0)?.chunks(info.stride()[0] as usize) {
                output.write_all(&row[..info.width() as usize * 3])?;
            }
        }
        Ok(())
    });
    let error = pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
    pipeline.set_state(gst::State::Null)?;
    if let Some(gst::MessageView::Error(error)) = error.as_ref().map(|message| message.view()) {
        return Err(error.error().into());
    }
    done.map(|()| size)
}

/// Pushes frames until `input` ends or the pipeline stops.
fn push_frames(source: &gst_app::AppSrc, info: &VideoInfo, mut input: impl Read) {
    for number in 0u64.. {
        let mut pixels = vec![0; info.width() as usize * info.height() as usize * 3];
        if input.read_exact(&mut pixels).is_err() {
            break;
        }
        let Some(buffer) = frame(&pixels, info, number * gst::ClockTime::SECOND / 25) else {
            break;
        };
        if source.push_buffer(buffer).is_err() {
            return;
        }
    }
    let _ = source.end_of_stream();
}

/// A buffer with these pixels, whose rows get the padding that `info` describes.
fn frame(pixels: &[u8], info: &VideoInfo, time: gst::ClockTime) -> Option<gst::Buffer> {
    let mut buffer = gst::Buffer::with_size(info.size()).ok()?;
    buffer.get_mut()?.set_pts(time);
    let mut frame = VideoFrame::from_buffer_writable(buffer, info).ok()?;
    let rows = frame.plane_data_mut(0).ok()?.chunks_mut(info.stride()[0] as usize);
    for (row, pixels) in rows.zip(pixels.chunks_exact(info.width() as usize * 3)) {
        row[..pixels.len()].copy_from_slice(pixels);
    }
    Some(frame.into_buffer())
}

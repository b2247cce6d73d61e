//! The time of the stages around the model at 1280×720 on one thread, in milliseconds:
//! `cargo bench --bench frame_speed`.

use std::{hint::black_box, time::Instant};

use gstupscale::frame::{
    Channels, FrameInfo, FrameMut, Grain, Image, OwnedFrame, Packer, PixelFormat, PlacedImage,
    Range, Rect, Resampler, Transfer, Unpacker, blend_row,
};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

fn info(format: PixelFormat) -> FrameInfo {
    FrameInfo::bt709(format, WIDTH, HEIGHT, Range::Limited)
}

/// Prints the median and the shortest time of several runs.
fn time(what: &str, mut run: impl FnMut()) {
    run();
    let mut times: Vec<_> = (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what:44} {:7.2} ms (shortest {:.2})", times[times.len() / 2], times[0]);
}

fn main() {
    for format in [
        PixelFormat::Nv12,
        PixelFormat::I420,
        PixelFormat::P010_10le,
        PixelFormat::Rgb,
        PixelFormat::Rgba,
    ] {
        for channels in [Channels::Luma, Channels::Rgb] {
            frames(format, channels);
        }
    }
    for (from, to) in [
        ((640, 360), (1280, 720)),
        ((320, 180), (1280, 720)),
        ((1920, 1080), (1280, 720)),
        ((2560, 1440), (1280, 720)),
        ((1000, 500), (1280, 720)),
    ] {
        let source = Image::new(1, from.0 as usize, from.1 as usize);
        let resampler = Resampler::new(from, to);
        let mut out = Image::default();
        time(&format!("resample 1 channel {from:?} to {to:?}"), || {
            resampler.resample(PlacedImage::whole(&source), resampler.output(), &mut out).unwrap();
        });
        // By bands, as a stream does it.
        time(&format!("resample 1 channel {from:?} to {to:?}, bands"), || {
            for y in (0..to.1).step_by(32) {
                let rect = Rect::new(0, y, to.0, 32.min(to.1 - y));
                resampler.resample(PlacedImage::whole(&source), rect, &mut out).unwrap();
            }
        });
    }
    let mut image = Image::new(1, WIDTH as usize, HEIGHT as usize);
    image.data_mut().fill(0.5);
    time("grain, 1 channel", || Grain::new(1.0, 3, Transfer::Gamma).apply(&mut image, 0, 0));
    let other = image.clone();
    time("blend, 1 channel", || blend_row(other.data(), image.data_mut(), 0.5));
}

fn frames(format: PixelFormat, channels: Channels) {
    let info = info(format);
    let mut memory = OwnedFrame::new(info, 0).unwrap();
    for plane in memory.write().planes {
        plane.data.fill(0x55);
    }
    let all = info.grid().rect();
    let unpacker = Unpacker::new(info, channels).unwrap();
    let packer = Packer::new(info, channels).unwrap();
    let (mut model_image, mut bypass_planes) = (Image::default(), vec![]);
    {
        let frame = memory.read();
        time(&format!("unpack {format} to {channels:?}"), || {
            unpacker.unpack(&frame, all, &mut model_image).unwrap();
        });
        for (index, bypass) in unpacker.bypass_planes().iter().enumerate() {
            let mut image = Image::default();
            time(&format!("unpack {format}, {:?} bypassing {channels:?}", bypass.kind), || {
                let rect = bypass.grid.rect();
                unpacker.unpack_bypass(index, &frame, rect, &mut image).unwrap();
            });
            bypass_planes.push(image);
        }
    }
    let mut frame = memory.write();
    let parts: Vec<_> = bypass_planes.iter().map(PlacedImage::whole).collect();
    time(&format!("pack {channels:?} to {format}"), || {
        packer.pack(PlacedImage::whole(&model_image), &parts, all, &mut frame.whole()).unwrap();
    });
    black_box(&planes_sum(&frame));
}

fn planes_sum(frame: &FrameMut<'_>) -> u64 {
    frame
        .planes
        .iter()
        .map(|plane| plane.data.iter().map(|byte| u64::from(*byte)).sum::<u64>())
        .sum()
}

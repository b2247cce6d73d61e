//! Tiles, threads, memory and sizes.

use crate::common::blur::{Blur, RADIUS};
use crate::common::frame;
use crate::common::frame::Frame;
use gstupscale::{
    frame::{Channels, FrameInfo, PixelFormat},
    upscaler::{CpuPipeline, EngineTraits, Error, FrameParams, Pipeline, Reuse, StreamSettings},
};

fn noise(format: PixelFormat, width: u32, height: u32) -> Frame {
    Frame::new(frame::info(format, width, height), 8).noisy(1)
}

fn settings() -> StreamSettings {
    StreamSettings { threads: 2, tile_size: 0, halo: None, memory_limit: None, fidelity: 0.0 }
}

/// A model whose regions equal the whole frame.
const EXACT_REGIONS: EngineTraits = EngineTraits { exact_regions: true, tolerant_halo: None };

const MODEL_ONLY: FrameParams =
    FrameParams { blend: 1.0, grain: 0.0, number: 7, reuse: Reuse::Off };

#[track_caller]
fn upscale(
    model: Blur,
    input: &Frame,
    size: (u32, u32),
    settings: StreamSettings,
    params: FrameParams,
) -> Frame {
    let mut output = Frame::new(FrameInfo { width: size.0, height: size.1, ..input.info }, 8);
    let mut upscaler =
        CpuPipeline::new(Box::new(model), EXACT_REGIONS, input.info, output.info, settings)
            .unwrap();
    upscaler.process(&input.read(), None, &mut output.write(), &params).unwrap();
    output
}

/// Formats of every kind: packed, planar, with subsampled chroma, deep, gray, with alpha.
fn formats() -> impl Iterator<Item = PixelFormat> {
    ["I420", "NV12", "Y42B", "Y444", "RGB", "RGBA", "GRAY8", "I420_10LE", "P010_10LE"]
        .into_iter()
        .map(|name| PixelFormat::from_name(name).unwrap())
}

#[test]
fn tiles_give_the_same_output_as_the_whole_frame_in_every_format() {
    for format in formats() {
        for channels in [Channels::Rgb, Channels::Luma] {
            for (size, align) in [((83, 61), 1), ((64, 48), 2), ((37, 70), 4)] {
                let input = noise(format, size.0, size.1);
                let out = (size.0 * 2, size.1 * 2);
                let model = || Blur::new(channels, 2, align);
                let whole = upscale(model(), &input, out, settings(), MODEL_ONLY);
                let tiled = StreamSettings { tile_size: 20, ..settings() };
                let tiles = upscale(model(), &input, out, tiled, MODEL_ONLY);
                assert!(whole == tiles, "{format} {channels:?} {size:?} align {align}");
            }
        }
    }
}

#[test]
fn these_tests_detect_a_halo_below_the_receptive_field() {
    let input = noise(PixelFormat::from_name("GRAY8").unwrap(), 83, 61);
    let model = || Blur::new(Channels::Luma, 2, 1);
    let whole = upscale(model(), &input, (166, 122), settings(), MODEL_ONLY);
    let short = StreamSettings { tile_size: 20, halo: Some(RADIUS as u32 - 1), ..settings() };
    assert!(whole != upscale(model(), &input, (166, 122), short, MODEL_ONLY));
}

#[test]
fn the_output_does_not_depend_on_the_number_of_threads() {
    for format in formats() {
        let input = noise(format, 61, 83);
        for size in [(122, 166), (200, 100), (40, 30)] {
            let params = FrameParams { blend: 0.6, grain: 0.5, number: 3, reuse: Reuse::Off };
            let run = |threads| {
                let settings = StreamSettings { threads, ..settings() };
                upscale(Blur::new(Channels::Rgb, 2, 1), &input, size, settings, params)
            };
            assert!(run(1) == run(3), "{format} to {size:?}");
        }
    }
}

#[test]
fn regions_are_halved_when_memory_runs_out_and_the_output_is_the_same() {
    let input = noise(PixelFormat::from_name("NV12").unwrap(), 200, 150);
    let whole = upscale(Blur::new(Channels::Rgb, 2, 1), &input, (400, 300), settings(), MODEL_ONLY);
    let small = Blur { memory: 70 * 70, ..Blur::new(Channels::Rgb, 2, 1) };
    assert!(whole == upscale(small, &input, (400, 300), settings(), MODEL_ONLY));
}

#[test]
fn insufficient_memory_is_an_error() {
    let input = noise(PixelFormat::from_name("NV12").unwrap(), 200, 150);
    let mut output = Frame::new(FrameInfo { width: 400, height: 300, ..input.info }, 8);
    let none = Blur { memory: 0, ..Blur::new(Channels::Rgb, 2, 1) };
    let mut upscaler =
        CpuPipeline::new(Box::new(none), EXACT_REGIONS, input.info, output.info, settings())
            .unwrap();
    let result = upscaler.process(&input.read(), None, &mut output.write(), &MODEL_ONLY);
    assert!(matches!(result, Err(Error::OutOfMemory(_))));
}

#[test]
fn a_memory_limit_cuts_the_frame_and_the_output_is_the_same() {
    let input = noise(PixelFormat::from_name("I420").unwrap(), 200, 150);
    let model = || Blur::new(Channels::Luma, 2, 2);
    let whole = upscale(model(), &input, (400, 300), settings(), MODEL_ONLY);
    let limited = StreamSettings { memory_limit: Some(80 * 80 * 8 * 4), ..settings() };
    assert!(whole == upscale(model(), &input, (400, 300), limited, MODEL_ONLY));
    let hopeless = StreamSettings { memory_limit: Some(1000), ..settings() };
    let refused =
        CpuPipeline::new(Box::new(model()), EXACT_REGIONS, input.info, whole.info, hopeless);
    assert!(matches!(refused, Err(Error::OutOfMemory(_))));
}

#[test]
fn the_model_does_not_run_with_a_blend_of_zero() {
    let input = noise(PixelFormat::from_name("RGB").unwrap(), 40, 30);
    let model = Blur { memory: 0, ..Blur::new(Channels::Rgb, 2, 1) };
    let lanczos = FrameParams { blend: 0.0, ..MODEL_ONLY };
    upscale(model, &input, (80, 60), settings(), lanczos);
}

#[test]
fn a_split_picture_shows_lanczos_on_the_left_of_a_white_line_and_the_model_on_the_right() {
    for (format, channels) in
        [("I420", Channels::Rgb), ("NV12", Channels::Luma), ("RGB", Channels::Rgb)]
    {
        let input = noise(PixelFormat::from_name(format).unwrap(), 40, 30);
        let size = (80, 60);
        let model = || Blur::new(channels, 2, 1);
        let whole = upscale(model(), &input, size, settings(), MODEL_ONLY);
        let lanczos = FrameParams { blend: 0.0, ..MODEL_ONLY };
        let lanczos = upscale(model(), &input, size, settings(), lanczos);
        let mut upscaler =
            CpuPipeline::new(Box::new(model()), EXACT_REGIONS, input.info, whole.info, settings())
                .unwrap();
        let mut output = Frame::new(whole.info, 8);
        upscaler.set_split(0.5);
        for reuse in [Reuse::Off, Reuse::Exact] {
            let params = FrameParams { reuse, ..MODEL_ONLY };
            upscaler.process(&input.read(), None, &mut output.write(), &params).unwrap();
            for y in 0..60 {
                let [left, line, right] = [39, 40, 42];
                assert_eq!(output.get(0, left, y), lanczos.get(0, left, y), "{format} {reuse:?}");
                assert!(output.get(0, line, y) >= 235, "{format} {reuse:?}");
                assert_eq!(output.get(0, right, y), whole.get(0, right, y), "{format} {reuse:?}");
            }
        }
        upscaler.set_split(0.0);
        upscaler.process(&input.read(), None, &mut output.write(), &MODEL_ONLY).unwrap();
        assert!(output == whole, "{format}");
    }
}

#[test]
fn sizes_that_overflow_are_refused() {
    let input = noise(PixelFormat::from_name("GRAY8").unwrap(), 30000, 1);
    let output = FrameInfo { width: 40000, ..input.info };
    let model = Blur::new(Channels::Luma, 2, 1);
    assert!(
        CpuPipeline::new(Box::new(model), EXACT_REGIONS, input.info, output, settings()).is_err()
    );
}

#[test]
fn the_smallest_frames_are_enlarged() {
    for format in formats() {
        for (width, height) in [(1, 1), (1, 9), (3, 2)] {
            let input = noise(format, width, height);
            let model = Blur::new(Channels::Rgb, 2, 4);
            upscale(model, &input, (width * 2, height * 2), settings(), MODEL_ONLY);
        }
    }
}

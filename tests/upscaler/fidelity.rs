//! Fidelity: how close the model's picture is held to the input.

use gstupscale::{
    frame::{Channels, FrameInfo, PixelFormat},
    model::Model,
    native::{Engine, Options},
    upscaler::{CpuPipeline, EngineTraits, FrameParams, Pipeline, Reuse, StreamSettings},
};

use crate::common::{
    blur::Blur,
    frame::{self, Frame},
};

const TRAITS: EngineTraits = EngineTraits { exact_regions: true, tolerant_halo: None };

fn settings(fidelity: f32) -> StreamSettings {
    StreamSettings { threads: 2, tile_size: 0, halo: None, memory_limit: None, fidelity }
}

/// A picture of slopes and edges, with colours that fit into limited range.
fn picture(format: &str, width: u32, height: u32) -> Frame {
    let info = frame::info(PixelFormat::from_name(format).unwrap(), width, height);
    let max = (1 << info.format.layout().bits) / 256;
    Frame::new(info, 0).filled(move |component, x, y| {
        let wave = (x * (2 + component) + y * 3) % 64;
        let edge = if (x / 9 + y / 7) % 3 == component % 3 { 60 } else { 0 };
        (64 + wave + edge) as u32 * max
    })
}

/// The output at twice the size for a model that blurs.
fn enlarge(input: &Frame, channels: Channels, fidelity: f32, blend: f32) -> Frame {
    let FrameInfo { width, height, .. } = input.info;
    let output = FrameInfo { width: 2 * width, height: 2 * height, ..input.info };
    let model = Box::new(Blur::new(channels, 2, 1));
    let stream = CpuPipeline::new(model, TRAITS, input.info, output, settings(fidelity));
    let params = FrameParams { blend, grain: 0.0, number: 0, reuse: Reuse::Off };
    let mut output = Frame::new(output, 0);
    stream.unwrap().process(&input.read(), None, &mut output.write(), &params).unwrap();
    output
}

/// The mean difference of a component between the input and the mean of four output pixels.
fn error(input: &Frame, output: &Frame, component: usize) -> f64 {
    let (width, height) = input.size(component);
    let mean = |x: usize, y: usize| {
        let pixels = [(0, 0), (1, 0), (0, 1), (1, 1)];
        let sum = pixels.map(|(i, j)| output.get(component, 2 * x + i, 2 * y + j));
        f64::from(sum.iter().sum::<u32>()) / 4.0
    };
    let errors = (0..height).flat_map(|y| {
        (0..width).map(move |x| (mean(x, y) - f64::from(input.get(component, x, y))).abs())
    });
    errors.sum::<f64>() / (width * height) as f64
}

#[test]
fn the_output_reduced_to_the_size_of_the_input_comes_closer_to_it() {
    for format in ["GRAY8", "Y444", "RGB", "I420", "I420_10LE"] {
        for channels in [Channels::Luma, Channels::Rgb] {
            let input = picture(format, 75, 58);
            let error = |fidelity| error(&input, &enlarge(&input, channels, fidelity, 1.0), 0);
            let [without, half, with] = [0.0, 0.5, 1.0].map(error);
            assert!(
                with < half && half < without,
                "{format} {channels:?}: {without} {half} {with}"
            );
            assert!(with < 0.5 * without, "{format} {channels:?}: {without} {with}");
        }
    }
}

#[test]
fn chroma_of_a_model_of_colour_becomes_that_of_lanczos() {
    let input = picture("Y444", 75, 58);
    let lanczos = enlarge(&input, Channels::Rgb, 0.0, 0.0);
    let distance = |fidelity| {
        let output = enlarge(&input, Channels::Rgb, fidelity, 1.0);
        let pixels = (0..116).flat_map(|y| (0..150).map(move |x| (x, y)));
        let chroma = pixels.map(|(x, y)| {
            [1, 2]
                .map(|it| output.get(it, x, y).abs_diff(lanczos.get(it, x, y)))
                .iter()
                .sum::<u32>()
        });
        f64::from(chroma.sum::<u32>()) / (150.0 * 116.0)
    };
    let (without, with) = (distance(0.0), distance(1.0));
    assert!(with < 0.15 * without, "{without} {with}");
}

#[test]
fn an_output_that_is_not_larger_than_the_input_stays_the_models_picture() {
    let input = picture("Y444", 64, 48);
    let model = || Box::new(Blur::new(Channels::Rgb, 1, 1));
    let [plain, faithful] = [0.0, 1.0].map(|fidelity| {
        let stream = CpuPipeline::new(model(), TRAITS, input.info, input.info, settings(fidelity));
        let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse: Reuse::Off };
        let mut output = Frame::new(input.info, 0);
        stream.unwrap().process(&input.read(), None, &mut output.write(), &params).unwrap();
        output
    });
    assert!(plain == faithful && plain != input);
}

#[test]
fn with_kept_features_exact_reuse_is_exact() {
    for (name, size) in [("I420", (97, 70)), ("P010_10LE", (96, 64))] {
        let mut input = picture(name, size.0, size.1);
        let output = FrameInfo { width: 2 * size.0, height: 2 * size.1, ..input.info };
        let stream = || {
            let engine = Engine::open(&Model::open("builtin").unwrap(), &Options::default());
            let engine = Box::new(engine.unwrap());
            CpuPipeline::incremental(engine, TRAITS, input.info, output, settings(0.75)).unwrap()
        };
        let (mut with, mut without) = (stream(), stream());
        let mut last: Option<Frame> = None;
        for step in 0..5 {
            let run = |stream: &mut CpuPipeline, reuse, last: Option<&Frame>| {
                let params = FrameParams { blend: 1.0, grain: 0.0, number: 0, reuse };
                let mut output = Frame::new(output, 0);
                let last = last.map(Frame::read);
                stream.process(&input.read(), last.as_ref(), &mut output.write(), &params).unwrap();
                output
            };
            let reused = run(&mut with, Reuse::Exact, last.as_ref());
            assert!(reused == run(&mut without, Reuse::Off, None), "{name}, step {step}");
            last = Some(reused);
            for (x, y) in [(5 + 13 * step, 9 * step), (90, 60 - step)] {
                let component = step % 2;
                let (x, y) = (x >> component, y >> component);
                let code = input.get(component, x, y);
                input.set(component, x, y, code + code / 2);
            }
        }
    }
}

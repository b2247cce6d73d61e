//! The engine's pictures equal those of ONNX Runtime within rounding.

use std::path::{Path, PathBuf};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Monitor, Precision},
    frame::{Image, Rect},
    model::Model,
    native::{self, Engine, Error, Options},
};

use crate::{
    common::{
        engine::{psnr, read_png},
        test_data,
    },
    graphs,
};

struct Quiet;

impl Monitor for Quiet {
    fn progress(&self, _percent: u32, _what: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// A picture with edges, texture and flat places.
pub fn picture(channels: usize, width: usize, height: usize) -> Image {
    let mut image = Image::new(channels, width, height);
    let mut state = 1u32;
    for channel in 0..channels {
        for y in 0..height {
            for (x, sample) in image.row_mut(channel, y).iter_mut().enumerate() {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = f32::from((state >> 24) as u8) / 255.0;
                let edge = if (x / 5 + y / 7 + channel) % 2 == 0 { 0.8 } else { 0.1 };
                let share = if x * 2 < width { 0.05 } else { 0.5 };
                *sample = edge * (1.0 - share) + noise * share;
            }
        }
    }
    image
}

/// As [`picture`], with a square of samples up to 50: no calibrated range holds them.
pub fn bright(channels: usize, width: usize, height: usize) -> Image {
    let mut image = picture(channels, width, height);
    for channel in 0..channels {
        for y in height / 3..height / 2 {
            let row = image.row_mut(channel, y).iter_mut().skip(width / 3);
            row.take(width / 5).for_each(|sample| *sample *= 50.0);
        }
    }
    image
}

fn reference(model: &Model, input: &Image) -> Option<Image> {
    let options = EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        device_id: 0,
        threads: 1,
        cache_dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("native"),
    };
    let mut engine = match backend::fastest_on_cpu(model, &options, &Quiet) {
        Ok(engine) => engine,
        Err(error @ gstupscale::engine::Error::NoLibrary { .. }) => {
            eprintln!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{}: {error}", model.name),
    };
    let mut output = Image::default();
    engine.run(input, &mut output).expect("the model runs");
    Some(output)
}

/// The largest difference in steps of 1/255, and the PSNR in decibels, of pictures clamped to 0..1.
fn difference(a: &Image, b: &Image) -> (f32, f64) {
    let clamp = |image: &Image| -> Vec<f32> {
        image.data().iter().map(|sample| sample.clamp(0.0, 1.0)).collect()
    };
    let (a, b) = (clamp(a), clamp(b));
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs() * 255.0).fold(0.0, f32::max);
    (worst, psnr(&a, &b))
}

/// Compares the engine with ONNX Runtime. Returns whether the engine supports the model.
#[track_caller]
fn check(model: &Model, inputs: &[Image]) -> bool {
    let mut engine = match Engine::open(model, &Options::default()) {
        Ok(engine) => engine,
        Err(Error::Operator { operator, why }) => {
            eprintln!("{}: {operator} is not supported: {why}", model.name);
            return false;
        }
        Err(error) => panic!("{}: {error}", model.name),
    };
    let mut output = Image::default();
    for input in inputs {
        let (width, height) = (input.width(), input.height());
        let Some(expected) = reference(model, input) else { return true };
        engine.run(input, &mut output).expect("the model runs");
        let shape = |image: &Image| (image.channels(), image.width(), image.height());
        assert_eq!(shape(&output), shape(&expected), "{}", model.name);
        let (worst, db) = difference(&output, &expected);
        eprintln!("{} at {width}x{height}: {db:.1} dB, {worst:.4} of 255", model.name);
        assert!(worst <= 1.0, "{} at {width}x{height}: {worst} of 255", model.name);
        assert!(db >= 85.0, "{} at {width}x{height}: {db} dB", model.name);
    }
    true
}

fn open(path: &Path) -> Model {
    Model::open(path.to_str().expect("a path of text")).expect("the model opens")
}

#[test]
fn built_in_models_give_the_pictures_of_onnx_runtime() {
    for name in ["builtin", "builtin-quality"] {
        let model = Model::open(name).unwrap();
        let channels = model.info.channels.count();
        let inputs = [picture(channels, 36, 22), picture(channels, 8, 6)];
        assert!(check(&model, &inputs), "{name}");
    }
}

#[test]
fn checkpoints_of_every_architecture_give_the_pictures_of_onnx_runtime() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints");
    for name in [
        "span_stale_merge",
        "span_merged",
        "span_no_norm",
        "edsr_original_x3",
        "edsr_original_x4",
        "edsr_basic_x2",
        "espcn_tanh",
        "espcn_relu",
        "fsrcnn_x2",
        "fsrcnn_x3",
    ] {
        let model = open(&folder.join(format!("{name}.pth")));
        let input = picture(model.info.channels.count(), 19, 13);
        assert!(check(&model, &[input]), "{name}");
    }
}

// Not noise: there, a change of SPAN's input by a millionth changes its output by 1.7/255.
#[test]
fn published_models_give_the_pictures_of_onnx_runtime() {
    let Some(data) = test_data() else { return };
    for name in [
        "realesr-animevideov3.onnx",
        "realesr-animevideov3-x4.param",
        "realesr-general-x4v3.safetensors",
        "realesrgan-x4plus-anime.param",
        "spanx4_ch48.param",
        "spanx2_ch52.param",
        "synthetic-rrdb-x1.pth",
        "synthetic-rrdb-x2.pth",
        "synthetic-rrdb-x4.pth",
        "waifu2x-photo-up2x.param",
        "FSRCNN_x2.pb",
    ] {
        let model = open(&data.join("weights").join(name));
        let colour = read_png(&data.join("images/spandrel_32x32.png"));
        let mut input = Image::new(model.info.channels.count(), colour.width(), colour.height());
        for channel in 0..input.channels() {
            input.channel_mut(channel).copy_from_slice(colour.channel(channel));
        }
        assert!(check(&model, &[input]), "{name}");
    }
}

#[test]
fn reductions_by_a_whole_factor_give_the_pictures_of_onnx_runtime() {
    for mode in ["nearest", "linear", "cubic"] {
        for factor in [2, 3, 4] {
            assert!(
                check(&graphs::reduced(mode, factor), &[picture(3, 18, 11)]),
                "{mode} {factor}"
            );
        }
    }
    let Some(data) = test_data() else { return };
    // Bicubic to one half at the end.
    let model = open(&data.join("weights/realesr-animevideov3-x2.param"));
    assert!(check(&model, &[read_png(&data.join("images/spandrel_32x32.png"))]));
}

#[test]
fn grouped_convolutions_give_the_pictures_of_onnx_runtime() {
    assert!(check(&graphs::grouped(), &[picture(3, 22, 14)]));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    assert!(Engine::open(&graphs::with_weight(0.1), &Options::default()).is_ok());
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = Engine::open(&graphs::with_weight(value), &Options::default()).unwrap_err();
        assert!(matches!(error, Error::NotFinite), "{value}: {error}");
        assert!(Engine::supports(&graphs::with_weight(value)).is_err());
    }
}

#[test]
fn a_model_with_another_operator_is_refused_by_its_name() {
    let Some(data) = test_data() else { return };
    let model = open(&data.join("weights/waifu2x-cunet-up2x.param"));
    let error = Engine::open(&model, &Options::default()).unwrap_err();
    let operator = "GlobalAveragePool";
    assert!(matches!(&error, Error::Operator { operator: own, .. } if own == operator), "{error}");
}

/// The difference between the pictures in fixed point and in fp32: decibels, and steps of 1/255.
/// `None` if the engine refuses the model.
fn fixed_point(model: &Model, input: &Image) -> Option<(f64, i32)> {
    let options = Options { precision: native::Precision::Int16, ..Options::default() };
    let mut fixed = match Engine::open(model, &options) {
        Ok(engine) => engine,
        Err(error @ Error::Precision { .. }) => {
            eprintln!("{}: {error}", model.name);
            return None;
        }
        Err(error) => panic!("{}: {error}", model.name),
    };
    let (mut expected, mut output) = (Image::default(), Image::default());
    Engine::open(model, &Options::default()).unwrap().run(input, &mut expected).unwrap();
    fixed.run(input, &mut output).unwrap();
    let tiles = fixed.tiles_in_fp32();
    let code = |sample: &f32| (sample.clamp(0.0, 1.0) * 255.0).round() as i32;
    let pairs = output.data().iter().zip(expected.data());
    let worst = pairs.map(|(a, b)| (code(a) - code(b)).abs()).max().unwrap_or(0);
    let (_, db) = difference(&output, &expected);
    eprintln!("{} in fixed point: {db:.1} dB, {worst} of 255, {tiles} tiles in fp32", model.name);
    Some((db, worst))
}

#[test]
fn tiles_beyond_the_range_of_fixed_point_are_computed_in_fp32() {
    let model = Model::open("builtin").unwrap();
    let options = Options { precision: native::Precision::Int16, ..Options::default() };
    let mut fixed = Engine::open(&model, &options).unwrap();
    let mut fp32 = Engine::open(&model, &Options::default()).unwrap();
    let (mut output, mut expected) = (Image::default(), Image::default());
    let usual = picture(1, 40, 36);
    fixed.run(&usual, &mut output).unwrap();
    assert_eq!(fixed.tiles_in_fp32(), 0);
    fixed.run(&bright(1, 40, 36), &mut output).unwrap();
    fp32.run(&bright(1, 40, 36), &mut expected).unwrap();
    assert!(fixed.tiles_in_fp32() > 0);
    assert!(expected.data().iter().any(|sample| *sample > 20.0));
    for (own, exact) in output.data().iter().zip(expected.data()) {
        assert!((own - exact).abs() <= 0.01 * exact.abs().max(1.0), "{own} {exact}");
    }
    let limited = fixed.tiles_in_fp32();
    fixed.run(&usual, &mut output).unwrap();
    assert_eq!(fixed.tiles_in_fp32(), limited, "later pictures are computed in fixed point");
}

#[test]
fn fixed_point_stays_near_fp32() {
    let mut jobs: Vec<(Model, Image)> = ["builtin", "builtin-quality"]
        .map(|name| Model::open(name).unwrap())
        .map(|model| {
            let input = picture(model.info.channels.count(), 40, 36);
            (model, input)
        })
        .into();
    if let Some(data) = test_data() {
        for (name, image) in [
            ("realesr-animevideov3.onnx", "images/comic_lq.png"),
            ("realesr-general-x4v3.safetensors", "images/baboon_lq.png"),
        ] {
            let model = open(&data.join("weights").join(name));
            let input = read_png(&data.join(image));
            let mut part = Image::new(3, 48, 40);
            part.copy_from(&input, Rect::new(20, 20, 48, 40), 0, 0);
            jobs.push((model, part));
        }
    }
    for (model, input) in jobs {
        let (db, worst) = fixed_point(&model, &input).expect("the model is offered");
        assert!(db >= 55.0 && worst <= 3, "{}: {db} dB, {worst} of 255", model.name);
    }
}

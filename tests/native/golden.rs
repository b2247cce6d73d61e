//! The engine's pictures of published models are the expected ones.
//!
//! The expected pictures come from ONNX Runtime, ncnn, PyTorch and spandrel, as the README of the
//! test data describes. Those of OpenCV are missing: they went through Y′CbCr in 8 bits.

use std::path::Path;

use gstupscale::{
    frame::Image,
    model::Model,
    native::{Engine, Error, Options, Precision},
};

use crate::common::{
    engine::{psnr, read_png},
    test_data,
};

/// Percentage of samples that must be equal; no sample may differ by more than 1/255.
const SAME_WEIGHTS: f64 = 99.9;
/// Where the expected picture comes from fp32 weights and the file has them rounded to fp16.
const ROUNDED_WEIGHTS: f64 = 90.0;

/// Input, expected picture, and percentage of equal samples.
type Golden = (&'static str, &'static str, f64);

/// Files of models, and what is expected of each.
const GOLDEN: [(&str, &[Golden]); 14] = [
    (
        "realesr-animevideov3.onnx",
        &[
            ("spandrel_16x16", "realesr-animevideov3__spandrel_16x16", SAME_WEIGHTS),
            ("spandrel_32x32", "realesr-animevideov3__spandrel_32x32", SAME_WEIGHTS),
            ("comic_lq", "realesr-animevideov3__comic_lq", SAME_WEIGHTS),
        ],
    ),
    (
        "realesr-animevideov3.pth",
        &[("spandrel_32x32", "realesr-animevideov3__spandrel_32x32", SAME_WEIGHTS)],
    ),
    (
        "realesr-animevideov3-x4.param",
        &[("spandrel_32x32", "realesr-animevideov3__spandrel_32x32", ROUNDED_WEIGHTS)],
    ),
    (
        "realesr-general-x4v3.safetensors",
        &[
            ("spandrel_16x16", "realesr-general-x4v3__spandrel_16x16", SAME_WEIGHTS),
            ("spandrel_32x32", "realesr-general-x4v3__spandrel_32x32", SAME_WEIGHTS),
            ("spandrel_16x16", "spandrel__realesr-general-x4v3__16x16", ROUNDED_WEIGHTS),
            ("comic_lq", "realesr-general-x4v3__comic_lq", SAME_WEIGHTS),
        ],
    ),
    (
        "realesrgan-x4plus-anime.param",
        &[("spandrel_32x32", "ncnn__realesrgan-x4plus-anime__spandrel_32x32", SAME_WEIGHTS)],
    ),
    (
        "realesrgan-x4plus.param",
        &[("spandrel_32x32", "ncnn__realesrgan-x4plus__spandrel_32x32", SAME_WEIGHTS)],
    ),
    ("spanx2_ch52.param", &[("comic_lq", "ncnn__spanx2_ch52__comic_lq", SAME_WEIGHTS)]),
    ("spanx4_ch48.param", &[("comic_lq", "ncnn__spanx4_ch48__comic_lq", SAME_WEIGHTS)]),
    (
        "waifu2x-photo-up2x.param",
        &[("comic_lq", "ncnn__waifu2x-photo-up2x__comic_lq", SAME_WEIGHTS)],
    ),
    (
        "synthetic-rrdb-x1.pth",
        &[("spandrel_32x32", "synthetic-rrdb-x1__spandrel_32x32", SAME_WEIGHTS)],
    ),
    (
        "synthetic-rrdb-x2.pth",
        &[("spandrel_32x32", "synthetic-rrdb-x2__spandrel_32x32", SAME_WEIGHTS)],
    ),
    (
        "synthetic-rrdb-x4.pth",
        &[("spandrel_32x32", "synthetic-rrdb-x4__spandrel_32x32", SAME_WEIGHTS)],
    ),
    (
        "synthetic-rrdb-x4-old-names.pth",
        &[("spandrel_32x32", "synthetic-rrdb-x4__spandrel_32x32", SAME_WEIGHTS)],
    ),
    (
        "synthetic-rrdb-x4.safetensors",
        &[("spandrel_32x32", "synthetic-rrdb-x4__spandrel_32x32", SAME_WEIGHTS)],
    ),
];

/// Multiply-adds per input pixel of the models that int16 is tested with: calibrating larger ones
/// takes minutes in a debug build.
const MAX_INT16_MACS: f64 = 2e6;

/// How far a picture is from the expected one, both in 8 bits.
struct Distance {
    /// Of a sample, in steps.
    largest: i32,
    /// Share of the samples that are equal.
    equal: f64,
}

fn eight_bits(sample: f32) -> i32 {
    (sample.clamp(0.0, 1.0) * 255.0).round() as i32
}

#[track_caller]
fn distance(a: &Image, b: &Image) -> Distance {
    assert_eq!((a.channels(), a.width(), a.height()), (b.channels(), b.width(), b.height()));
    let steps = a.data().iter().zip(b.data()).map(|(a, b)| (eight_bits(*a) - eight_bits(*b)).abs());
    let (mut largest, mut equal) = (0, 0);
    for step in steps {
        largest = step.max(largest);
        equal += usize::from(step == 0);
    }
    Distance { largest, equal: equal as f64 / a.data().len() as f64 }
}

fn open(weights: &Path, file: &str) -> Model {
    Model::open(weights.join(file).to_str().expect("a UTF-8 path")).expect("the model opens")
}

/// Two threads halve the time of the test and change no bit.
fn options(precision: Precision) -> Options {
    Options { precision, threads: 2, ..Options::default() }
}

#[test]
fn published_models_give_the_expected_pictures_in_fp32() {
    let Some(data) = test_data() else { return };
    let mut wrong = Vec::new();
    for (file, pictures) in GOLDEN {
        let model = open(&data.join("weights"), file);
        let mut engine = Engine::open(&model, &options(Precision::Fp32)).expect("it is supported");
        for (input, expected, least) in pictures {
            let input = read_png(&data.join(format!("images/{input}.png")));
            let golden = read_png(&data.join(format!("expected/{expected}.png")));
            let mut output = Image::default();
            engine.run(&input, &mut output).expect("the model runs");
            let Distance { largest, equal } = distance(&output, &golden);
            let equal = 100.0 * equal;
            let line = format!("{file}, {expected}: at most {largest}/255, {equal:.3} % equal");
            eprintln!("{line}");
            if largest > 1 || equal < *least {
                wrong.push(line);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn published_models_in_int16_are_close_to_fp32_or_refused() {
    let Some(data) = test_data() else { return };
    let mut offered = Vec::new();
    for (file, pictures) in GOLDEN {
        let model = open(&data.join("weights"), file);
        if model.info.macs_per_pixel > MAX_INT16_MACS {
            continue;
        }
        let mut fixed = match Engine::open(&model, &options(Precision::Int16)) {
            Ok(engine) => engine,
            Err(error @ Error::Precision { .. }) => {
                eprintln!("{file}: {error}");
                continue;
            }
            Err(error) => panic!("{file}: {error}"),
        };
        let mut exact = Engine::open(&model, &options(Precision::Fp32)).expect("it is supported");
        offered.push(file);
        for (name, ..) in pictures {
            let input = read_png(&data.join(format!("images/{name}.png")));
            let (mut output, mut expected) = (Image::default(), Image::default());
            fixed.run(&input, &mut output).expect("the model runs");
            exact.run(&input, &mut expected).expect("the model runs");
            let clamped = |image: &Image| -> Vec<f32> {
                image.data().iter().map(|sample| sample.clamp(0.0, 1.0)).collect()
            };
            let psnr = psnr(&clamped(&output), &clamped(&expected));
            let Distance { largest, .. } = distance(&output, &expected);
            eprintln!("{file} in int16, {name}: {psnr:.1} dB, at most {largest}/255");
            assert!(psnr >= 55.0 && largest <= 3, "{file}, {name}: {psnr} dB, {largest}/255");
        }
    }
    for file in ["realesr-animevideov3.onnx", "realesr-general-x4v3.safetensors"] {
        assert!(offered.contains(&file), "{file} is not offered in int16");
    }
}

//! Models that run through ONNX Runtime give the expected pictures, and failures are errors.

use crate::common;
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use gstupscale::{
    backend::{self, CpuEngine, regions_are_exact},
    engine::{Backend, EngineOptions, Error, Infer, Monitor, Precision, Silent},
    frame::{Channels, Image},
    model::{Model, ModelInfo},
};

struct CancelledLoad;

impl Monitor for CancelledLoad {
    fn progress(&self, _percent: u32, _what: &str) {}

    fn cancelled(&self) -> bool {
        true
    }
}

fn options(backend: Backend, precision: Precision) -> EngineOptions {
    let cache_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("inference");
    EngineOptions { backend, precision, device_id: 0, threads: 2, cache_dir }
}

/// realesr-animevideov3, factor 4, R′G′B′.
fn animevideo(data: &Path) -> Model {
    let onnx = std::fs::read(data.join("weights/realesr-animevideov3.onnx")).unwrap();
    Model {
        name: "realesr-animevideov3".into(),
        info: ModelInfo {
            channels: Channels::Rgb,
            factor: 4,
            halo: Some(18),
            align: 1,
            min_side: 1,
            fixed_size: None,
            batch: true,
            parameters: 621_000,
            macs_per_pixel: 621_000.0,
            peak_floats_per_pixel: 150.0,
        },
        onnx: onnx.into(),
        digest: "animevideov3".into(),
        external: None,
        description: Box::default(),
        note: None,
        graph: None,
    }
}

fn read_png(path: &Path) -> Image {
    let picture = image::open(path).unwrap().to_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut image = Image::new(3, width, height);
    for channel in 0..3 {
        let samples = picture.pixels().map(|pixel| f32::from(pixel.0[channel]) / 255.0);
        for (to, from) in image.channel_mut(channel).iter_mut().zip(samples) {
            *to = from;
        }
    }
    image
}

/// The largest difference in 8-bit steps, and the share of samples that differ.
fn difference(output: &Image, expected: &Image) -> (i32, f64) {
    assert_eq!(output.data().len(), expected.data().len());
    let step = |sample: &f32| (sample.clamp(0.0, 1.0) * 255.0).round() as i32;
    let differences: Vec<i32> =
        output.data().iter().zip(expected.data()).map(|(a, b)| (step(a) - step(b)).abs()).collect();
    let differing = differences.iter().filter(|&&difference| difference > 0).count();
    let largest = differences.iter().copied().max().unwrap_or(0);
    (largest, differing as f64 / differences.len() as f64)
}

#[test]
fn animevideov3_on_the_cpu_gives_the_expected_pictures() {
    let Some(data) = common::test_data() else { return };
    let options = options(Backend::Cpu, Precision::Fp32);
    let mut engine = backend::fastest_on_cpu(&animevideo(&data), &options, &Silent).unwrap();
    let mut output = Image::default();
    for name in ["comic_lq", "spandrel_16x16", "baboon_lq"] {
        engine.run(&read_png(&data.join(format!("images/{name}.png"))), &mut output).unwrap();
        let expected = read_png(&data.join(format!("expected/realesr-animevideov3__{name}.png")));
        assert_eq!(output.width(), expected.width());
        let (largest, share) = difference(&output, &expected);
        assert!(largest <= 1, "{name}: off by {largest}");
        assert!(share <= 0.001, "{name}: {share} of the samples differ");
    }
}

#[test]
fn a_second_run_gives_the_same_picture_whatever_ran_in_between() {
    let Some(data) = common::test_data() else { return };
    let options = options(Backend::Cpu, Precision::Auto);
    let mut engine = backend::fastest_on_cpu(&animevideo(&data), &options, &Silent).unwrap();
    assert_eq!((engine.backend(), engine.precision()), (Backend::Cpu, Precision::Fp32));
    let input = read_png(&data.join("images/spandrel_32x32.png"));
    let (mut first, mut odd, mut second) = Default::default();
    engine.run(&input, &mut first).unwrap();
    engine.run(&Image::new(3, 17, 5), &mut odd).unwrap();
    assert_eq!((odd.width(), odd.height()), (68, 20));
    engine.run(&input, &mut second).unwrap();
    assert_eq!(first, second);
}

#[test]
fn a_picture_that_the_model_does_not_accept_is_an_error() {
    let Some(data) = common::test_data() else { return };
    let mut model = animevideo(&data);
    model.info.align = 2;
    let mut engine =
        backend::fastest_on_cpu(&model, &options(Backend::Cpu, Precision::Fp32), &Silent).unwrap();
    let mut output = Image::default();
    for input in [Image::new(1, 8, 8), Image::new(3, 7, 8), Image::new(3, 0, 8)] {
        let result = engine.run(&input, &mut output);
        assert!(matches!(result, Err(Error::Shape { .. })), "{result:?}");
    }
}

#[test]
fn a_factor_that_the_graph_does_not_have_is_an_error() {
    let Some(data) = common::test_data() else { return };
    let mut model = animevideo(&data);
    model.info.factor = 2;
    let result = backend::fastest_on_cpu(&model, &options(Backend::Cpu, Precision::Fp32), &Silent);
    assert!(matches!(result, Err(Error::Failed { .. })), "{:?}", result.err());
}

#[test]
fn bytes_that_are_not_a_model_are_an_error() {
    let Some(data) = common::test_data() else { return };
    let mut model = animevideo(&data);
    model.onnx = model.onnx.slice(..model.onnx.len() / 2);
    let result = backend::fastest_on_cpu(&model, &options(Backend::Cpu, Precision::Fp32), &Silent);
    assert!(matches!(result, Err(Error::Failed { .. })), "{:?}", result.err());
}

#[test]
fn a_precision_that_no_backend_supports_is_an_error() {
    let Some(data) = common::test_data() else { return };
    let model = animevideo(&data);
    let load =
        |backend, precision| backend::fastest_on_cpu(&model, &options(backend, precision), &Silent);
    for backend in [Backend::TensorRt, Backend::Cuda] {
        let error = load(backend, Precision::Auto).err();
        assert!(matches!(error, Some(Error::NotOnCpu(named)) if named == backend));
    }
    for (backend, precision) in [
        (Backend::Cpu, Precision::Fp16),
        (Backend::Cpu, Precision::Bf16),
        (Backend::OpenVino, Precision::Int16),
    ] {
        let error = load(backend, precision).err();
        assert!(matches!(error, Some(Error::Precision { .. })), "{backend:?} {precision:?}");
    }
}

#[test]
fn a_cancelled_load_ends_early() {
    let Some(data) = common::test_data() else { return };
    let options = options(Backend::Cpu, Precision::Auto);
    let result = backend::fastest_on_cpu(&animevideo(&data), &options, &CancelledLoad);
    assert!(matches!(result, Err(Error::Cancelled)));
}

/// `None`, with a message, when the library has no such provider or the CPU no such arithmetic.
fn load_if_available(model: &Model, backend: Backend, precision: Precision) -> Option<CpuEngine> {
    match backend::fastest_on_cpu(model, &options(backend, precision), &Silent) {
        Ok(engine) => Some(engine),
        Err(error @ (Error::NoProvider { .. } | Error::Precision { .. })) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn openvino_gives_the_expected_pictures() {
    let Some(data) = common::test_data() else { return };
    let input = read_png(&data.join("images/comic_lq.png"));
    let expected = read_png(&data.join("expected/realesr-animevideov3__comic_lq.png"));
    for (precision, allowed) in [(Precision::Fp32, (1, 0.001)), (Precision::Bf16, (6, 0.5))] {
        let model = animevideo(&data);
        let Some(mut engine) = load_if_available(&model, Backend::OpenVino, precision) else {
            continue;
        };
        assert_eq!((engine.backend(), engine.precision()), (Backend::OpenVino, precision));
        let mut output = Image::default();
        engine.run(&input, &mut output).unwrap();
        let (largest, share) = difference(&output, &expected);
        assert!((largest, share) <= allowed, "{precision:?}: {largest}, {share}");
    }
}

/// Records the reports.
#[derive(Default)]
struct Listener(Mutex<Vec<(u32, String)>>);

impl Monitor for Listener {
    fn progress(&self, percent: u32, what: &str) {
        self.0.lock().unwrap().push((percent, what.into()));
    }

    fn cancelled(&self) -> bool {
        false
    }
}

#[test]
fn auto_measures_once_and_stores_the_result() {
    let Some(data) = common::test_data() else { return };
    let model = animevideo(&data);
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        cache_dir: folder.path().into(),
        ..options(Backend::Auto, Precision::Auto)
    };
    if load_if_available(&model, Backend::OpenVino, Precision::Fp32).is_none() {
        return;
    }
    let mut taken = Vec::new();
    for expect_measuring in [true, false] {
        let listener = Listener::default();
        let engine = backend::fastest_on_cpu(&model, &options, &listener).unwrap();
        taken.push((engine.backend(), engine.precision()));
        let reports = listener.0.into_inner().unwrap();
        assert!(reports.is_sorted_by_key(|(percent, _)| *percent), "{reports:?}");
        assert_eq!(reports.last().map(|(percent, _)| *percent), Some(100));
        let measured = reports.iter().any(|(_, what)| what.contains("Measuring"));
        assert_eq!(measured, expect_measuring, "{reports:?}");
    }
    assert_eq!(taken[0], taken[1]);
}

#[test]
fn regions_of_a_convolutional_network_are_exact_only_with_its_receptive_field() {
    let Some(data) = common::test_data() else { return };
    let model = animevideo(&data);
    for (backend, precision) in [
        (Backend::Cpu, Precision::Fp32),
        (Backend::OpenVino, Precision::Fp32),
        (Backend::OpenVino, Precision::Bf16),
    ] {
        let Some(mut engine) = load_if_available(&model, backend, precision) else { continue };
        let folder = tempfile::tempdir().unwrap();
        let exact =
            |engine: &mut CpuEngine, halo| regions_are_exact(engine, halo, folder.path()).unwrap();
        // Some runtimes choose algorithms by shape on some CPUs.
        if !exact(&mut engine, 18) {
            eprintln!("skipped: regions on {backend} in {precision} are not exact on this CPU");
        }
        assert!(!exact(&mut engine, 16), "{backend} {precision}");
    }
}

/// Runs one of this file's ignored tests in another process, because a process chooses its library
/// once.
fn in_child(test: &str, library: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("pictures::{test}"), "--ignored", "--nocapture"])
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_a_library_the_error_names_the_places_searched() {
    let message = in_child("child_says_why_no_engine_loads", "/nowhere/libonnxruntime.so");
    assert!(message.contains("ORT_DYLIB_PATH=/nowhere/libonnxruntime.so"), "{message}");
    let message = in_child("child_says_why_no_engine_loads", "/etc/passwd");
    assert!(message.contains("ORT_DYLIB_PATH=/etc/passwd"), "{message}");
}

#[test]
#[ignore = "run by without_a_library_the_error_names_the_places_searched"]
fn child_says_why_no_engine_loads() {
    let Some(data) = common::test_data() else { return };
    let model = animevideo(&data);
    for _ in 0..2 {
        match backend::fastest_on_cpu(&model, &options(Backend::Auto, Precision::Auto), &Silent) {
            Err(error @ Error::NoLibrary { .. }) => eprintln!("{error}"),
            Err(error) => panic!("another error: {error}"),
            Ok(_) => panic!("an engine loaded without a library"),
        }
    }
}

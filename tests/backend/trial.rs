//! `.onnx` files whose graphs are not understood.

use std::{fs, path::Path};

use gstupscale::{
    backend,
    engine::{Backend, EngineOptions, Infer, Precision, Silent},
    frame::Image,
    model::{Model, OpenOptions},
};

use crate::common::{self, engine::read_png};

fn open(path: &Path) -> Model {
    backend::open(path.to_str().unwrap(), &OpenOptions::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `model` on `input`, which is reflected up to the sides that the model needs.
fn run(model: &Model, input: &Image) -> Image {
    let options = EngineOptions {
        backend: Backend::Cpu,
        precision: Precision::Fp32,
        device_id: 0,
        threads: 1,
        cache_dir: Path::new(env!("CARGO_TARGET_TMPDIR")).join("trial"),
    };
    let (width, height) = (input.width(), input.height());
    let side = |side: usize| side.next_multiple_of(model.info.align as usize);
    let mut padded = Image::new(input.channels(), side(width), side(height));
    let reflect = |at: usize, side: usize| if at < side { at } else { 2 * side - 2 - at };
    for channel in 0..input.channels() {
        for row in 0..padded.height() {
            let source = input.row(channel, reflect(row, height)).to_vec();
            let to = padded.row_mut(channel, row).iter_mut().enumerate();
            to.for_each(|(column, to)| *to = source[reflect(column, width)]);
        }
    }
    let mut engine = backend::fastest_on_cpu(model, &options, &Silent).unwrap();
    let mut output = Image::default();
    engine.run(&padded, &mut output).unwrap();
    output
}

/// The largest difference, in steps of 8 bits, to the top left of `output`.
fn steps(output: &Image, expected: &Image) -> f32 {
    let mut worst = 0.0f32;
    for channel in 0..expected.channels() {
        for row in 0..expected.height() {
            for (a, b) in output.row(channel, row).iter().zip(expected.row(channel, row)) {
                let rounded = (a.clamp(0.0, 1.0) * 255.0).round();
                worst = worst.max((rounded - b * 255.0).abs());
            }
        }
    }
    worst
}

#[test]
fn exports_with_unknown_operators_run_without_settings() {
    let Some(data) = common::test_data() else { return };
    let field = data.join("field");
    let input = read_png(&field.join("in64x48.png"));
    for (name, align) in [
        ("made_SwinIR_dyn", 8),
        ("made_HAT_dyn", 8),
        ("made_RealPLKSR_dyn", 1),
        ("made_Swin2SR_dyn", 8),
        ("made_SwinIR_fixed64x48", 1),
    ] {
        let model = open(&field.join(format!("{name}.onnx")));
        assert_eq!((model.info.factor, model.info.align), (2, align), "{name}");
        let output = run(&model, &input);
        let expected = read_png(&field.join(format!("{name}.expected.png")));
        let worst = steps(&output, &expected);
        assert!(worst <= 1.01, "{name}: {worst}");
        if model.info.fixed_size.is_none() {
            // Neither side is a multiple of 8.
            let odd = read_png(&field.join("in72.png"));
            let output = run(&model, &odd);
            assert!(output.width() >= 144 && output.data().iter().all(|v| v.is_finite()), "{name}");
        }
    }
}

#[test]
fn a_model_that_takes_values_of_0_to_255_is_found_out() {
    use gstupscale::model::{Graph, internals::write_onnx};
    // Rounds to whole numbers and limits to 0..255, as an export of 8-bit arithmetic does.
    let mut graph = Graph::new(3);
    let rounded = graph.push("Round", &["input"], []);
    let clipped = graph.clip(&rounded, 0.0, 255.0);
    let large = graph.resize_nearest(&clipped, [2.0; 2]);
    graph.set_output(&large);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("net.onnx");
    fs::write(&path, write_onnx(&graph, Default::default()).unwrap()).unwrap();
    let model = open(&path);
    assert!(model.note.as_deref().is_some_and(|note| note.contains("range = 255")));
    let mut input = Image::new(3, 16, 16);
    input.data_mut().fill(0.5);
    let output = run(&model, &input);
    assert!((output.data()[0] - 128.0 / 255.0).abs() < 1e-6);
    fs::write(path.with_extension("toml"), "range = 1").unwrap();
    assert_eq!(open(&path).note, None);
}

//! Opening model files of every format.

use crate::common::test_data;
use gstupscale::{
    frame::Channels,
    model::{Error, Graph, Model, Shuffle, Window, internals::write_onnx},
};

/// Opens a file of the test data's weights; prints a message and returns `None` if they are absent.
fn open(file: &str) -> Option<Model> {
    let path = test_data()?.join("weights").join(file);
    Some(Model::open(&path.display().to_string()).unwrap_or_else(|error| panic!("{file}: {error}")))
}

#[test]
fn the_onnx_file_of_animevideov3_is_analysed_and_kept() {
    let Some(model) = open("realesr-animevideov3.onnx") else { return };
    let info = &model.info;
    assert_eq!((info.factor, info.halo, info.align), (4, Some(18), 1));
    assert_eq!((info.channels, info.parameters), (Channels::Rgb, 621_424));
    assert_eq!((info.min_side, info.fixed_size), (1, None));
    assert!(info.batch && model.graph.is_some());
    assert_eq!(
        model.onnx.len() as u64,
        test_data().unwrap().join("weights/realesr-animevideov3.onnx").metadata().unwrap().len()
    );
}

#[test]
fn ncnn_and_tensorflow_files_are_analysed() {
    for (file, factor, channels) in [
        ("realesr-animevideov3-x4.param", 4, Channels::Rgb),
        ("realesr-animevideov3-x2.param", 2, Channels::Rgb),
        ("FSRCNN_x2.pb", 2, Channels::Luma),
        ("LapSRN_x2.pb", 2, Channels::Luma),
    ] {
        let Some(model) = open(file) else { return };
        let info = &model.info;
        assert_eq!((info.factor, info.channels), (factor, channels), "{file}");
        assert!(info.halo.is_some_and(|halo| (4..40).contains(&halo)), "{file}: {:?}", info.halo);
        println!("{file}: {info:?}");
    }
}

#[test]
fn the_built_in_model_enlarges_luma_by_two() {
    let info = Model::open("builtin").unwrap().info;
    assert_eq!((info.factor, info.channels, info.fixed_size), (2, Channels::Luma, None));
    assert!(info.halo.is_some());
    println!("{info:?}");
}

#[test]
fn the_built_in_quality_model_enlarges_colour_by_two() {
    let info = Model::open("builtin-quality").unwrap().info;
    assert_eq!((info.factor, info.channels, info.fixed_size), (2, Channels::Rgb, None));
    assert_eq!(info.halo, Some(18), "eighteen convolutions of 3x3");
}

#[test]
fn errors_of_missing_models_say_what_to_do() {
    let error = Model::open("no/such/model.onnx").unwrap_err();
    assert!(
        matches!(&error, Error::NotFound { known, .. } if known.contains("builtin")),
        "{error}"
    );
    let error = Model::open("/").unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
    let error = Model::open("builtin+builtin").unwrap_err();
    assert!(error.to_string().contains("pair"), "{error}");
    // Reading from either would never end.
    let pipe = tempfile::tempdir().unwrap();
    let pipe = pipe.path().join("model.onnx");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.to_str().unwrap(), "/dev/zero"] {
        let error = Model::open(path).unwrap_err();
        assert!(error.to_string().contains("pipe"), "{error}");
    }
    if gstupscale::model::catalogue::find("RealESRGAN_x2plus").is_some_and(|entry| !entry.is_here())
    {
        let error = Model::open("RealESRGAN_x2plus").unwrap_err();
        assert!(error.to_string().contains("models fetch RealESRGAN_x2plus"), "{error}");
    }
}

#[test]
fn a_chain_is_one_model() {
    let chain = Model::open("builtin, builtin").unwrap();
    let one = Model::open("builtin").unwrap();
    assert_eq!((chain.info.factor, chain.info.channels), (4, Channels::Luma));
    assert_eq!(chain.info.parameters, 2 * one.info.parameters);
    assert!(chain.info.halo > one.info.halo);
}

#[test]
fn a_network_of_67_mb_opens() {
    // As many weights as RealESRGAN_x4plus, in convolutions of 64 channels.
    let mut graph = Graph::new(3);
    let weight = |graph: &mut Graph, to: u64, from: u64| {
        let values = vec![0.01f32; (to * from * 9) as usize];
        graph.constant_f32("weight", &[to, from, 3, 3], &values)
    };
    let first = weight(&mut graph, 64, 3);
    let mut x = graph.conv("input", &first, None, Window::padded(1));
    for _ in 0..454 {
        let body = weight(&mut graph, 64, 64);
        x = graph.conv(&x, &body, None, Window::padded(1));
    }
    let last = weight(&mut graph, 48, 64);
    let x = graph.conv(&x, &last, None, Window::padded(1));
    let x = graph.depth_to_space(&x, 4, Shuffle::Crd);
    graph.set_output(&x);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.onnx");
    let bytes = write_onnx(&graph, Default::default()).unwrap();
    assert!(bytes.len() > 66_000_000);
    std::fs::write(&path, bytes).unwrap();
    let model = Model::open(&path.display().to_string()).unwrap();
    assert_eq!(model.info.halo, Some(456));
}

mod running {
    //! Running rewritten models with ONNX Runtime.

    use std::path::{Path, PathBuf};

    use gstupscale::{
        backend,
        engine::{Backend, EngineOptions, Error, Infer, Precision, Silent},
        frame::Image,
        model::{Attribute, Element, Graph, Layout, Model, Window, internals::write_onnx},
    };

    /// An image of different samples, and the model's output for it; prints a message and returns
    /// `None` if there is no ONNX Runtime.
    fn run(model: &Model, width: usize, height: usize) -> Option<(Image, Image)> {
        let cache_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("models");
        let (backend, precision) = (Backend::Cpu, Precision::Fp32);
        let options = EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir };
        let mut engine = match backend::fastest_on_cpu(model, &options, &Silent) {
            Err(error @ Error::NoLibrary { .. }) => {
                eprintln!("skipped: {error}");
                return None;
            }
            engine => engine.unwrap(),
        };
        let mut input = Image::new(model.info.channels.count(), width, height);
        for (index, sample) in input.data_mut().iter_mut().enumerate() {
            *sample = (index * 37 % 101) as f32 / 100.0;
        }
        let mut output = Image::default();
        engine.run(&input, &mut output).unwrap();
        Some((input, output))
    }

    #[track_caller]
    fn alike(a: &Image, b: &Image, within: f32) {
        assert_eq!((a.channels(), a.width(), a.height()), (b.channels(), b.width(), b.height()));
        let worst = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= within, "differs by {worst}");
    }

    /// The model of a file with this sidecar.
    fn file(graph: &Graph, settings: &str) -> Model {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.onnx");
        let bytes = write_onnx(graph, Layout::default()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::write(path.with_extension("toml"), settings).unwrap();
        Model::open(&path.display().to_string()).unwrap()
    }

    #[test]
    fn range_mean_order_layout_and_alpha_are_adapted() {
        // Adds 25.5 to the third channel, which is red in BGR, of NHWC images.
        let mut graph = Graph::new(3);
        graph.input_dims = vec![None, None, None, Some(4)];
        let change = graph.constant_f32("change", &[4], &[0.0, 0.0, 25.5, 0.0]);
        let x = graph.add("input", &change);
        // The mean is subtracted before and added after; alpha is opaque (255).
        let opaque = graph.constant_f32("opaque", &[4], &[1.0, 1.0, 1.0, 1.0 / 255.0]);
        let x = graph.mul(&x, &opaque);
        graph.set_output(&x);
        let settings = "order = 'bgr'\nrange = 255\nmean = [103.15, 111.56, 114.36]\nalpha = true";
        let model = file(&graph, settings);
        let Some((mut input, output)) = run(&model, 7, 5) else { return };
        input.channel_mut(0).iter_mut().for_each(|sample| *sample += 0.1);
        alike(&output, &input, 1e-5);
    }

    #[test]
    fn a_shuffle_inverts_an_unshuffle() {
        let mut graph = Graph::new(3);
        let x = graph.space_to_depth("input", 2, 3);
        let x = graph.depth_to_space(&x, 2, gstupscale::model::Shuffle::Crd);
        graph.set_output(&x);
        let model = Model::from_graph("unshuffle", Path::new("unshuffle"), graph).unwrap();
        let Some((input, output)) = run(&model, 6, 4) else { return };
        alike(&output, &input, 0.0);
    }

    #[test]
    fn a_network_without_padding_produces_a_full_frame() {
        // A delta in the centre of a 5×5 window: the image without two samples at each side.
        let mut graph = Graph::new(1);
        let mut delta = [0.0; 25];
        delta[12] = 1.0;
        let weight = graph.constant_f32("weight", &[1, 1, 5, 5], &delta);
        let x = graph.conv("input", &weight, None, Window::default());
        graph.set_output(&x);
        let model = Model::from_graph("crop", Path::new("crop"), graph).unwrap();
        assert_eq!(model.info.halo, Some(2));
        let Some((input, output)) = run(&model, 9, 8) else { return };
        alike(&output, &input, 0.0);
    }

    #[test]
    fn a_chain_equals_its_parts_in_sequence() {
        let one = Model::open("builtin").unwrap();
        let both = Model::open("builtin,builtin").unwrap();
        let Some((_, chained)) = run(&both, 12, 10) else { return };
        let Some((_, first)) = run(&one, 12, 10) else { return };
        let cache_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("models");
        let (backend, precision) = (Backend::Cpu, Precision::Fp32);
        let options = EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir };
        let mut engine = backend::fastest_on_cpu(&one, &options, &Silent).unwrap();
        let mut second = Image::default();
        engine.run(&first, &mut second).unwrap();
        alike(&chained, &second, 1e-5);
    }

    #[test]
    fn half_precision_and_fixed_sizes_stay_close() {
        let model = Model::open("builtin").unwrap();
        let layout = Layout {
            element: Element::F16,
            batch: Some(1),
            size: Some((16, 12)),
            ..Layout::default()
        };
        let onnx = model.onnx_at(layout).unwrap();
        let mut half = Model { onnx, digest: "half".into(), ..model.clone() };
        half.info.fixed_size = layout.size;
        let Some((_, exact)) = run(&model, 16, 12) else { return };
        let Some((_, close)) = run(&half, 16, 12) else { return };
        alike(&close, &exact, 0.01);
    }

    #[test]
    fn the_computed_halo_equals_the_measured_halo() {
        // Changes one sample of the input and finds the most distant change of the output.
        let mut graphs: Vec<(&str, Graph)> = Vec::new();
        let ones = |graph: &mut Graph, size: u64| {
            graph.constant_f32("w", &[1, 1, size, size], &vec![0.25; (size * size) as usize])
        };
        let mut graph = Graph::new(1);
        let w = ones(&mut graph, 9);
        let window = Window { stride: [2; 2], ..Window::padded(4) };
        let x = graph.conv_transpose("input", &w, None, window, [1; 2]);
        let w = ones(&mut graph, 3);
        let x = graph.conv(&x, &w, None, Window::padded(1));
        graph.set_output(&x);
        graphs.push(("transposed", graph));
        for (name, cubic) in [("linear", false), ("cubic", true)] {
            for scale in [2.0, 3.0] {
                let mut graph = Graph::new(1);
                let w = ones(&mut graph, 3);
                let x = graph.conv("input", &w, None, Window::padded(1));
                let x = match cubic {
                    true => graph.resize_cubic(&x, [scale; 2]),
                    false => graph.resize_linear(&x, [scale; 2]),
                };
                let x = graph.conv(&x, &w, None, Window::padded(1));
                graph.set_output(&x);
                graphs.push((name, graph));
            }
        }
        let mut graph = Graph::new(1);
        let w = ones(&mut graph, 3);
        let x = graph.conv("input", &w, None, Window { stride: [2; 2], ..Window::padded(1) });
        let kernel =
            [("kernel_shape", Attribute::Ints(vec![3, 3])), ("pads", Attribute::Ints(vec![1; 4]))];
        let x = graph.push("AveragePool", &[&x], kernel);
        let x = graph.resize_nearest(&x, [4.0; 2]);
        let x = graph.conv(&x, &w, None, Window::padded(1));
        graph.set_output(&x);
        graphs.push(("strided", graph));

        for (name, graph) in graphs {
            let model = Model::from_graph(name, Path::new(name), graph).unwrap();
            let cache_dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("models");
            let (backend, precision) = (Backend::Cpu, Precision::Fp32);
            let options = EngineOptions { backend, precision, device_id: 0, threads: 1, cache_dir };
            let mut engine = match backend::fastest_on_cpu(&model, &options, &Silent) {
                Err(error @ Error::NoLibrary { .. }) => return eprintln!("skipped: {error}"),
                engine => engine.unwrap(),
            };
            let (side, factor) = (48, model.info.factor as usize);
            let align = model.info.align as usize;
            let mut measured = 0;
            let (mut plain, mut changed) = (Image::default(), Image::default());
            engine.run(&Image::new(1, side, side), &mut plain).unwrap();
            for place in 20..20 + align {
                let mut input = Image::new(1, side, side);
                input.row_mut(0, place)[place] = 1.0;
                engine.run(&input, &mut changed).unwrap();
                for y in 0..side * factor {
                    for x in 0..side * factor {
                        if plain.row(0, y)[x] != changed.row(0, y)[x] {
                            // The distance from the aligned block that contains the pixel.
                            let block = x / factor / align * align;
                            let away = block
                                .saturating_sub(place)
                                .max(place.saturating_sub(block + align - 1));
                            measured = measured.max(away);
                        }
                    }
                }
            }
            assert_eq!(model.info.halo, Some(measured as u32), "{name} {factor}");
        }
    }
}

//! Small networks saved by PyTorch (`tests/data/checkpoints.py`) produce PyTorch's numbers.

use crate::common::engine;
use std::{fs, path::PathBuf};

use gstupscale::{
    frame::Image,
    model::{Error, Model, internals::read_checkpoint},
};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints").join(name)
}

#[test]
fn every_architecture_produces_pytorchs_numbers() {
    for (name, factor, channels) in [
        ("span_stale_merge", 2, 3),
        ("span_merged", 2, 3),
        ("span_no_norm", 4, 3),
        ("edsr_original_x3", 3, 3),
        ("edsr_original_x4", 4, 3),
        ("edsr_basic_x2", 2, 3),
        ("espcn_tanh", 3, 1),
        ("espcn_in_training", 2, 1),
        ("espcn_relu", 3, 1),
        ("fsrcnn_x2", 2, 1),
        ("fsrcnn_x3", 3, 1),
        ("srcnn_x3", 3, 1),
        ("vdsr_row_x2", 2, 1),
        ("vdsr_trunk_x2", 2, 1),
        ("vdsr_residual_x2", 2, 1),
    ] {
        let mut input = Image::new(channels, 6, 8);
        let samples = input.data_mut().iter_mut().enumerate();
        samples.for_each(|(index, sample)| *sample = (index * 37 % 101) as f32 / 100.0);
        let (model, output) = engine::run(&data(&format!("{name}.pth")), &input);
        assert_eq!(model.info.factor, factor, "{name}");
        assert!(model.info.halo.is_some(), "{name}");
        let bytes = fs::read(data(&format!("{name}.npy"))).unwrap();
        let numbers = &bytes[bytes.len() - 4 * output.data().len()..];
        let expected: Vec<f32> =
            numbers.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let largest = expected.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        let pairs = output.data().iter().zip(&expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-5 * largest, "{name}: {worst} of {largest}");
    }
}

#[test]
fn tensors_of_every_type_layout_and_protocol_are_read() {
    let eighths = |order: &[usize]| order.iter().map(|&n| n as f32 / 8.0).collect::<Vec<_>>();
    let plain: Vec<usize> = (0..12).collect();
    let expected = [
        ("brain", vec![12], eighths(&plain)),
        ("channels_last", vec![2, 3, 4, 2], eighths(&(0..48).collect::<Vec<_>>())),
        ("double", vec![12], eighths(&plain)),
        ("every_second", vec![12], eighths(&(0..24).step_by(2).collect::<Vec<_>>())),
        ("half", vec![3, 4], eighths(&plain)),
        ("parameter", vec![12], eighths(&plain)),
        ("part", vec![12], eighths(&(5..17).collect::<Vec<_>>())),
        ("scalar", vec![], vec![1.5]),
        ("transposed", vec![3, 4], eighths(&[0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11])),
    ];
    for file in ["odd_2", "odd_3", "odd_4", "odd_5", "odd_stream", "odd_no_checksums"] {
        let weights = read_checkpoint(&data(&format!("{file}.pth"))).unwrap();
        let names: Vec<&str> = weights.names().collect();
        assert_eq!(names, expected.each_ref().map(|tensor| tensor.0), "{file}");
        for (name, dims, values) in &expected {
            let tensor = weights.get(name).unwrap();
            assert_eq!((&tensor.dims, &tensor.to_f32().unwrap()), (dims, values), "{file} {name}");
        }
    }
}

#[test]
fn a_pickled_module_is_rejected_by_name() {
    let error = Model::open(&data("whole_module.pth").display().to_string()).unwrap_err();
    assert!(
        matches!(&error, Error::Unsuitable { why, .. }
            if why.contains("torch.nn.modules.conv.Conv2d") && why.contains("state_dict()")),
        "{error}"
    );
}

#[test]
fn the_noise_that_a_denoiser_removes_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pth");
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/architectures");
    fs::copy(data.join("drunet_luma.pth"), &path).unwrap();
    let mut input = Image::new(1, 16, 16);
    input.data_mut().fill(0.5);
    let output = |settings: &str| {
        fs::write(path.with_extension("toml"), settings).unwrap();
        engine::run(&path, &input).1
    };
    let usual = output("");
    assert_eq!(usual.data(), output("noise = 15").data());
    assert_ne!(usual.data(), output("noise = 50").data());
    fs::write(path.with_extension("toml"), "noise = 256").unwrap();
    let error = Model::open(&path.display().to_string()).unwrap_err().to_string();
    assert!(error.contains("0 to 255"), "{error}");
}

#[test]
fn networks_of_any_factor_need_one_from_the_name_or_sidecar() {
    for name in ["fsrcnn_x2", "srcnn_x3", "vdsr_row_x2"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.pth");
        fs::copy(data(&format!("{name}.pth")), &path).unwrap();
        let open = || Model::open(&path.display().to_string());
        assert!(open().unwrap_err().to_string().contains("factor = 2"), "{name}");
        fs::write(path.with_extension("toml"), "factor = 2").unwrap();
        assert_eq!(open().unwrap().info.factor, 2, "{name}");
        fs::write(path.with_extension("toml"), "factor = 99").unwrap();
        assert!(open().unwrap_err().to_string().contains("99"), "{name}");
    }
}

/// A `.safetensors` file with these tensors: name, shape, and elements in float32.
fn safetensors(tensors: &[(&str, Vec<u64>, &[u8])]) -> Vec<u8> {
    let mut end = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, dims, data)| {
            let start = end;
            end += data.len();
            format!(r#""{name}":{{"dtype":"F32","shape":{dims:?},"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    tensors.iter().for_each(|(_, _, data)| file.extend_from_slice(data));
    file
}

#[test]
fn weights_of_other_shapes_or_without_a_tensor_are_no_panic_in_any_architecture() {
    /// Tensors per file that are changed.
    const CHANGED: usize = 6;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed_x2.safetensors");
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/architectures");
    let mut refused = 0;
    for file in fs::read_dir(data).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|end| end != "pth") {
            continue;
        }
        let weights = read_checkpoint(&file).unwrap();
        let names: Vec<&str> = weights.names().collect();
        for changed in (0..names.len()).step_by(names.len().div_ceil(CHANGED)) {
            let dims = &weights.get(names[changed]).unwrap().dims;
            let reversed = dims.iter().rev().copied().collect();
            let flat = vec![dims.iter().product()];
            let deeper = [&[1], dims.as_slice()].concat();
            for shape in [None, Some(reversed), Some(flat), Some(deeper)] {
                let tensors = names.iter().enumerate().filter_map(|(index, &name)| {
                    let tensor = weights.get(name)?;
                    let dims = if index == changed { shape.clone()? } else { tensor.dims.clone() };
                    Some((name, dims, &tensor.data[..]))
                });
                fs::write(&path, safetensors(&tensors.collect::<Vec<_>>())).unwrap();
                match Model::open(path.to_str().unwrap()) {
                    Ok(_) => {}
                    Err(Error::Unsuitable { .. } | Error::Damaged { .. }) => refused += 1,
                    Err(error) => panic!("{}: {error}", file.display()),
                }
            }
        }
    }
    // Biases may be missing, and some shapes read the same from both ends.
    assert!(refused > 200, "{refused}");
}

//! PyTorch's checkpoints produce PyTorch's images.

use crate::common;
use crate::common::checkpoint as files;
use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use gstupscale::{
    frame::{Channels, Image},
    model::{Error, Model, OpenOptions, internals::parse_checkpoint},
};
use zip::CompressionMethod;

use crate::common::checkpoint::Tensors;
use crate::common::engine::{read_png, run};

/// The largest difference between two images of one size.
#[track_caller]
pub fn difference(a: &Image, b: &Image) -> f32 {
    assert_eq!((a.channels(), a.width(), a.height()), (b.channels(), b.width(), b.height()));
    a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub fn eight_bits(mut picture: Image) -> Image {
    let round = |sample: f32| (sample.clamp(0.0, 1.0) * 255.0).round() / 255.0;
    picture.data_mut().iter_mut().for_each(|sample| *sample = round(*sample));
    picture
}

/// An image in NumPy's format: float32, 1×3×H×W.
fn read_npy(path: &Path, width: usize, height: usize) -> Image {
    let bytes = fs::read(path).unwrap();
    let mut picture = Image::new(3, width, height);
    let start = bytes.len() - 4 * picture.data().len();
    let samples = bytes[start..].as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
    picture.data_mut().iter_mut().zip(samples).for_each(|(to, from)| *to = from);
    picture
}

/// A file of this content, in a folder that is deleted with the first value.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// Different samples everywhere.
fn picture(channels: usize, width: usize, height: usize) -> Image {
    let mut picture = Image::new(channels, width, height);
    let samples = picture.data_mut().iter_mut().enumerate();
    samples.for_each(|(place, sample)| *sample = (place * 37 % 101) as f32 / 100.0);
    picture
}

#[test]
fn animevideov3_pth_produces_the_published_images() {
    let Some(data) = common::test_data() else { return };
    for name in ["comic_lq", "spandrel_16x16", "spandrel_32x32"] {
        let input = read_png(&data.join(format!("images/{name}.png")));
        let (model, output) = run(&data.join("weights/realesr-animevideov3.pth"), &input);
        assert_eq!((model.info.factor, model.info.halo), (4, Some(18)));
        assert_eq!((model.info.channels, model.info.parameters), (Channels::Rgb, 621_424));
        let expected = data.join(format!("expected/realesr-animevideov3__{name}.png"));
        let worst = difference(&eight_bits(output), &read_png(&expected));
        assert!(worst <= 1.001 / 255.0, "{name}: {worst}");
    }
}

#[test]
fn general_x4v3_safetensors_produces_spandrels_images() {
    let Some(data) = common::test_data() else { return };
    for name in ["16x16", "32x32"] {
        let input = read_png(&data.join(format!("images/spandrel_{name}.png")));
        let (model, output) = run(&data.join("weights/realesr-general-x4v3.safetensors"), &input);
        assert_eq!((model.info.factor, model.info.halo), (4, Some(34)));
        let expected = data.join(format!("expected/spandrel__realesr-general-x4v3__{name}.png"));
        let worst = difference(&eight_bits(output), &read_png(&expected));
        assert!(worst <= 1.001 / 255.0, "{name}: {worst}");
    }
}

#[test]
fn every_variant_of_rrdb_produces_pytorchs_numbers() {
    let Some(data) = common::test_data() else { return };
    let input = read_png(&data.join("images/spandrel_32x32.png"));
    for (file, factor, align) in [
        ("synthetic-rrdb-x4.pth", 4, 1),
        ("synthetic-rrdb-x4-old-names.pth", 4, 1),
        ("synthetic-rrdb-x4.safetensors", 4, 1),
        ("synthetic-rrdb-x2.pth", 2, 2),
        ("synthetic-rrdb-x1.pth", 1, 4),
    ] {
        let (model, output) = run(&data.join("weights").join(file), &input);
        assert_eq!((model.info.factor, model.info.align), (factor, align), "{file}");
        let expected = data.join(format!("expected/synthetic-rrdb-x{factor}__spandrel_32x32.npy"));
        let side = 32 * factor as usize;
        let worst = difference(&output, &read_npy(&expected, side, side));
        assert!(worst <= 1e-4, "{file}: {worst}");
    }
}

#[test]
fn compact_networks_load_from_every_container() {
    for (width, convolutions, factor) in [(32, 8, 2), (24, 3, 1)] {
        let tensors = files::compact(width, convolutions, factor);
        let input = picture(3, 10, 7);
        let mut outputs = Vec::new();
        for content in [
            files::pth(&tensors, "params", CompressionMethod::Stored),
            files::pth(&tensors, "", CompressionMethod::Deflated),
            files::stream(&tensors, "state_dict"),
        ] {
            let (_folder, path) = file("net.pt", &content);
            let (model, output) = run(&path, &input);
            assert_eq!(model.info.factor as usize, factor);
            assert_eq!(model.info.halo, Some(convolutions as u32 + 2));
            outputs.push(output);
        }
        assert_eq!(outputs[0], outputs[1]);
        assert_eq!(outputs[0], outputs[2]);
        let reference = reference_compact(&tensors, &input, factor);
        assert!(difference(&outputs[0], &reference) < 1e-4);
    }
}

/// A straightforward implementation of SRVGGNetCompact.
fn reference_compact(tensors: &Tensors, input: &Image, factor: usize) -> Image {
    let get = |name: &str| tensors.iter().find(|tensor| tensor.0 == name);
    let (width, height) = (input.width(), input.height());
    let mut x = input.clone();
    for place in 0.. {
        let Some((_, shape, weight)) = get(&format!("body.{place}.weight")) else { break };
        let Some((_, _, bias)) = get(&format!("body.{place}.bias")) else {
            for (channel, slope) in weight.iter().enumerate() {
                let samples = x.channel_mut(channel).iter_mut();
                samples.filter(|sample| **sample < 0.0).for_each(|sample| *sample *= slope);
            }
            continue;
        };
        let mut y = Image::new(shape[0], width, height);
        for output in 0..shape[0] {
            for place in 0..width * height {
                let mut sum = bias[output];
                for tap in 0..9 * shape[1] {
                    let (channel, row, column) = (tap / 9, tap / 3 % 3, tap % 3);
                    let at = (place / width + row, place % width + column);
                    if (1..=height).contains(&at.0) && (1..=width).contains(&at.1) {
                        let sample = x.row(channel, at.0 - 1)[at.1 - 1];
                        sum += sample * weight[output * 9 * shape[1] + tap];
                    }
                }
                y.channel_mut(output)[place] = sum;
            }
        }
        x = y;
    }
    let mut output = Image::new(3, width * factor, height * factor);
    for channel in 0..3 {
        for row in 0..height * factor {
            for column in 0..width * factor {
                let part = (channel * factor + row % factor) * factor + column % factor;
                output.row_mut(channel, row)[column] = x.row(part, row / factor)[column / factor]
                    + input.row(channel, row / factor)[column / factor];
            }
        }
    }
    output
}

#[test]
fn the_sidecar_sets_the_activation_of_a_compact_network_without_slopes() {
    let mut tensors = files::compact(8, 2, 2);
    tensors.retain(|(name, shape, _)| shape.len() > 1 || name.ends_with("bias"));
    let (_folder, path) =
        file("net.pth", &files::pth(&tensors, "params", CompressionMethod::Stored));
    let with_slope = |slope: f32| {
        let mut tensors = tensors.clone();
        for place in [1, 3, 5] {
            tensors.push((format!("body.{place}.weight"), vec![8], vec![slope; 8]));
        }
        reference_compact(&tensors, &picture(3, 6, 5), 2)
    };
    let relu = run(&path, &picture(3, 6, 5)).1;
    assert!(difference(&relu, &with_slope(0.0)) < 1e-5);
    fs::write(path.with_extension("toml"), "activation = 'leakyrelu'").unwrap();
    let leaky = run(&path, &picture(3, 6, 5)).1;
    assert!(difference(&leaky, &with_slope(0.1)) < 1e-5);
    assert!(difference(&leaky, &relu) > 1e-3);
}

#[test]
fn denoise_interpolates_general_x4v3_with_its_counterpart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut counterpart = files::compact(8, 2, 4);
    for (_, _, values) in &mut counterpart {
        values.iter_mut().for_each(|value| *value = 0.5 * *value + 0.01);
    }
    let write = |name: &str, tensors: &Tensors| {
        fs::write(path(name), files::pth(tensors, "params", CompressionMethod::Stored)).unwrap();
    };
    let general = files::compact(8, 2, 4);
    let mut mean = general.clone();
    for ((_, _, mean), (_, _, other)) in mean.iter_mut().zip(&counterpart) {
        mean.iter_mut().zip(other).for_each(|(a, b)| *a = 0.5 * *a + 0.5 * b);
    }
    write("realesr-general-x4v3.pth", &general);
    write("mean.pth", &mean);
    write("other.pth", &files::compact(16, 2, 4));

    let open =
        |name: &str, denoise: Option<f32>| Model::open_with(&path(name), &OpenOptions { denoise });
    let digest = |name: &str, denoise| open(name, denoise).unwrap().digest;
    // The counterpart is read only if it is needed.
    let alone = digest("realesr-general-x4v3.pth", Some(1.0));
    let missing = open("realesr-general-x4v3.pth", Some(0.5));
    if let Err(error) = missing {
        assert!(error.to_string().contains("fetch realesr-general-wdn-x4v3"), "{error}");
    }
    write("realesr-general-wdn-x4v3.pth", &counterpart);
    let wdn = digest("realesr-general-wdn-x4v3.pth", None);
    assert_eq!(alone, digest("realesr-general-x4v3.pth", None));
    assert_eq!(wdn, digest("realesr-general-x4v3.pth", Some(0.0)));
    assert_ne!(wdn, alone);
    assert_eq!(digest("mean.pth", None), digest("realesr-general-x4v3.pth", Some(0.5)));

    // Any two checkpoints of one architecture.
    let pair = format!("realesr-general-x4v3.pth+{}", path("realesr-general-wdn-x4v3.pth"));
    assert_eq!(digest(&pair, None), digest("mean.pth", None));
    assert_eq!(digest(&pair, Some(1.0)), alone);
    assert_eq!(digest(&pair, Some(0.0)), wdn);
    let unlike = format!("mean.pth+{}", path("other.pth"));
    let error = open(&unlike, Some(0.5)).unwrap_err().to_string();
    assert!(error.contains("body.0.bias") || error.contains("body.0.weight"), "{error}");

    fs::write(path("text.onnx"), "no checkpoint").unwrap();
    let error = open(&format!("mean.pth+{}", path("text.onnx")), None).unwrap_err();
    assert!(matches!(&error, Error::Unsuitable { why, .. } if why.contains("pair")), "{error}");
    let error = open("mean.pth+nothing.pth", None).unwrap_err();
    assert!(matches!(&error, Error::NotFound { .. }), "{error}");

    for (name, denoise) in [("mean.pth", 0.5), ("realesr-general-x4v3.pth", 1.5)] {
        let error = open(name, Some(denoise)).unwrap_err();
        assert!(
            matches!(&error, Error::Unsuitable { why, .. } if why.contains("denoise")),
            "{error}"
        );
    }
}

#[test]
fn unknown_and_incomplete_networks_are_rejected_with_the_weight() {
    let open = |tensors: &Tensors| {
        let content = files::pth(tensors, "", CompressionMethod::Stored);
        let (_folder, path) = file("net.pth", &content);
        Model::open(&path.display().to_string()).unwrap_err().to_string()
    };
    let error = open(&vec![("layers.0.attn.weight".into(), vec![2, 2], vec![0.0; 4])]);
    for word in ["layers.0.attn.weight", "SRVGGNetCompact", "RRDBNet", "SPAN", "EDSR", "ESPCN"] {
        assert!(error.contains(word), "{word} in {error}");
    }
    let mut missing = files::compact(8, 2, 2);
    missing.retain(|(name, ..)| name != "body.4.weight");
    assert!(open(&missing).contains("body.4.weight"), "{}", open(&missing));
    let mut odd = files::compact(8, 2, 2);
    odd[5].1 = vec![4, 16, 3, 3];
    let name = odd[5].0.clone();
    assert!(open(&odd).contains(&name) || open(&odd).contains("body."), "{}", open(&odd));
    let mut more = files::compact(8, 2, 2);
    more.push(("body.2.norm.weight".into(), vec![8], vec![1.0; 8]));
    assert!(open(&more).contains("body.2.norm.weight"), "{}", open(&more));
}

#[test]
fn a_generator_among_other_networks_is_found() {
    let net = files::compact(8, 2, 2);
    let mut tensors = Tensors::new();
    for (name, shape, values) in &net {
        tensors.push((format!("module.generator.{name}"), shape.clone(), values.clone()));
        tensors.push((format!("module.discriminator.{name}"), vec![1], vec![0.0]));
    }
    let content = files::stream(&tensors, "state_dict");
    let weights = parse_checkpoint(&Bytes::from(content)).unwrap();
    let mut names: Vec<&str> = net.iter().map(|tensor| tensor.0.as_str()).collect();
    names.sort_unstable();
    assert_eq!(weights.names().collect::<Vec<_>>(), names);
}

#[test]
fn a_generator_that_is_a_part_of_its_network_stays_there() {
    let names =
        ["encoder.blocks.0.weight", "generator.blocks.0.weight", "quantize.embedding.weight"];
    let tensors: Tensors =
        names.iter().map(|&name| (name.to_owned(), vec![1], vec![0.0])).collect();
    let content = files::stream(&tensors, "params_ema");
    let weights = parse_checkpoint(&Bytes::from(content)).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), names);
}

#[test]
fn a_chain_equals_running_its_models_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let [clean, general] = ["clean-1x.pth", "realesr-general-x4v3.pth"].map(|name| {
        let factor = if name.starts_with("clean") { 1 } else { 4 };
        let content =
            files::pth(&files::compact(8, 2, factor), "params", CompressionMethod::Stored);
        fs::write(folder.path().join(name), content).unwrap();
        folder.path().join(name)
    });
    let chain = PathBuf::from(format!("{},{}", clean.display(), general.display()));
    let input = picture(3, 9, 8);
    let (model, chained) = run(&chain, &input);
    assert_eq!((model.info.factor, model.info.halo), (4, Some(8)));
    let (_, by_hand) = run(&general, &run(&clean, &input).1);
    assert!(difference(&chained, &by_hand) < 1e-5);
    // The denoise strength applies to the model that has one.
    let options = OpenOptions { denoise: Some(1.0) };
    let strong = Model::open_with(chain.to_str().unwrap(), &options).unwrap();
    assert_eq!(strong.digest, model.digest);
}

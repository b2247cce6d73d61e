//! ncnn models produce ncnn's images, and invalid ones are rejected.

use crate::common;
use std::{fs, path::Path};

use gstupscale::{
    frame::Image,
    model::{
        Error, Graph, Model,
        internals::{Fault, parse_ncnn, read_ncnn},
    },
};

use crate::common::engine::{psnr, read_png, run};

#[test]
fn animevideov3_produces_the_expected_images() {
    let Some(data) = common::test_data() else { return };
    let weights = data.join("weights");
    for name in ["comic_lq", "baboon_lq"] {
        let input = read_png(&data.join(format!("images/{name}.png")));
        let (model, output) = run(&weights.join("realesr-animevideov3-x4.param"), &input);
        assert_eq!((model.info.factor, model.info.halo), (4, Some(18)));
        let expected = read_png(&data.join(format!("expected/realesr-animevideov3__{name}.png")));
        let step = |sample: &f32| (sample.clamp(0.0, 1.0) * 255.0).round() as i32;
        let pairs = output.data().iter().zip(expected.data());
        let largest = pairs.map(|(a, b)| (step(a) - step(b)).abs()).max();
        assert!(largest <= Some(1), "{name}: off by {largest:?}");
        // The weights of the ncnn export are fp16; ncnn's own output is 65.9 dB from the ONNX
        // model's on comic_lq.
        let (_, exact) = run(&weights.join("realesr-animevideov3.onnx"), &input);
        let psnr = psnr(output.data(), exact.data());
        assert!(psnr >= 62.0, "{name}: {psnr} dB");
    }
}

#[test]
fn animevideov3_x2_opens_from_either_file() {
    let Some(data) = common::test_data() else { return };
    let input = read_png(&data.join("images/spandrel_32x32.png"));
    let (_, output) = run(&data.join("weights/realesr-animevideov3-x2.param"), &input);
    assert_eq!((output.width(), output.height()), (64, 64));
    let (model, same) = run(&data.join("weights/realesr-animevideov3-x2.bin"), &input);
    assert_eq!(model.info.factor, 2);
    assert_eq!(output, same);
}

/// The native engine's tests compare the other published models (`tests/native/golden.rs`).
#[test]
fn waifu2x_cunet_produces_the_image_of_ncnn() {
    let Some(data) = common::test_data() else { return };
    let input = read_png(&data.join("images/comic_lq.png"));
    let (model, output) = run(&data.join("weights/waifu2x-cunet-up2x.param"), &input);
    assert_eq!(model.info.factor, 2);
    let expected = read_png(&data.join("expected/ncnn__waifu2x-cunet-up2x__comic_lq.png"));
    let step = |sample: &f32| (sample.clamp(0.0, 1.0) * 255.0).round() as i32;
    let pairs = output.data().iter().zip(expected.data());
    let largest = pairs.map(|(a, b)| (step(a) - step(b)).abs()).max();
    assert!(largest <= Some(1), "off by {largest:?}");
}

/// Samples, as in `tests/data/ncnn_layers.py`.
fn pattern(start: usize, count: usize) -> impl Iterator<Item = f32> {
    (start..start + count).map(|i| ((i * 7919 + 13) % 1000) as f32 / 1000.0 - 0.5)
}

/// The `.param` and `.bin` file of a test case.
fn files(case: &toml::Table) -> (String, Vec<u8>) {
    let layers = case["layers"].as_str().expect("layers");
    let count = layers.lines().count() + 1;
    let outputs = |line: &str| line.split(' ').nth(3).map_or(0, |n| n.parse().expect("a count"));
    let blobs = layers.lines().map(outputs).sum::<usize>() + 1;
    let param = format!("7767517\n{count} {blobs}\nInput in 0 1 in0\n{layers}\n");
    let (mut bin, mut start) = (Vec::new(), 0);
    for part in case["weights"].as_str().expect("weights").split_whitespace() {
        let (kind, count) = part.split_at(1);
        let count = count.parse().expect("a count");
        let values = pattern(start, count);
        start += count;
        match kind {
            "h" => {
                bin.extend(0x0130_6B47_u32.to_le_bytes());
                bin.extend(values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()));
                bin.resize(bin.len().next_multiple_of(4), 0);
            }
            "f" => {
                bin.extend([0; 4]);
                bin.extend(values.flat_map(f32::to_le_bytes));
            }
            _ => bin.extend(values.flat_map(f32::to_le_bytes)),
        }
    }
    (param, bin)
}

fn cases() -> Vec<toml::Table> {
    let text = include_str!("../data/ncnn_layers.toml").parse::<toml::Table>().expect("figures");
    let cases = text["case"].as_array().expect("cases");
    cases.iter().map(|case| case.as_table().expect("a case").clone()).collect()
}

#[test]
fn every_layer_produces_ncnns_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (text, binary) = (folder.path().join("net.param"), folder.path().join("net.bin"));
    let mut input = Image::new(3, 16, 12);
    input.data_mut().iter_mut().zip(pattern(0, 576)).for_each(|(to, from)| *to = from);
    for case in cases() {
        let name = case["name"].as_str().expect("a name");
        let (param, bin) = files(&case);
        fs::write(&text, param).expect("writes");
        fs::write(&binary, bin).expect("writes");
        println!("{name}");
        let (_, output) = run(&text, &input);
        let shape = [output.channels(), output.height(), output.width()];
        let wanted: Vec<_> = case["shape"].as_array().expect("a shape").clone();
        assert!(wanted.iter().zip(shape).all(|(w, s)| w.as_integer() == Some(s as i64)), "{name}");
        let samples = output.data().iter().map(|&sample| f64::from(sample));
        let sum: f64 = samples.clone().map(f64::abs).sum();
        let weighted: f64 =
            samples.enumerate().map(|(i, sample)| sample * (i * 31 % 97) as f64 / 97.0).sum();
        let near = |key: &str, value: f64| {
            let wanted = case[key].as_float().expect("a number");
            assert!((wanted - value).abs() <= 1e-5 * sum, "{name}: {key} {value}, not {wanted}");
        };
        near("sum", sum);
        near("weighted", weighted);
    }
}

#[test]
fn a_missing_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.param", "b.bin"] {
        let path = folder.path().join(name);
        fs::write(&path, "7767517\n1 1\nInput in 0 1 in0\n").expect("writes");
        let error = read_ncnn(&path).expect_err("one file is missing").to_string();
        let stem = Path::new(name).file_stem().and_then(|stem| stem.to_str()).expect("a stem");
        let other = if name.ends_with("bin") { "param" } else { "bin" };
        assert!(error.contains(&format!("{stem}.{other}")), "{error}");
        assert!(Model::open(path.to_str().expect("a path")).is_err());
    }
    let path = folder.path().join("a.param");
    fs::write(path.with_extension("bin"), [0]).expect("writes");
    fs::write(&path, [0xff; 9]).expect("writes");
    assert!(matches!(read_ncnn(&path), Err(Error::Damaged { .. })));
}

/// A network with one layer between input and output.
fn net(line: &str, bin: &'static [u8]) -> Result<Graph, Fault> {
    let text = format!(
        "7767517\n3 3\nInput in 0 1 in0 2=3\n{line}\nConvolution c 1 1 z out0 0=3 1=1 6=9\n"
    );
    parse_ncnn(&text, bytes::Bytes::from_static(bin))
}

#[test]
fn invalid_layers_are_rejected() {
    for line in [
        "Convolution l 1 1 in0 z 0=65535 1=65535 6=2147483647",
        "Convolution l 1 1 in0 z 0=3 1=1 6=-9",
        "Convolution l 1 1 in0 z 0=3 1=0 6=9",
        "Convolution l 1 1 in0 z 0=3 1=1 3=0 6=9",
        "Convolution l 1 1 in0 z 0=3 1=1 2=-1 6=9",
        "Convolution l 1 1 in0 z 0=3 1=1 6=9 4=2147483647",
        "Convolution l 1 1 in0 z 0=3 1=1 6=9 19=1",
        "ConvolutionDepthWise l 1 1 in0 z 0=3 1=1 6=9 7=2",
        "ConvolutionDepthWise l 1 1 in0 z 0=3 1=1 6=9 7=65535",
        "Deconvolution l 1 1 in0 z 0=3 1=4 3=65535 6=144",
        "InnerProduct l 1 1 in0 z 0=3 2=9",
        "PixelShuffle l 1 1 in0 z 0=65535",
        "PixelShuffle l 1 1 in0 z 0=0",
        "Reorg l 1 1 in0 z 0=65535",
        "Reorg l 1 1 in0 z 0=0",
        "Interp l 1 1 in0 z 0=1 1=1e30 2=1e30",
        "Interp l 1 1 in0 z 0=1 1=0 2=0",
        "Interp l 1 1 in0 z 0=1 3=-5 4=7",
        "Pooling l 1 1 in0 z 1=0",
        "Pooling l 1 1 in0 z 1=65535 2=65535",
        "Crop l 1 1 in0 z -23309=1,-2147483648 -23310=1,-2147483648 -23311=1,-1",
        "Crop l 1 1 in0 z -23309=1,1 -23310=1,-2147483648 -23311=1,-1",
        "Crop l 1 1 in0 z -23309=1,0 -23310=1,0 -23311=1,0",
        "Crop l 1 1 in0 z -23309=2,0,0 -23310=1,0 -23311=1,9",
        "Padding l 1 1 in0 z 0=-233",
        "PReLU l 1 1 in0 z 0=65535",
        "MemoryData l 0 1 z 0=65535 1=65535 2=65535",
        "Slice l 1 1 in0 z -23300=1,99",
        "Split l 1 0 in0",
        "Concat l 0 1 z 0=0",
        "Input l 0 1 z",
        "Softmax l 1 1 in0 z",
    ] {
        assert!(net(line, &[0; 400]).is_err(), "{line}");
    }
}

#[test]
fn the_error_of_an_unknown_layer_lists_every_supported_layer() {
    let error = net("Softmax l 1 1 in0 z", &[]).expect_err("not supported").to_string();
    let lines = cases().into_iter().map(|case| case["layers"].as_str().expect("layers").to_owned());
    let lines = lines.collect::<Vec<_>>().join("\n");
    for line in lines.lines() {
        let kind = line.split(' ').next().expect("a kind");
        assert!(error.contains(&format!(" {kind},")), "{kind} is missing in: {error}");
    }
    assert!(error.contains("AbsVal") && error.contains("Input"), "{error}");
}

#[test]
fn int8_weights_are_rejected_by_name() {
    let tag = &0x000D_4B38_u32.to_le_bytes();
    let bin: &'static [u8] = Box::leak(Box::new([tag.as_slice(), &[0; 396]].concat()));
    let error = net("Convolution l 1 1 in0 z 0=3 1=1 6=9", bin).expect_err("int8").to_string();
    assert!(error.contains("int8"), "{error}");
}

#[test]
fn damaged_files_are_rejected_and_do_not_panic() {
    let mut seed = 1u32;
    let mut random = |end: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(seed) * end as u64) >> 32) as usize
    };
    let pairs: Vec<_> = cases().iter().map(files).collect();
    for (param, bin) in &pairs {
        let read = |length| parse_ncnn(param, bytes::Bytes::copy_from_slice(&bin[..length]));
        assert!(read(bin.len()).is_ok());
        for _ in 0..8 {
            assert!(matches!(read(random(bin.len())), Err(Fault::Damaged(_))));
        }
    }
    for _ in 0..3000 {
        let (param, bin) = &pairs[random(pairs.len())];
        let (mut param, mut bin) = (param.clone().into_bytes(), bin.clone());
        for _ in 0..1 + random(4) {
            let place = random(param.len());
            match random(4) {
                0 => param[place] = b"0123456789-=., \n"[random(16)],
                1 => _ = param.remove(place),
                2 => param.insert(place, b"0123456789-=., \n"[random(16)]),
                _ => {
                    let place = random(bin.len());
                    bin[place] ^= 1 << random(8);
                }
            }
        }
        let _ = parse_ncnn(&String::from_utf8_lossy(&param), bin.into());
    }
}

//! TensorFlow's frozen graphs produce OpenCV's images, and invalid ones are rejected.

use crate::common;
use std::{fs, path::Path};

use gstupscale::{
    frame::{Channels, Image},
    model::{
        Graph,
        internals::{Fault, parse_tensorflow},
    },
};

use crate::common::engine::{psnr, read_png, run};

/// OpenCV's 8-bit Y′ (BT.601, 14 fractional bits) of an R′G′B′ image of 0..=1.
fn luma(picture: &Image) -> Image {
    let mut luma = Image::new(1, picture.width(), picture.height());
    let step = |sample: f32| (sample * 255.0).round() as u32;
    for (index, y) in luma.data_mut().iter_mut().enumerate() {
        let [r, g, b] = [0, 1, 2].map(|channel| step(picture.channel(channel)[index]));
        *y = ((r * 4899 + g * 9617 + b * 1868 + (1 << 13)) >> 14) as f32 / 255.0;
    }
    luma
}

fn inner(picture: &Image, border: usize) -> Vec<f32> {
    let (width, height) = (picture.width(), picture.height());
    let row = |y: usize| &picture.data()[y * width + border..(y + 1) * width - border];
    (border..height - border).flat_map(row).copied().collect()
}

#[test]
fn fsrcnn_and_lapsrn_produce_opencvs_luma() {
    let Some(data) = common::test_data() else { return };
    for model in ["FSRCNN_x2", "LapSRN_x2"] {
        for name in ["comic_lq", "baboon_lq"] {
            let input = luma(&read_png(&data.join(format!("images/{name}.png"))));
            let (opened, mut output) = run(&data.join(format!("weights/{model}.pb")), &input);
            assert_eq!((opened.info.channels, opened.info.factor), (Channels::Luma, 2));
            output.data_mut().iter_mut().for_each(|sample| *sample = sample.clamp(0.0, 1.0));
            let expected = read_png(&data.join(format!("expected/opencv__{model}__{name}.png")));
            let psnr = psnr(&inner(&output, 4), &inner(&luma(&expected), 4));
            assert!(psnr >= 50.0, "{model} {name}: {psnr} dB");
        }
    }
}

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], varint(bytes.len() as u64).as_slice(), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An attribute of a node.
fn attribute(name: &str, value: &[u8]) -> Vec<u8> {
    field(5, &[field(1, name.as_bytes()), field(2, value)].concat())
}

fn strides(tall: u8, wide: u8) -> Vec<u8> {
    attribute("strides", &field(1, &field(3, &[1, tall, wide, 1])))
}

fn text(name: &str, value: &str) -> Vec<u8> {
    attribute(name, &field(2, value.as_bytes()))
}

fn node(name: &str, op: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = [field(1, name.as_bytes()), field(2, op.as_bytes())].concat();
    inputs.iter().for_each(|input| bytes.extend(field(3, input.as_bytes())));
    attributes.iter().for_each(|attribute| bytes.extend(attribute));
    field(1, &bytes)
}

/// A float32 constant.
fn constant(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let content: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, 1, dims, &content)
}

/// A constant of TensorFlow's type `kind`.
fn tensor(name: &str, kind: u8, dims: &[u64], content: &[u8]) -> Vec<u8> {
    let size = |&size: &u64| field(2, &[&[1 << 3], varint(size).as_slice()].concat());
    let dims: Vec<u8> = dims.iter().flat_map(size).collect();
    let tensor = [&[1 << 3, kind], &field(2, &dims)[..], &field(4, content)].concat();
    node(name, "Const", &[], &[attribute("value", &field(8, &tensor))])
}

/// The output of the graph of `nodes` for an image of `samples` with rows of `width`.
#[track_caller]
fn make(nodes: &[Vec<u8>], channels: usize, width: usize, samples: &[f32]) -> Image {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("graph.pb");
    fs::write(&path, nodes.concat()).expect("writes");
    let mut input = Image::new(channels, width, samples.len() / channels / width);
    input.data_mut().copy_from_slice(samples);
    run(&path, &input).1
}

fn placeholder() -> Vec<u8> {
    node("x", "Placeholder", &[], &[])
}

#[test]
fn same_padding_pads_one_more_after_than_before() {
    let mut kernel = [0.0; 16];
    kernel[0] = 1.0;
    let output = make(
        &[
            node("y", "Conv2D", &["x", "k"], &[strides(1, 1), text("padding", "SAME")]),
            placeholder(),
            constant("k", &[4, 4, 1, 1], &kernel),
        ],
        1,
        2,
        &[1.0, 2.0, 3.0, 4.0],
    );
    // The first of four taps is one sample up and left.
    assert_eq!(output.data(), [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn mirror_padding_is_read() {
    let mut kernel = [0.0; 9];
    kernel[0] = 1.0;
    let pads: Vec<u8> =
        [0, 0, 1, 1, 1, 1, 0, 0].iter().flat_map(|n: &i32| n.to_le_bytes()).collect();
    let output = make(
        &[
            placeholder(),
            tensor("p", 3, &[4, 2], &pads),
            node("m", "MirrorPad", &["x", "p:0"], &[text("mode", "REFLECT")]),
            constant("k", &[3, 3, 1, 1], &kernel),
            node("y", "Conv2D", &["m", "k"], &[strides(1, 1), text("padding", "VALID")]),
        ],
        1,
        2,
        &[1.0, 2.0, 3.0, 4.0],
    );
    assert_eq!(output.data(), [4.0, 3.0, 2.0, 1.0]);
}

#[test]
fn transposed_convolutions_align_as_in_tensorflow() {
    let mut kernel = [0.0; 9];
    kernel[..3].copy_from_slice(&[1.0, 10.0, 100.0]);
    let attributes = [strides(2, 2), text("padding", "SAME")];
    let output = make(
        &[
            placeholder(),
            // The size input is ignored.
            node("size", "Pack", &["x"], &[]),
            constant("k", &[3, 3, 1, 1], &kernel),
            node("y", "Conv2DBackpropInput", &["size", "k", "x"], &attributes),
        ],
        1,
        2,
        &[1.0, 2.0, 3.0, 4.0],
    );
    let rows = [[1.0, 10.0, 102.0, 20.0], [0.0; 4], [3.0, 30.0, 304.0, 40.0], [0.0; 4]];
    assert_eq!(output.data(), rows.as_flattened());
}

#[test]
fn the_largest_output_of_lapsrn_is_used() {
    let enlarge = |name: &str, from: &str| {
        node(name, "DepthToSpace", &[from], &[attribute("block_size", &[3 << 3, 2])])
    };
    let convolve = |name: &str, from: &str| {
        node(name, "Conv2D", &[from, "k"], &[strides(1, 1), text("padding", "SAME")])
    };
    let order: Vec<u8> = [0, 3, 1, 2].iter().flat_map(|n: &i32| n.to_le_bytes()).collect();
    let output = make(
        &[
            placeholder(),
            constant("k", &[1, 1, 1, 4], &[1.0, 2.0, 3.0, 4.0]),
            tensor("order", 3, &[4], &order),
            convolve("a", "x"),
            enlarge("b", "a"),
            convolve("c", "b"),
            enlarge("d", "c"),
            node("NCHW_output_4x", "Transpose", &["d", "order"], &[]),
            node("NCHW_output_2x", "Transpose", &["b", "order"], &[]),
        ],
        1,
        1,
        &[1.0],
    );
    let rows =
        [[1.0, 2.0, 2.0, 4.0], [3.0, 4.0, 6.0, 8.0], [3.0, 6.0, 4.0, 8.0], [9.0, 12.0, 12.0, 16.0]];
    assert_eq!(output.data(), rows.as_flattened());
}

#[test]
fn three_channels_are_edsrs_bgr_minus_the_mean() {
    // Twice the blue, the unchanged green, no red.
    let kernel = [2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let attributes = [strides(1, 1), text("padding", "SAME")];
    let output = make(
        &[
            placeholder(),
            constant("k", &[1, 1, 3, 3], &kernel),
            node("y", "Conv2D", &["x", "k"], &attributes),
        ],
        3,
        1,
        &[0.9, 0.5, 0.6],
    );
    let wanted = [114.356_3 / 255.0, 0.5, 2.0 * 0.6 - 103.154_58 / 255.0];
    for (sample, wanted) in output.data().iter().zip(wanted) {
        assert!((sample - wanted).abs() < 1e-5, "{sample}, not {wanted}");
    }
}

fn parse(nodes: &[Vec<u8>]) -> Result<Graph, Fault> {
    parse_tensorflow(nodes.concat().into())
}

#[test]
fn inconsistent_graphs_are_rejected() {
    let convolve = |name: &str, inputs: &[&str]| {
        node(name, "Conv2D", inputs, &[strides(1, 1), text("padding", "SAME")])
    };
    let kernel = || constant("k", &[1, 1, 1, 1], &[1.0]);
    assert!(parse(&[placeholder(), kernel(), convolve("y", &["x", "k"])]).is_ok());
    let huge = 1 << 63;
    for nodes in [
        vec![],
        vec![placeholder()],
        vec![kernel(), convolve("y", &["x", "k"])],
        vec![placeholder(), convolve("y", &["x", "k"])],
        vec![placeholder(), kernel(), convolve("y", &["x"])],
        vec![placeholder(), placeholder(), kernel(), convolve("y", &["x", "k"])],
        // A cycle, with and without an output.
        vec![placeholder(), kernel(), convolve("y", &["z", "k"]), convolve("z", &["y", "k"])],
        vec![placeholder(), kernel(), convolve("y", &["y", "k"]), convolve("z", &["y", "k"])],
        // Shapes that do not match the values.
        vec![placeholder(), constant("k", &[1, 1, 1, 2], &[1.0]), convolve("y", &["x", "k"])],
        vec![placeholder(), constant("k", &[huge, 2, 1, 1], &[]), convolve("y", &["x", "k"])],
        vec![placeholder(), constant("k", &[0, huge - 1, 1, 1], &[]), convolve("y", &["x", "k"])],
        vec![placeholder(), constant("k", &[1, 1, 1], &[1.0]), convolve("y", &["x", "k"])],
        vec![placeholder(), tensor("k", 1, &[1; 4], &[0; 5]), convolve("y", &["x", "k"])],
        vec![placeholder(), tensor("k", 7, &[1; 4], &[0; 4]), convolve("y", &["x", "k"])],
        // Too many output channels.
        vec![placeholder(), constant("k", &[1, 1, 1, 2], &[1.0; 2]), convolve("y", &["x", "k"])],
        vec![
            placeholder(),
            kernel(),
            convolve("y", &["x", "k"]),
            node("z", "DepthToSpace", &["y"], &[attribute("block_size", &[3 << 3, 2])]),
        ],
        vec![
            placeholder(),
            kernel(),
            convolve("y", &["x", "k"]),
            node("z", "Softmax", &["y"], &[]),
        ],
    ] {
        assert!(parse(&nodes).is_err(), "{:?}", nodes.concat());
    }
}

#[test]
fn damaged_files_do_not_panic() {
    let read = |path: &Path| fs::read(path).expect("a graph");
    let graphs = match common::test_data() {
        Some(data) => vec![read(&data.join("weights/FSRCNN_x2.pb"))],
        None => vec![[placeholder(), constant("k", &[1; 4], &[1.0])].concat()],
    };
    let mut seed = 1u32;
    let mut random = |end: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(seed) * end as u64) >> 32) as usize
    };
    for _ in 0..2000 {
        let mut graph = graphs[random(graphs.len())].clone();
        for _ in 0..1 + random(4) {
            match random(3) {
                0 => graph.truncate(1 + random(graph.len())),
                _ => {
                    let place = random(graph.len());
                    graph[place] = random(256) as u8;
                }
            }
        }
        let _ = parse_tensorflow(graph.into());
    }
}

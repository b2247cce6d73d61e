//! Hand-built graphs whose properties have closed forms.

use super::{Analysis, AnalysisError, analyze};
use crate::{
    frame::Channels,
    model::{Attribute, Border, Graph, Shuffle, Window},
};

/// A convolution with zero weights, a `kernel`×`kernel` window and "same" padding.
fn conv(graph: &mut Graph, x: &str, from: u64, to: u64, kernel: u64, stride: u32) -> String {
    let count = (from * to * kernel * kernel) as usize;
    let weight = graph.constant_f32("weight", &[to, from, kernel, kernel], &vec![0.0; count]);
    let window = Window { stride: [stride; 2], ..Window::padded(kernel as u32 / 2) };
    graph.conv(x, &weight, None, window)
}

fn finish(mut graph: Graph, output: &str) -> Analysis {
    graph.set_output(output);
    analyze(&graph).unwrap()
}

/// SRVGGNetCompact with `convs` convolutions between the first and the last one.
fn compact(features: u64, convs: usize, factor: u32) -> Analysis {
    let mut graph = Graph::new(3);
    let slope = graph.constant_f32("slope", &[features, 1, 1], &vec![0.1; features as usize]);
    let mut x = conv(&mut graph, "input", 3, features, 3, 1);
    for _ in 0..convs {
        x = graph.prelu(&x, &slope);
        x = conv(&mut graph, &x, features, features, 3, 1);
    }
    x = graph.prelu(&x, &slope);
    x = conv(&mut graph, &x, features, 3 * u64::from(factor * factor), 3, 1);
    x = graph.depth_to_space(&x, factor, Shuffle::Crd);
    let base = graph.resize_nearest("input", [factor as f32; 2]);
    let sum = graph.add(&x, &base);
    finish(graph, &sum)
}

#[test]
fn the_halo_of_a_compact_network_is_the_sum_of_its_convolutions() {
    let video = compact(64, 16, 4).info;
    assert_eq!((video.factor, video.halo, video.align), (4, Some(18), 1));
    assert_eq!(video.channels, Channels::Rgb);
    assert!(video.batch && video.fixed_size.is_none() && video.min_side == 1);
    assert_eq!(compact(64, 32, 4).info.halo, Some(34));
    assert_eq!(compact(8, 3, 1).info.factor, 1);
    assert_eq!(video.macs_per_pixel, (3 * 64 * 9 + 16 * 64 * 64 * 9 + 64 * 48 * 9) as f64);
}

#[test]
fn peak_floats_count_the_values_alive_at_the_widest_layer() {
    // Input 3, output 48, and either 64 + 64 in the body or 64 + 48 + 48 + 48 at the end.
    let peak = compact(64, 16, 4).info.peak_floats_per_pixel;
    assert_eq!(peak, (3 + 48 + 64 + 64) as f64);
}

#[test]
fn a_convolution_after_upsampling_adds_less_to_the_halo() {
    // 3×3 at 1×, then twice: ×2 nearest, 3×3. This is ESRGAN's tail.
    let mut graph = Graph::new(3);
    let mut x = conv(&mut graph, "input", 3, 3, 3, 1);
    for _ in 0..2 {
        x = graph.resize_nearest(&x, [2.0; 2]);
        x = conv(&mut graph, &x, 3, 3, 3, 1);
    }
    x = conv(&mut graph, &x, 3, 3, 3, 1);
    // At 4×: 4x − 2 → at 2×: 2x − 1, minus 1: 2x − 2 → at 1×: x − 1, minus 1: x − 2.
    assert_eq!(finish(graph, &x).info.halo, Some(2));
}

#[test]
fn strides_set_the_alignment() {
    let mut graph = Graph::new(1);
    let x = conv(&mut graph, "input", 1, 4, 3, 2);
    let x = conv(&mut graph, &x, 4, 64, 3, 2);
    let x = graph.depth_to_space(&x, 8, Shuffle::Crd);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.align, info.channels), (2, 4, Channels::Luma));
    // A block of 4 becomes one position at ¼, which depends on −1..1 at ½ (−2..2 + 1 each side).
    assert_eq!(info.halo, Some(3));
}

#[test]
fn an_unshuffle_sets_the_alignment_and_adds_no_halo() {
    let mut graph = Graph::new(3);
    let x = graph.space_to_depth("input", 2, 3);
    let x = conv(&mut graph, &x, 12, 48, 1, 1);
    let x = graph.depth_to_space(&x, 4, Shuffle::Crd);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.align, info.halo, info.min_side), (2, 2, Some(0), 2));
}

#[test]
fn a_pixel_shuffle_written_as_reshapes_is_tracked() {
    let mut graph = Graph::new(1);
    let x = conv(&mut graph, "input", 1, 9, 5, 1);
    let shape = graph.push("Shape", &["input"], []);
    let two = graph.constant_i64("two", &[2]);
    let three = graph.constant_i64("three", &[3]);
    let height = graph.push("Gather", &[&shape, &two], []);
    let width = graph.push("Gather", &[&shape, &three], []);
    let r = graph.constant_i64("r", &[3]);
    let n = graph.constant_i64("n", &[0]);
    let one = graph.constant_i64("one", &[1]);
    let split = graph.concat(&[&n, &one, &r, &r, &height, &width], 0);
    let split = graph.push("Reshape", &[&x, &split], []);
    let order = Attribute::Ints(vec![0, 1, 4, 2, 5, 3]);
    let turned = graph.push("Transpose", &[&split], [("perm", order)]);
    let tall = graph.mul(&height, &r);
    let wide = graph.mul(&width, &r);
    let merged = graph.concat(&[&n, &one, &tall, &wide], 0);
    let x = graph.push("Reshape", &[&turned, &merged], []);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.halo, info.align), (3, Some(2), 1));
    assert!(info.batch);
}

#[test]
fn the_halo_of_a_transposed_convolution_covers_overlapping_inputs() {
    // FSRCNN's tail: 9×9, stride 2, padding 4, output padding 1.
    let mut graph = Graph::new(1);
    let weight = graph.constant_f32("weight", &[1, 1, 9, 9], &[0.0; 81]);
    let window = Window { stride: [2; 2], ..Window::padded(4) };
    let x = graph.conv_transpose("input", &weight, None, window, [1; 2]);
    let found = finish(graph, &x);
    assert_eq!((found.info.factor, found.missing), (2, [0, 0]));
    // Output 2x depends on ⌈(2x − 4)/2⌉ = x − 2; output 2x + 1 on ⌊(2x + 5)/2⌋ = x + 2.
    assert_eq!(found.info.halo, Some(2));
}

#[test]
fn the_halo_of_linear_and_cubic_resizing_covers_their_taps() {
    let resized = |cubic: bool, scale: f32| {
        let mut graph = Graph::new(1);
        let x = match cubic {
            true => graph.resize_cubic("input", [scale; 2]),
            false => graph.resize_linear("input", [scale; 2]),
        };
        finish(graph, &x).info.halo
    };
    assert_eq!(resized(false, 2.0), Some(1));
    assert_eq!(resized(false, 3.0), Some(1));
    assert_eq!(resized(true, 2.0), Some(2));
}

#[test]
fn upsampling_by_four_and_halving_has_factor_two() {
    let mut graph = Graph::new(3);
    let x = conv(&mut graph, "input", 3, 48, 3, 1);
    let x = graph.depth_to_space(&x, 4, Shuffle::Crd);
    let x = graph.resize_cubic(&x, [0.5; 2]);
    let info = finish(graph, &x).info;
    // Output 2x is at 4x + ½: taps 4x − 1 .. 4x + 2, so x − 1, plus 1 for the convolution.
    assert_eq!((info.factor, info.halo, info.align), (2, Some(2), 1));
}

#[test]
fn a_network_without_padding_reports_the_missing_margin() {
    let mut graph = Graph::new(3);
    let weight = graph.constant_f32("weight", &[3, 3, 7, 7], &[0.0; 441]);
    let x = graph.conv("input", &weight, None, Window::default());
    let x = graph.resize_nearest(&x, [2.0; 2]);
    let found = finish(graph, &x);
    assert_eq!((found.info.factor, found.missing, found.info.min_side), (2, [12, 12], 7));
}

#[test]
fn slicing_from_the_end_does_not_raise_the_minimum_size() {
    // Rolled by four rows, as in networks with shifted windows.
    let mut graph = Graph::new(3);
    let last = graph.slice("input", 2, -4, i64::MAX);
    let rest = graph.slice("input", 2, 0, -4);
    let rolled = graph.concat(&[&last, &rest], 2);
    let x = graph.resize_nearest(&rolled, [2.0; 2]);
    let info = finish(graph, &x).info;
    assert!(info.factor == 2 && info.min_side <= 16, "{info:?}");
    assert_eq!(info.halo, None, "rows come from the opposite side");
}

#[test]
fn global_pooling_has_no_bounded_halo() {
    let mut graph = Graph::new(3);
    let mean = graph.push("GlobalAveragePool", &["input"], []);
    let x = graph.mul("input", &mean);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.halo), (1, None));
}

#[test]
fn a_constant_that_varies_by_position_has_no_bounded_halo() {
    let mut graph = Graph::new(1);
    graph.input_dims = vec![Some(1), Some(1), Some(4), Some(6)];
    let positions = graph.constant_f32("positions", &[1, 1, 4, 6], &[0.5; 24]);
    let x = graph.add("input", &positions);
    let info = finish(graph, &x).info;
    assert_eq!((info.fixed_size, info.halo, info.batch), (Some((6, 4)), None, false));
}

#[test]
fn fractional_and_unequal_factors_are_rejected() {
    let mut graph = Graph::new(1);
    let x = graph.resize_nearest("input", [2.0, 3.0]);
    graph.set_output(&x);
    assert_eq!(analyze(&graph), Err(AnalysisError::Factor { horizontal: 3.0, vertical: 2.0 }));
    let mut graph = Graph::new(1);
    let x = graph.resize_nearest("input", [1.5; 2]);
    graph.set_output(&x);
    assert!(analyze(&graph).is_err());
}

#[test]
fn overflowing_sizes_are_rejected() {
    let mut graph = Graph::new(1);
    let shape = graph.constant_i64("shape", &[1, 1 << 62, 1 << 62]);
    let x = graph.push("Reshape", &["input", &shape], []);
    graph.set_output(&x);
    assert!(analyze(&graph).is_err());
    let mut graph = Graph::new(1);
    let x = graph.pad("input", [i64::MAX, 0, 0, 0], Border::Zero);
    graph.set_output(&x);
    assert!(analyze(&graph).is_err());
}

#[test]
fn size_arithmetic_in_floats_is_tracked() {
    // PyTorch's interpolate with an unknown size: Shape, Cast, Mul, Floor, Cast, Concat.
    let mut graph = Graph::new(1);
    let shape = graph.push("Shape", &["input"], []);
    let sides = graph.slice(&shape, 0, 2, 4);
    let cast = |kind| [("to", Attribute::Int(kind))];
    let sides = graph.push("Cast", &[&sides], cast(1));
    let sides = graph.scale(&sides, 2.0);
    let sides = graph.push("Floor", &[&sides], []);
    let sides = graph.push("Cast", &[&sides], cast(7));
    let rest = graph.slice(&shape, 0, 0, 2);
    let sizes = graph.concat(&[&rest, &sides], 0);
    let modes = ["nearest", "asymmetric", "floor"].map(|mode| Attribute::Text(mode.into()));
    let names = ["mode", "coordinate_transformation_mode", "nearest_mode"];
    let x = graph.push("Resize", &["input", "", "", &sizes], names.into_iter().zip(modes));
    let x = conv(&mut graph, &x, 1, 1, 3, 1);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.halo, info.batch), (2, Some(1), true));
}

#[test]
fn windowed_attention_has_factor_and_alignment_but_no_halo() {
    // N·C·H·W → attention within windows of 8×8 → N·C·H·W.
    let mut graph = Graph::new(3);
    let shape = graph.push("Shape", &["input"], []);
    let eight = graph.constant_i64("eight", &[8]);
    let sides = [2, 3].map(|side| graph.slice(&shape, 0, side, side + 1));
    let counts = sides.clone().map(|side| graph.push("Div", &[&side, &eight], []));
    let keep = graph.constant_i64("keep", &[0, 0]);
    let split = graph.concat(&[&keep, &counts[0], &eight, &counts[1], &eight], 0);
    let x = graph.push("Reshape", &["input", &split], []);
    let order = |order: [i64; 6]| [("perm", Attribute::Ints(order.into()))];
    let x = graph.push("Transpose", &[&x], order([0, 2, 4, 1, 3, 5]));
    let windows = graph.constant_i64("windows", &[-1, 3, 64]);
    let flat = graph.push("Reshape", &[&x, &windows], []);
    let weights = graph.push("Softmax", &[&flat], [("axis", Attribute::Int(-1))]);
    let x = graph.mul(&flat, &weights);
    let first = graph.slice(&shape, 0, 0, 1);
    let three = graph.constant_i64("three", &[3]);
    let back = graph.concat(&[&first, &counts[0], &counts[1], &three, &eight, &eight], 0);
    let x = graph.push("Reshape", &[&x, &back], []);
    let x = graph.push("Transpose", &[&x], order([0, 3, 1, 4, 2, 5]));
    let x = graph.push("Reshape", &[&x, &shape], []);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.halo, info.align), (1, None, 8));
    assert!(info.batch);
}

#[test]
fn a_graph_that_pads_to_its_multiples_accepts_every_size() {
    // Pads to a multiple of 4, computes at a quarter of the size, and crops.
    let mut graph = Graph::new(1);
    let shape = graph.push("Shape", &["input"], []);
    let size = graph.slice(&shape, 0, 2, 4);
    let four = graph.constant_i64("four", &[4]);
    let rest = graph.push("Mod", &[&size, &four], []);
    let missing = graph.sub(&four, &rest);
    let missing = graph.push("Mod", &[&missing, &four], []);
    let start = graph.constant_i64("start", &[0; 6]);
    let pads = graph.concat(&[&start, &missing], 0);
    let padded = graph.push("Pad", &["input", &pads], []);
    let deep = graph.push("SpaceToDepth", &[&padded], [("blocksize", Attribute::Int(4))]);
    let mean = graph.push("GlobalAveragePool", &[&deep], []);
    let deep = graph.mul(&deep, &mean);
    let wide = graph.depth_to_space(&deep, 4, Shuffle::Dcr);
    let zero = graph.constant_i64("zero", &[0, 0]);
    let axes = graph.constant_i64("axes", &[2, 3]);
    let x = graph.push("Slice", &[&wide, &zero, &size, &axes], []);
    let info = finish(graph, &x).info;
    assert_eq!((info.factor, info.halo, info.align), (1, None, 1));
}

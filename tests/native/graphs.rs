//! Graphs with every kind of layer.

use std::path::Path;

use gstupscale::model::{Attribute, Border, Graph, Model, Shuffle, Window};

/// Weights from a fixed sequence.
pub struct Numbers(u32);

impl Numbers {
    pub fn new(seed: u32) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    /// From `low` up to but not including `end`.
    pub fn between(&mut self, low: usize, end: usize) -> usize {
        low + self.next() as usize % (end - low)
    }

    /// From −½ to ½.
    pub fn fraction(&mut self) -> f32 {
        self.next() as f32 / 16_777_216.0 - 0.5
    }

    pub fn list(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.fraction() * scale).collect()
    }
}

/// A convolution with random weights that keeps the magnitude of its input.
pub fn conv(
    graph: &mut Graph,
    numbers: &mut Numbers,
    x: &str,
    [inputs, outputs, kernel]: [usize; 3],
    window: Window,
) -> String {
    let inputs = inputs / window.group as usize;
    let dims = [outputs, inputs, kernel, kernel].map(|dim| dim as u64);
    let scale = 3.0 / ((inputs * kernel * kernel) as f32).sqrt();
    let weight = numbers.list(outputs * inputs * kernel * kernel, scale);
    let weight = graph.constant_f32("weight", &dims, &weight);
    let bias = graph.constant_f32("bias", &dims[..1], &numbers.list(outputs, 0.2));
    graph.conv(x, &weight, Some(&bias), window)
}

/// Twice the size, three channels, every kind of layer.
pub fn everything() -> Model {
    let mut graph = Graph::new(3);
    let mut numbers = Numbers::new(5);
    let (g, n) = (&mut graph, &mut numbers);
    let shifted = g.offset("input", &[-0.4, -0.5, -0.3]);
    let x = conv(g, n, &shifted, [3, 20, 5], Window::padded(2));
    let x = g.leaky_relu(&x, 0.1);
    let a = conv(g, n, &x, [20, 24, 3], Window::padded(1));
    let slopes = g.constant_f32("slopes", &[24, 1, 1], &n.list(24, 0.5));
    let a = g.prelu(&a, &slopes);
    // Half the size and back by a transposed convolution.
    let half = conv(g, n, &a, [24, 16, 3], Window { stride: [2; 2], ..Window::padded(1) });
    let half = g.silu(&half);
    let weight = g.constant_f32("up", &[16, 24, 4, 4], &n.list(16 * 24 * 16, 0.3));
    let window = Window { stride: [2; 2], ..Window::padded(1) };
    let b = g.conv_transpose(&half, &weight, None, window, [0; 2]);
    // Attention, as in SPAN.
    let gate = g.sigmoid(&b);
    let gate = g.offset(&gate, &[-0.5]);
    let sum = g.add(&a, &b);
    let c = g.mul(&sum, &gate);
    let all = g.concat(&[&x, &c, &a], 1);
    let all = conv(g, n, &all, [68, 12, 1], Window::default());
    let parts = g.push_many("Split", &[&all], 2, [("axis", Attribute::Int(1))]);
    let d = g.sub(&parts[0], &parts[1]);
    let grouped = conv(g, n, &all, [12, 12, 3], Window { group: 3, ..Window::padded(1) });
    let d = g.concat(&[&d, &grouped], 1);
    let d = g.slice(&d, 1, 2, 14);
    let d = g.tanh(&d);
    // A margin that a convolution without padding removes.
    let padded = g.pad(&d, [1, 1, 1, 1], Border::Reflect);
    let d = conv(g, n, &padded, [12, 12, 3], Window::default());
    let dilated = Window { dilation: [2; 2], ..Window::padded(2) };
    let e = conv(g, n, &d, [12, 12, 3], dilated);
    let e = g.clip(&e, -1.0, 0.8);
    let shuffled = g.depth_to_space(&e, 2, Shuffle::Dcr);
    let sharp = conv(g, n, &shuffled, [3, 3, 3], Window::padded(1));
    let nearest = g.resize_nearest("input", [2.0; 2]);
    let linear = g.resize_linear("input", [2.0; 2]);
    let base = g.add(&nearest, &linear);
    let base = g.scale(&base, 0.5);
    let detail = g.scale(&sharp, 0.2);
    let output = g.add(&base, &detail);
    g.set_output(&output);
    Model::from_graph("everything", Path::new("everything"), graph).expect("a model")
}

/// A series of convolutions of random widths and kernels, followed by a pixel shuffle.
pub fn random(seed: u32) -> Model {
    let mut numbers = Numbers::new(seed);
    let n = &mut numbers;
    let mut graph = Graph::new(3);
    let (mut x, mut channels) = ("input".to_owned(), 3);
    for _ in 0..n.between(1, 4) {
        let outputs = n.between(1, 90);
        let kernel = [1, 3, 3, 3, 5][n.between(0, 5)];
        let window = Window::padded(kernel as u32 / 2);
        x = conv(&mut graph, n, &x, [channels, outputs, kernel], window);
        x = graph.leaky_relu(&x, 0.2);
        channels = outputs;
    }
    x = conv(&mut graph, n, &x, [channels, 12, 3], Window::padded(1));
    let output = graph.depth_to_space(&x, 2, Shuffle::Crd);
    graph.set_output(&output);
    Model::from_graph("random", Path::new("random"), graph).expect("a model")
}

/// The picture enlarged by `factor` and reduced to its size again.
pub fn reduced(mode: &str, factor: u32) -> Model {
    let mut graph = Graph::new(3);
    let mut numbers = Numbers::new(7);
    let (g, n) = (&mut graph, &mut numbers);
    let channels = 3 * (factor * factor) as usize;
    let x = conv(g, n, "input", [3, channels, 3], Window::padded(1));
    let large = g.depth_to_space(&x, factor, Shuffle::Crd);
    let scale = [1.0 / factor as f32; 2];
    let small = match mode {
        "nearest" => g.resize_nearest(&large, scale),
        "linear" => g.resize_linear(&large, scale),
        _ => g.resize_cubic(&large, scale),
    };
    let output = g.add(&small, "input");
    g.set_output(&output);
    Model::from_graph("reduced", Path::new("reduced"), graph).expect("a model")
}

/// Convolutions in groups: of whole vectors, of part of one, of single channels, of a stride, and
/// transposed.
pub fn grouped() -> Model {
    let mut graph = Graph::new(3);
    let mut numbers = Numbers::new(9);
    let (g, n) = (&mut graph, &mut numbers);
    let groups = |group, stride| Window { group, stride: [stride; 2], ..Window::padded(1) };
    let x = conv(g, n, "input", [3, 64, 3], Window::padded(1));
    let x = g.leaky_relu(&x, 0.1);
    let a = conv(g, n, &x, [64, 32, 3], groups(2, 1));
    let b = conv(g, n, &x, [64, 48, 3], groups(16, 1));
    let c = conv(g, n, &x, [64, 64, 3], groups(64, 1));
    let half = conv(g, n, &c, [64, 32, 3], groups(8, 2));
    let weight = g.constant_f32("up", &[32, 4, 4, 4], &n.list(32 * 4 * 16, 0.3));
    let window = Window { stride: [2; 2], group: 8, ..Window::padded(1) };
    let d = g.conv_transpose(&half, &weight, None, window, [0; 2]);
    let all = g.concat(&[&a, &b, &c, &d], 1);
    let output = conv(g, n, &all, [176, 3, 3], Window::padded(1));
    g.set_output(&output);
    Model::from_graph("grouped", Path::new("grouped"), graph).expect("a model")
}

/// A convolution one of whose weights is `value`.
pub fn with_weight(value: f32) -> Model {
    let mut graph = Graph::new(3);
    let mut weights = Numbers::new(3).list(3 * 3 * 9, 0.2);
    if let Some(weight) = weights.last_mut() {
        *weight = value;
    }
    let weight = graph.constant_f32("weight", &[3, 3, 3, 3], &weights);
    let output = graph.conv("input", &weight, None, Window::padded(1));
    graph.set_output(&output);
    Model::from_graph("weight", Path::new("weight"), graph).expect("a model")
}

//! Rewrites a graph so that its convolutions are computed in 8-bit integers.
//!
//! The form is ONNX Runtime's "QDQ": a quantize–dequantize pair on each convolution's input and
//! output, and dequantized integer weights, which the runtime fuses into `QLinearConv`
//! (<https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html>).
//! Activations are unsigned with a zero point, one scale each; weights are signed and symmetric,
//! one scale for each output channel.

use std::collections::BTreeMap;

use crate::model::{Attribute, Element, Graph, Node, Tensor};

const UINT8: Element = Element::Other(2);
const INT8: Element = Element::Other(3);
const INT32: Element = Element::Other(6);

/// With fewer channels the integer kernels are not faster.
const MIN_CHANNELS: u64 = 8;

/// The convolutions to quantize, in the order of the nodes.
fn targets(graph: &Graph) -> impl Iterator<Item = &Node> {
    graph.nodes.iter().filter(|node| is_target(graph, node))
}

fn is_target(graph: &Graph, node: &Node) -> bool {
    let constant = |index| node.input(index).and_then(|name| graph.constants.get(name));
    let Some(weight) = constant(1).filter(|weight| weight.element == Element::F32) else {
        return false;
    };
    let bias_is_known = node.input(2).is_none() || constant(2).is_some();
    node.op == "Conv"
        && node.int("group").unwrap_or(1) == 1
        && bias_is_known
        && matches!(weight.dims[..], [out, inputs, _, _] if out.min(inputs) >= MIN_CHANNELS)
}

/// The values whose ranges [`quantize`] needs, each once: the inputs and outputs of the
/// convolutions.
pub(super) fn values_to_measure(graph: &Graph) -> Vec<&str> {
    let mut values = Vec::new();
    for node in targets(graph) {
        for value in [node.input(0), node.outputs.first().map(String::as_str)] {
            values.extend(value.filter(|value| !values.contains(value)));
        }
    }
    values
}

/// `graph` with its output replaced by one of 1×2n×1×1: the smallest sample of each of the n
/// [`values_to_measure`], then the largest of each.
pub(super) fn range_graph(graph: &Graph) -> Graph {
    let mut ranges = graph.clone();
    let values = values_to_measure(graph);
    let mut found = Vec::new();
    for op in ["ReduceMin", "ReduceMax"] {
        for value in &values {
            found.push(ranges.push(op, &[value], [("keepdims", Attribute::Int(1))]));
        }
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    ranges.output = ranges.push("Concat", &found, [("axis", Attribute::Int(1))]);
    ranges
}

/// Maps samples to bytes: `byte = round(sample / scale) + zero`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    scale: f32,
    zero: u8,
}

impl Scale {
    /// For samples from `low` to `high`. Zero is always represented exactly, as padding needs it.
    fn for_range(low: f32, high: f32) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((high - low) / 255.0).max(1e-8);
        Self { scale, zero: (-low / scale).round().clamp(0.0, 255.0) as u8 }
    }
}

/// Builds a quantized graph from another one.
struct Quantizer<'a> {
    from: &'a Graph,
    to: Graph,
    scales: BTreeMap<&'a str, Scale>,
    /// The names of values after quantization and dequantization.
    quantized: BTreeMap<&'a str, String>,
}

/// `graph` with its larger convolutions in 8-bit integers; `ranges` are the smallest and the
/// largest sample of each of [`values_to_measure`], in that order. `None` when there is nothing to
/// quantize, or when a range is missing or not finite.
pub(super) fn quantize(graph: &Graph, ranges: &[(f32, f32)]) -> Option<Graph> {
    let values = values_to_measure(graph);
    let finite = ranges.iter().all(|(low, high)| low.is_finite() && high.is_finite());
    if values.is_empty() || values.len() != ranges.len() || !finite {
        return None;
    }
    let scales = values.into_iter().zip(ranges);
    let scales = scales.map(|(value, &(low, high))| (value, Scale::for_range(low, high)));
    let mut quantizer = Quantizer {
        from: graph,
        to: Graph { nodes: Vec::new(), ..graph.clone() },
        scales: scales.collect(),
        quantized: BTreeMap::new(),
    };
    for node in &graph.nodes {
        if is_target(graph, node) {
            quantizer.convolution(node)?;
        } else {
            quantizer.to.nodes.push(node.clone());
        }
    }
    Some(quantizer.to)
}

impl<'a> Quantizer<'a> {
    fn convolution(&mut self, node: &'a Node) -> Option<()> {
        let (x, output) = (node.input(0)?, node.outputs.first()?);
        let scale = *self.scales.get(x)?;
        let input = match self.quantized.get(x) {
            Some(quantized) => quantized.clone(),
            None => {
                let quantized = self.quantize_dequantize(x, scale, None);
                self.quantized.insert(x, quantized.clone());
                quantized
            }
        };
        let weight = self.from.constants.get(node.input(1)?)?;
        let (weight, weight_scales) = self.weight(weight)?;
        let mut inputs = vec![input, weight];
        if let Some(bias) = node.input(2) {
            let bias = self.from.constants.get(bias)?.to_f32()?;
            inputs.push(self.bias(&bias, scale, &weight_scales));
        }
        let raw = self.to.fresh_name(&format!("{output}:raw"));
        self.to.nodes.push(Node { inputs, outputs: vec![raw.clone()], ..node.clone() });
        let scale = *self.scales.get(output.as_str())?;
        self.quantize_dequantize(&raw, scale, Some(output));
        // The next convolution that reads this value needs no second rounding.
        self.quantized.insert(output, output.clone());
        Some(())
    }

    /// Adds a quantize–dequantize pair whose result is named `output`, or gets a new name.
    fn quantize_dequantize(&mut self, value: &str, scale: Scale, output: Option<&str>) -> String {
        let factor = self.to.constant("scale", Tensor::from_f32(&[], &[scale.scale]));
        let zero = Tensor { element: UINT8, dims: vec![], data: vec![scale.zero].into() };
        let zero = self.to.constant("zero", zero);
        let bytes = self.to.push("QuantizeLinear", &[value, &factor, &zero], []);
        let back = self.to.push("DequantizeLinear", &[&bytes, &factor, &zero], []);
        match (output, self.to.nodes.last_mut()) {
            (Some(output), Some(node)) => {
                node.outputs = vec![output.to_owned()];
                output.to_owned()
            }
            _ => back,
        }
    }

    /// O×I×H×W weights as integers, and the scale of each output channel.
    fn weight(&mut self, weight: &Tensor) -> Option<(String, Vec<f32>)> {
        let samples = weight.to_f32()?;
        let channels = usize::try_from(*weight.dims.first()?).ok()?;
        let size = samples.len().checked_div(channels).filter(|&size| size > 0)?;
        let mut scales = Vec::with_capacity(channels);
        let mut data = Vec::with_capacity(samples.len());
        for channel in samples.chunks(size) {
            let max = channel.iter().fold(0.0f32, |max, sample| max.max(sample.abs()));
            let scale = (max / 127.0).max(1e-12);
            scales.push(scale);
            let round = |sample: &f32| (sample / scale).round().clamp(-127.0, 127.0) as i8;
            data.extend(channel.iter().map(|sample| round(sample).cast_unsigned()));
        }
        let tensor = Tensor { element: INT8, dims: weight.dims.clone(), data: data.into() };
        let zeros = vec![0; channels];
        let zeros = Tensor { element: INT8, dims: vec![channels as u64], data: zeros.into() };
        let name = self.to.constant("weight:int8", tensor);
        let zeros = self.to.constant("weight:zero", zeros);
        Some((self.dequantized(&name, &scales, Some(&zeros)), scales))
    }

    /// Biases as integers, in the unit of the products to which they are added.
    fn bias(&mut self, bias: &[f32], input: Scale, weight_scales: &[f32]) -> String {
        let scales: Vec<f32> = weight_scales.iter().map(|scale| scale * input.scale).collect();
        let integers = bias.iter().zip(&scales).map(|(bias, scale)| (bias / scale).round() as i32);
        let data: Vec<u8> = integers.flat_map(i32::to_le_bytes).collect();
        let tensor = Tensor { element: INT32, dims: vec![bias.len() as u64], data: data.into() };
        let name = self.to.constant("bias:int32", tensor);
        self.dequantized(&name, &scales, None)
    }

    fn dequantized(&mut self, name: &str, scales: &[f32], zeros: Option<&str>) -> String {
        let scales = self.to.constant_f32("scales", &[scales.len() as u64], scales);
        let inputs: Vec<&str> = [name, &scales].into_iter().chain(zeros).collect();
        self.to.push("DequantizeLinear", &inputs, [("axis", Attribute::Int(0))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Window;

    /// Two convolutions of eight channels with an activation between, then one to three.
    fn network() -> Graph {
        let mut graph = Graph::new(8);
        let weights: Vec<f32> = (0..8 * 8 * 9).map(|n| (n % 7) as f32 / 7.0 - 0.4).collect();
        let weight = graph.constant_f32("w", &[8, 8, 3, 3], &weights);
        let small = graph.constant_f32("s", &[3, 8, 3, 3], &weights[..3 * 8 * 9]);
        let bias = graph.constant_f32("b", &[8], &[0.5; 8]);
        let input = graph.input.clone();
        let first = graph.conv(&input, &weight, Some(&bias), Window::padded(1));
        let middle = graph.relu(&first);
        let second = graph.conv(&middle, &weight, Some(&bias), Window::padded(1));
        let last = graph.conv(&second, &small, None, Window::padded(1));
        graph.set_output(&last);
        graph
    }

    #[test]
    fn zero_is_represented_exactly_and_the_range_is_covered() {
        for (low, high) in [(-1.0, 3.0), (0.5, 2.0), (-2.0, -1.0), (0.0, 0.0)] {
            let Scale { scale, zero } = Scale::for_range(low, high);
            let back = |byte: u8| (f32::from(byte) - f32::from(zero)) * scale;
            assert_eq!(back(zero), 0.0);
            assert!(back(0) <= low + scale && back(255) >= high - scale, "{low} {high}");
        }
    }

    #[test]
    fn only_large_convolutions_need_ranges() {
        let graph = network();
        let values = values_to_measure(&graph);
        // The inputs and outputs of the first two convolutions.
        assert_eq!(values.len(), 4);
        assert!(values.contains(&graph.input.as_str()) && !values.contains(&graph.output.as_str()));
        let last = range_graph(&graph);
        assert_eq!(last.nodes.last().map(|node| node.inputs.len()), Some(8));
    }

    #[test]
    fn each_large_convolution_reads_and_writes_bytes() {
        let graph = network();
        let quantized = quantize(&graph, &[(-1.0, 1.0); 4]).unwrap();
        let count = |op: &str| quantized.nodes.iter().filter(|node| node.op == op).count();
        assert_eq!((count("Conv"), count("Relu")), (3, 1));
        // Two activations each, and weights and biases that are integers already.
        assert_eq!((count("QuantizeLinear"), count("DequantizeLinear")), (4, 8));
        assert_eq!(quantized.output, graph.output);
        // Every value is computed before it is read.
        let mut known: Vec<&str> = quantized.constants.keys().map(String::as_str).collect();
        known.push(&quantized.input);
        for node in &quantized.nodes {
            assert!(node.inputs.iter().all(|name| known.contains(&name.as_str())), "{node:?}");
            known.extend(node.outputs.iter().map(String::as_str));
        }
        assert!(known.contains(&quantized.output.as_str()));
    }

    #[test]
    fn missing_and_infinite_ranges_are_rejected() {
        let graph = network();
        assert_eq!(quantize(&graph, &[(-1.0, 1.0); 3]), None);
        assert_eq!(quantize(&graph, &[(f32::NAN, 1.0); 4]), None);
        assert_eq!(quantize(&Graph::new(3), &[]), None);
    }
}

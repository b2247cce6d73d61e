//! Building a [`Graph`] node by node.
//!
//! Each method adds one operator (or a short pattern of operators) and returns the name of the new
//! value, which is unique within the graph.

use super::{Attribute, Graph, Node, Tensor};

/// The window of a convolution; pairs are [vertical, horizontal].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Samples between window positions.
    pub stride: [u32; 2],
    /// Zeros around the image: top, left, bottom, right.
    pub pads: [u32; 4],
    /// Samples between the taps of the kernel.
    pub dilation: [u32; 2],
    /// The number of groups that the channels are divided into.
    pub group: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { stride: [1; 2], pads: [0; 4], dilation: [1; 2], group: 1 }
    }
}

impl Window {
    /// Stride 1, with `pad` zeros on each side.
    #[must_use]
    pub fn padded(pad: u32) -> Self {
        Self { pads: [pad; 4], ..Self::default() }
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let ints = |values: &[u32]| Attribute::Ints(values.iter().map(|&v| v.into()).collect());
        vec![
            ("strides", ints(&self.stride)),
            ("pads", ints(&self.pads)),
            ("dilations", ints(&self.dilation)),
            ("group", Attribute::Int(self.group.into())),
        ]
    }
}

/// The order in which [`Graph::depth_to_space`] turns channels into pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// Channel `c·r² + y·r + x`: PyTorch's `PixelShuffle`, ncnn's `PixelShuffle` mode 0.
    Crd,
    /// Channel `(y·r + x)·C + c`: TensorFlow's `depth_to_space`.
    Dcr,
}

/// The samples that [`Graph::pad`] adds around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Zeros.
    Zero,
    /// The reflected image, without repeating the border sample.
    Reflect,
    /// The border sample, repeated.
    Edge,
}

impl Border {
    fn mode(self) -> Attribute {
        Attribute::Text(
            match self {
                Border::Zero => "constant",
                Border::Reflect => "reflect",
                Border::Edge => "edge",
            }
            .into(),
        )
    }
}

impl Graph {
    /// The version of ONNX's operator set that these methods use.
    pub const OPSET: i64 = 17;

    /// An empty graph with an input named `input` of this many channels and any batch, height and
    /// width.
    #[must_use]
    pub fn new(channels: u64) -> Self {
        Self {
            opset: Self::OPSET,
            input: "input".into(),
            input_dims: vec![None, Some(channels), None, None],
            ..Self::default()
        }
    }

    /// Whether the graph has a value of this name.
    #[must_use]
    pub fn has_value(&self, name: &str) -> bool {
        name == self.input
            || self.constants.contains_key(name)
            || self.nodes.iter().any(|node| node.outputs.iter().any(|output| output == name))
    }

    /// A name that starts with `stem` and that the graph does not have yet.
    #[must_use]
    pub fn fresh_name(&self, stem: &str) -> String {
        self.fresh(stem, |name| self.has_value(name))
    }

    /// As [`fresh_name`](Self::fresh_name), without looking through all nodes each time.
    fn name_new_value(&mut self, stem: &str) -> String {
        let mut names = std::mem::take(&mut self.names);
        let name = self.fresh(stem, |name| {
            name == self.input
                || self.constants.contains_key(name)
                || names.contains(name, &self.nodes)
        });
        self.names = names;
        name
    }

    fn fresh(&self, stem: &str, mut is_taken: impl FnMut(&str) -> bool) -> String {
        let mut name = stem.to_owned();
        // Start where a collision is unlikely, so that many names with one stem stay cheap.
        let mut number = self.constants.len() + self.nodes.len();
        while name.is_empty() || is_taken(&name) {
            number += 1;
            name = format!("{stem}#{number}");
        }
        name
    }

    /// Adds a constant, named `name` if that is free.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        let name = self.name_new_value(name);
        self.constants.insert(name.clone(), tensor);
        name
    }

    /// Adds a float32 constant of shape `dims`. `values` must have as many elements as the shape.
    pub fn constant_f32(&mut self, name: &str, dims: &[u64], values: &[f32]) -> String {
        self.constant(name, Tensor::from_f32(dims, values))
    }

    /// Adds a constant list of integers.
    pub fn constant_i64(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(name, Tensor::from_i64(values))
    }

    /// Adds a node with one output.
    pub fn push(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: impl IntoIterator<Item = (&'static str, Attribute)>,
    ) -> String {
        let mut outputs = self.push_many(op, inputs, 1, attributes);
        outputs.pop().unwrap_or_default()
    }

    /// Adds a node with several outputs, such as `Split`.
    pub fn push_many(
        &mut self,
        op: &str,
        inputs: &[&str],
        outputs: usize,
        attributes: impl IntoIterator<Item = (&'static str, Attribute)>,
    ) -> Vec<String> {
        let stem = format!("{op}_{}", self.nodes.len());
        let outputs: Vec<String> = (0..outputs)
            .map(|index| match index {
                0 => self.name_new_value(&stem),
                _ => self.name_new_value(&format!("{stem}.{index}")),
            })
            .collect();
        self.nodes.push(Node {
            op: op.into(),
            inputs: inputs.iter().map(|&name| name.into()).collect(),
            outputs: outputs.clone(),
            attributes: attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        });
        outputs
    }

    /// Convolution. `weight` has the shape O×(I/group)×kH×kW, `bias` O.
    pub fn conv(&mut self, x: &str, weight: &str, bias: Option<&str>, window: Window) -> String {
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        self.push("Conv", &inputs, window.attributes())
    }

    /// Transposed convolution. `weight` has the shape I×(O/group)×kH×kW, `bias` O. `window.pads`
    /// reduce the output; `output_padding` [vertical, horizontal] extends it at the bottom and
    /// right.
    pub fn conv_transpose(
        &mut self,
        x: &str,
        weight: &str,
        bias: Option<&str>,
        window: Window,
        output_padding: [u32; 2],
    ) -> String {
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        let mut attributes = window.attributes();
        let extra = output_padding.iter().map(|&v| v.into()).collect();
        attributes.push(("output_padding", Attribute::Ints(extra)));
        self.push("ConvTranspose", &inputs, attributes)
    }

    /// max(x, 0) + slope·min(x, 0). `slope` must broadcast to C×H×W, such as C×1×1 or 1.
    pub fn prelu(&mut self, x: &str, slope: &str) -> String {
        self.push("PRelu", &[x, slope], [])
    }

    /// max(x, 0) + slope·min(x, 0).
    pub fn leaky_relu(&mut self, x: &str, slope: f32) -> String {
        self.push("LeakyRelu", &[x], [("alpha", Attribute::Float(slope))])
    }

    /// max(x, 0).
    pub fn relu(&mut self, x: &str) -> String {
        self.push("Relu", &[x], [])
    }

    /// 1/(1 + exp(−x)).
    pub fn sigmoid(&mut self, x: &str) -> String {
        self.push("Sigmoid", &[x], [])
    }

    /// Hyperbolic tangent.
    pub fn tanh(&mut self, x: &str) -> String {
        self.push("Tanh", &[x], [])
    }

    /// x·sigmoid(x), also called Swish.
    pub fn silu(&mut self, x: &str) -> String {
        let gate = self.sigmoid(x);
        self.mul(x, &gate)
    }

    /// a + b, broadcast.
    pub fn add(&mut self, a: &str, b: &str) -> String {
        self.push("Add", &[a, b], [])
    }

    /// a − b, broadcast.
    pub fn sub(&mut self, a: &str, b: &str) -> String {
        self.push("Sub", &[a, b], [])
    }

    /// a·b, broadcast.
    pub fn mul(&mut self, a: &str, b: &str) -> String {
        self.push("Mul", &[a, b], [])
    }

    /// x·factor.
    pub fn scale(&mut self, x: &str, factor: f32) -> String {
        let factor = self.constant_f32("factor", &[], &[factor]);
        self.mul(x, &factor)
    }

    /// x plus one constant per channel, or one for all channels.
    pub fn offset(&mut self, x: &str, values: &[f32]) -> String {
        let values = self.constant_f32("offset", &[values.len() as u64, 1, 1], values);
        self.add(x, &values)
    }

    /// Limits x to `low`..=`high`.
    pub fn clip(&mut self, x: &str, low: f32, high: f32) -> String {
        let low = self.constant_f32("low", &[], &[low]);
        let high = self.constant_f32("high", &[], &[high]);
        self.push("Clip", &[x, &low, &high], [])
    }

    /// Concatenates along `axis` (1: channels).
    pub fn concat(&mut self, values: &[&str], axis: i64) -> String {
        self.push("Concat", values, [("axis", Attribute::Int(axis))])
    }

    /// Turns C·r² channels into C channels of r times the size.
    pub fn depth_to_space(&mut self, x: &str, r: u32, shuffle: Shuffle) -> String {
        let mode = match shuffle {
            Shuffle::Crd => "CRD",
            Shuffle::Dcr => "DCR",
        };
        let attributes =
            [("blocksize", Attribute::Int(r.into())), ("mode", Attribute::Text(mode.into()))];
        self.push("DepthToSpace", &[x], attributes)
    }

    /// PyTorch's `pixel_unshuffle`: turns `channels` channels into `channels`·r² of 1/r the size.
    ///
    /// ONNX's `SpaceToDepth` uses TensorFlow's order of channels; a `Gather` changes that to
    /// PyTorch's order, which is exact in every precision.
    pub fn space_to_depth(&mut self, x: &str, r: u32, channels: u32) -> String {
        let deep = self.push("SpaceToDepth", &[x], [("blocksize", Attribute::Int(r.into()))]);
        if channels <= 1 || r <= 1 {
            return deep;
        }
        let (channels, positions) = (i64::from(channels), i64::from(r) * i64::from(r));
        let order: Vec<i64> = (0..channels)
            .flat_map(|channel| (0..positions).map(move |position| position * channels + channel))
            .collect();
        let order = self.constant_i64("unshuffle", &order);
        self.push("Gather", &[&deep, &order], [("axis", Attribute::Int(1))])
    }

    /// Nearest-neighbour resizing by `scale` [vertical, horizontal]: PyTorch's
    /// `interpolate(mode="nearest")`, ncnn's `Interp` type 1.
    pub fn resize_nearest(&mut self, x: &str, scale: [f32; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("nearest".into())),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric".into())),
            ("nearest_mode", Attribute::Text("floor".into())),
        ];
        self.resize(x, scale, attributes)
    }

    /// Bilinear resizing by `scale` [vertical, horizontal], aligned to sample centres
    /// (`align_corners=False`).
    pub fn resize_linear(&mut self, x: &str, scale: [f32; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("linear".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
        ];
        self.resize(x, scale, attributes)
    }

    /// Bicubic resizing by `scale` [vertical, horizontal], a = −0.75, aligned to sample centres, as
    /// in PyTorch and ncnn.
    pub fn resize_cubic(&mut self, x: &str, scale: [f32; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("cubic".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
            ("cubic_coeff_a", Attribute::Float(-0.75)),
        ];
        self.resize(x, scale, attributes)
    }

    /// `Resize` by `scale` [vertical, horizontal] with any attributes.
    pub fn resize(
        &mut self,
        x: &str,
        scale: [f32; 2],
        attributes: impl IntoIterator<Item = (&'static str, Attribute)>,
    ) -> String {
        let scales = self.constant_f32("scales", &[4], &[1.0, 1.0, scale[0], scale[1]]);
        self.push("Resize", &[x, "", &scales], attributes)
    }

    /// Pads by top, left, bottom, right samples; negative pads crop.
    pub fn pad(&mut self, x: &str, pads: [i64; 4], border: Border) -> String {
        let [top, left, bottom, right] = pads;
        let pads = self.constant_i64("pads", &[0, 0, top, left, 0, 0, bottom, right]);
        self.push("Pad", &[x, &pads], [("mode", border.mode())])
    }

    /// The positions `start..end` along `axis`. Negative ones count from the end; `i64::MAX` is the
    /// end.
    pub fn slice(&mut self, x: &str, axis: i64, start: i64, end: i64) -> String {
        let start = self.constant_i64("start", &[start]);
        let end = self.constant_i64("end", &[end]);
        let axis = self.constant_i64("axis", &[axis]);
        self.push("Slice", &[x, &start, &end, &axis], [])
    }

    /// Removes top, left, bottom, right samples.
    pub fn crop(&mut self, x: &str, margins: [u32; 4]) -> String {
        let [top, left, bottom, right] = margins.map(i64::from);
        let end = |margin: i64| if margin == 0 { i64::MAX } else { -margin };
        let starts = self.constant_i64("start", &[top, left]);
        let ends = self.constant_i64("end", &[end(bottom), end(right)]);
        let axes = self.constant_i64("axis", &[2, 3]);
        self.push("Slice", &[x, &starts, &ends, &axes], [])
    }

    /// Makes `value` the graph's output.
    pub fn set_output(&mut self, value: &str) {
        self.output = value.into();
    }

    /// The elements of a float constant; `None` if there is no float constant of this name.
    pub fn constant_values(&self, name: &str) -> Option<Vec<f32>> {
        self.constants.get(name).and_then(Tensor::to_f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Element;

    #[test]
    fn names_are_unique() {
        let mut graph = Graph::new(1);
        let first = graph.constant_f32("w", &[1], &[1.0]);
        let second = graph.constant_f32("w", &[1], &[2.0]);
        let third = graph.constant_f32("Relu_0", &[1], &[2.0]);
        let value = graph.relu("input");
        assert_ne!(first, second);
        assert_ne!(third, value);
        // A node that a reader adds by itself.
        let node = Node { outputs: vec!["Relu_2".into()], ..Node::default() };
        graph.nodes.push(node);
        assert_eq!(graph.nodes.len(), 2);
        assert_ne!(graph.relu("input"), "Relu_2");
        assert_ne!(graph.constant_f32("Relu_2", &[1], &[2.0]), "Relu_2");
    }

    #[test]
    fn float16_constants_convert_to_float32() {
        let data = [f32::from(half::f16::from_f32(1.5))].map(half::f16::from_f32);
        let data: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Tensor { element: Element::F16, dims: vec![1], data: data.into() };
        assert_eq!(tensor.to_f32(), Some(vec![1.5]));
        assert!(tensor.is_whole());
    }
}

//! Building a [`Graph`] node by node: what the readers of weight files do.
//!
//! Each method adds one operator (or a short pattern of them) and gives the name of the new
//! value. Names are made up here and never clash.

use super::{Attribute, Graph, Node, Tensor};

/// How a convolution's window walks, [vertical, horizontal].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub stride: [u32; 2],
    /// Zeros around the picture: top, left, bottom, right.
    pub pads: [u32; 4],
    pub dilation: [u32; 2],
    pub group: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { stride: [1; 2], pads: [0; 4], dilation: [1; 2], group: 1 }
    }
}

impl Window {
    /// Stride 1 and as many zeros all around.
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

/// The order in which the channels of [`Graph::depth_to_space`] become pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    /// Channel `c·r² + y·r + x`: PyTorch's `PixelShuffle`, ncnn's `PixelShuffle` mode 0.
    Crd,
    /// Channel `(y·r + x)·C + c`: TensorFlow's `depth_to_space`.
    Dcr,
}

/// What lies outside of a picture that [`Graph::pad`] grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    Zero,
    /// The mirrored picture, its border sample not repeated.
    Reflect,
    /// The border sample.
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
    /// The operator set that graphs are built in.
    pub const OPSET: i64 = 17;

    /// An empty graph whose input has this many channels and free batch, height and width.
    pub fn new(channels: u64) -> Self {
        Self {
            opset: Self::OPSET,
            input: "input".into(),
            input_dims: vec![None, Some(channels), None, None],
            ..Self::default()
        }
    }

    /// Whether something in the graph already has this name.
    pub fn has_value(&self, name: &str) -> bool {
        name == self.input
            || self.constants.contains_key(name)
            || self.nodes.iter().any(|node| node.outputs.iter().any(|output| output == name))
    }

    /// A name like `stem` that nothing has yet.
    pub fn fresh_name(&self, stem: &str) -> String {
        let mut name = stem.to_owned();
        // Starts where a clash is unlikely, so that many like names stay cheap.
        let mut number = self.constants.len() + self.nodes.len();
        while name.is_empty() || self.has_value(&name) {
            number += 1;
            name = format!("{stem}#{number}");
        }
        name
    }

    /// Adds a constant under this name, or one like it.
    pub fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        let name = self.fresh_name(name);
        self.constants.insert(name.clone(), tensor);
        name
    }

    /// Adds float32 numbers. `values` has as many as `dims` ask for.
    pub fn constant_f32(&mut self, name: &str, dims: &[u64], values: &[f32]) -> String {
        self.constant(name, Tensor::from_f32(dims, values))
    }

    /// Adds a list of integers.
    pub fn constant_i64(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(name, Tensor::from_i64(values))
    }

    /// Adds a node of one output.
    pub fn push(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: impl IntoIterator<Item = (&'static str, Attribute)>,
    ) -> String {
        let mut outputs = self.push_many(op, inputs, 1, attributes);
        outputs.pop().unwrap_or_default()
    }

    /// Adds a node of several outputs, such as `Split`.
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
                0 => self.fresh_name(&stem),
                _ => self.fresh_name(&format!("{stem}.{index}")),
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

    /// `weight` O×(I/group)×kH×kW, `bias` O.
    pub fn conv(&mut self, x: &str, weight: &str, bias: Option<&str>, window: Window) -> String {
        let mut inputs = vec![x, weight];
        inputs.extend(bias);
        self.push("Conv", &inputs, window.attributes())
    }

    /// `weight` I×(O/group)×kH×kW, `bias` O. `window.pads` shrink the output; `output_padding`
    /// (vertical, horizontal) grows it at the bottom and right.
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

    /// `slope` must broadcast to C×H×W: give it the shape C×1×1 (or 1).
    pub fn prelu(&mut self, x: &str, slope: &str) -> String {
        self.push("PRelu", &[x, slope], [])
    }

    pub fn leaky_relu(&mut self, x: &str, slope: f32) -> String {
        self.push("LeakyRelu", &[x], [("alpha", Attribute::Float(slope))])
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.push("Relu", &[x], [])
    }

    pub fn sigmoid(&mut self, x: &str) -> String {
        self.push("Sigmoid", &[x], [])
    }

    pub fn tanh(&mut self, x: &str) -> String {
        self.push("Tanh", &[x], [])
    }

    /// x·sigmoid(x), also called Swish.
    pub fn silu(&mut self, x: &str) -> String {
        let gate = self.sigmoid(x);
        self.mul(x, &gate)
    }

    pub fn add(&mut self, a: &str, b: &str) -> String {
        self.push("Add", &[a, b], [])
    }

    pub fn sub(&mut self, a: &str, b: &str) -> String {
        self.push("Sub", &[a, b], [])
    }

    pub fn mul(&mut self, a: &str, b: &str) -> String {
        self.push("Mul", &[a, b], [])
    }

    /// x·factor.
    pub fn scale(&mut self, x: &str, factor: f32) -> String {
        let factor = self.constant_f32("factor", &[], &[factor]);
        self.mul(x, &factor)
    }

    /// x + constant, one number per channel (or one for all).
    pub fn offset(&mut self, x: &str, values: &[f32]) -> String {
        let values = self.constant_f32("offset", &[values.len() as u64, 1, 1], values);
        self.add(x, &values)
    }

    /// Limits to `low`..`high`.
    pub fn clip(&mut self, x: &str, low: f32, high: f32) -> String {
        let low = self.constant_f32("low", &[], &[low]);
        let high = self.constant_f32("high", &[], &[high]);
        self.push("Clip", &[x, &low, &high], [])
    }

    /// One after the other along `axis` (1: channels).
    pub fn concat(&mut self, values: &[&str], axis: i64) -> String {
        self.push("Concat", values, [("axis", Attribute::Int(axis))])
    }

    /// C·r² channels become C of r times the size.
    pub fn depth_to_space(&mut self, x: &str, r: u32, shuffle: Shuffle) -> String {
        let mode = match shuffle {
            Shuffle::Crd => "CRD",
            Shuffle::Dcr => "DCR",
        };
        let attributes =
            [("blocksize", Attribute::Int(r.into())), ("mode", Attribute::Text(mode.into()))];
        self.push("DepthToSpace", &[x], attributes)
    }

    /// PyTorch's `pixel_unshuffle`: `channels` of them become `channels`·r², the size 1/r.
    ///
    /// ONNX's `SpaceToDepth` orders its channels as TensorFlow does; a `Gather` puts them into
    /// PyTorch's order, which is exact in every precision.
    pub fn space_to_depth(&mut self, x: &str, r: u32, channels: u32) -> String {
        let deep = self.push("SpaceToDepth", &[x], [("blocksize", Attribute::Int(r.into()))]);
        if channels <= 1 || r <= 1 {
            return deep;
        }
        let (channels, places) = (i64::from(channels), i64::from(r) * i64::from(r));
        let order: Vec<i64> = (0..channels)
            .flat_map(|channel| (0..places).map(move |place| place * channels + channel))
            .collect();
        let order = self.constant_i64("unshuffle", &order);
        self.push("Gather", &[&deep, &order], [("axis", Attribute::Int(1))])
    }

    /// Repeats samples: PyTorch's `interpolate(mode="nearest")`, ncnn's `Interp` type 1.
    pub fn resize_nearest(&mut self, x: &str, scale: [f32; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("nearest".into())),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric".into())),
            ("nearest_mode", Attribute::Text("floor".into())),
        ];
        self.resize(x, scale, attributes)
    }

    /// Bilinear between sample centres (`align_corners=False`).
    pub fn resize_linear(&mut self, x: &str, scale: [f32; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("linear".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
        ];
        self.resize(x, scale, attributes)
    }

    /// Bicubic, a = −0.75, between sample centres: PyTorch's and ncnn's.
    pub fn resize_cubic(&mut self, x: &str, scale: [f32; 2]) -> String {
        let attributes = [
            ("mode", Attribute::Text("cubic".into())),
            ("coordinate_transformation_mode", Attribute::Text("half_pixel".into())),
            ("cubic_coeff_a", Attribute::Float(-0.75)),
        ];
        self.resize(x, scale, attributes)
    }

    /// `Resize` by (vertical, horizontal) scales with any attributes.
    pub fn resize(
        &mut self,
        x: &str,
        scale: [f32; 2],
        attributes: impl IntoIterator<Item = (&'static str, Attribute)>,
    ) -> String {
        let scales = self.constant_f32("scales", &[4], &[1.0, 1.0, scale[0], scale[1]]);
        self.push("Resize", &[x, "", &scales], attributes)
    }

    /// Grows by top, left, bottom, right; negative ones crop.
    pub fn pad(&mut self, x: &str, pads: [i64; 4], border: Border) -> String {
        let [top, left, bottom, right] = pads;
        let pads = self.constant_i64("pads", &[0, 0, top, left, 0, 0, bottom, right]);
        self.push("Pad", &[x, &pads], [("mode", border.mode())])
    }

    /// Samples `start`..`end` along `axis` (negative: counted from the end; `i64::MAX`: all).
    pub fn slice(&mut self, x: &str, axis: i64, start: i64, end: i64) -> String {
        let start = self.constant_i64("start", &[start]);
        let end = self.constant_i64("end", &[end]);
        let axis = self.constant_i64("axis", &[axis]);
        self.push("Slice", &[x, &start, &end, &axis], [])
    }

    /// Cuts top, left, bottom, right samples off.
    pub fn crop(&mut self, x: &str, margins: [u32; 4]) -> String {
        let [top, left, bottom, right] = margins.map(i64::from);
        let end = |margin: i64| if margin == 0 { i64::MAX } else { -margin };
        let starts = self.constant_i64("start", &[top, left]);
        let ends = self.constant_i64("end", &[end(bottom), end(right)]);
        let axes = self.constant_i64("axis", &[2, 3]);
        self.push("Slice", &[x, &starts, &ends, &axes], [])
    }

    /// The named value becomes the graph's output.
    pub fn set_output(&mut self, value: &str) {
        self.output = value.into();
    }

    /// A constant's numbers in float32; `None` where there is no such float constant.
    pub fn constant_values(&self, name: &str) -> Option<Vec<f32>> {
        self.constants.get(name).and_then(Tensor::to_f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Element;

    #[test]
    fn names_never_clash() {
        let mut graph = Graph::new(1);
        let first = graph.constant_f32("w", &[1], &[1.0]);
        let second = graph.constant_f32("w", &[1], &[2.0]);
        let third = graph.constant_f32("Relu_0", &[1], &[2.0]);
        let value = graph.relu("input");
        assert_ne!(first, second);
        assert_ne!(third, value);
    }

    #[test]
    fn half_floats_read_as_floats() {
        let data = [f32::from(half::f16::from_f32(1.5))].map(half::f16::from_f32);
        let data: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = Tensor { element: Element::F16, dims: vec![1], data: data.into() };
        assert_eq!(tensor.to_f32(), Some(vec![1.5]));
        assert!(tensor.is_whole());
    }
}

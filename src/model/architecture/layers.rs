//! Layers that several architectures share, beyond convolutions: normalization, activations,
//! dense layers, padding.
//!
//! Tokens are features with the channels last, N×H×W×C, as transformers compute on them.

use super::{
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
};
use crate::model::{Attribute, Border, Element, Tensor, Window};

impl Network<'_> {
    /// LeakyReLU with PyTorch's default slope.
    pub(crate) fn leaky_default(&mut self, x: &Features) -> Features {
        Features { value: self.graph.leaky_relu(&x.value, 0.01), ..*x }
    }

    /// x·tanh(ln(1 + exp(x))).
    pub(crate) fn mish(&mut self, x: &Features) -> Features {
        let soft = self.graph.push("Softplus", &[&x.value], []);
        let gate = self.graph.tanh(&soft);
        Features { value: self.graph.mul(&x.value, &gate), ..*x }
    }

    /// GELU with the error function: x·(1 + erf(x/√2))/2.
    pub(crate) fn gelu(&mut self, x: &Features) -> Features {
        let scaled = self.graph.scale(&x.value, std::f32::consts::FRAC_1_SQRT_2);
        let erf = self.graph.push("Erf", &[&scaled], []);
        let one = self.graph.constant_f32("one", &[], &[1.0]);
        let gate = self.graph.add(&erf, &one);
        let gated = self.graph.mul(&x.value, &gate);
        Features { value: self.graph.scale(&gated, 0.5), ..*x }
    }

    /// 1/(1 + exp(−x)).
    pub(crate) fn sigmoid(&mut self, x: &Features) -> Features {
        Features { value: self.graph.sigmoid(&x.value), ..*x }
    }

    /// a·b, broadcast.
    pub(crate) fn mul(&mut self, a: &Features, b: &Features) -> Features {
        let channels = a.channels.max(b.channels);
        Features { value: self.graph.mul(&a.value, &b.value), channels }
    }

    /// x plus the other features times the factor per channel `name`, 1×C×1×1.
    ///
    /// # Errors
    /// [`BuildError`] if the factor is missing or has a wrong shape.
    pub(crate) fn add_scaled(
        &mut self,
        x: &Features,
        other: &Features,
        name: &str,
    ) -> Result<Features, BuildError> {
        let factor = self.tensor(name, 4)?.clone();
        if factor.dims != [1, other.channels, 1, 1] {
            return Err(wrong_shape(name, &factor.dims));
        }
        let factor = self.graph.constant(name, factor);
        let scaled = Features { value: self.graph.mul(&other.value, &factor), ..*other };
        self.add(x, &scaled, name)
    }

    /// The mean over the whole image: N×C×1×1.
    pub(crate) fn global_mean(&mut self, x: &Features) -> Features {
        Features { value: self.graph.push("GlobalAveragePool", &[&x.value], []), ..*x }
    }

    /// The convolution `name` with this window; its kernel may have any size.
    ///
    /// # Errors
    /// [`BuildError`] if the weight is missing or has a wrong shape.
    pub(crate) fn conv_window(
        &mut self,
        x: &Features,
        name: &str,
        window: Window,
    ) -> Result<Features, BuildError> {
        let key = format!("{name}.weight");
        let weight = self.tensor(&key, 4)?.clone();
        let &[outputs, depth, _, _] = weight.dims.as_slice() else {
            return Err(wrong_shape(&key, &weight.dims));
        };
        if depth.checked_mul(window.group.into()) != Some(x.channels) {
            let dims = weight.dims;
            return Err(BuildError::Kernel { name: key, dims, channels: x.channels });
        }
        let bias = self.bias(name, outputs)?;
        let weight = self.graph.constant(&key, weight);
        let bias = bias.map(|bias| self.graph.constant(&format!("{name}.bias"), bias));
        let value = self.graph.conv(&x.value, &weight, bias.as_deref(), window);
        Ok(Features { value, channels: outputs })
    }

    /// The depthwise convolution `name` with an odd kernel. The image keeps its size.
    ///
    /// # Errors
    /// [`BuildError`] if the weight is missing or has a wrong shape.
    pub(crate) fn depthwise(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let group = u32::try_from(x.channels).unwrap_or(u32::MAX);
        self.grouped(x, name, group)
    }

    /// The convolution `name` in `group` groups with an odd kernel. The image keeps its size.
    ///
    /// # Errors
    /// [`BuildError`] if the weight is missing or has a wrong shape.
    pub(crate) fn grouped(
        &mut self,
        x: &Features,
        name: &str,
        group: u32,
    ) -> Result<Features, BuildError> {
        let key = format!("{name}.weight");
        let dims = &self.tensor(&key, 4)?.dims;
        let &[_, _, height, width] = dims.as_slice() else { return Err(wrong_shape(&key, dims)) };
        if height % 2 == 0 || width % 2 == 0 || height.max(width) > 255 {
            return Err(wrong_shape(&key, dims));
        }
        let [vertical, horizontal] = [height, width].map(|side| (side / 2) as u32);
        let pads = [vertical, horizontal, vertical, horizontal];
        self.conv_window(x, name, Window { pads, group, ..Window::default() })
    }

    /// The transposed convolution `name`, N×C×H×W.
    ///
    /// # Errors
    /// [`BuildError`] if the weight is missing or has a wrong shape.
    pub(crate) fn conv_transpose(
        &mut self,
        x: &Features,
        name: &str,
        window: Window,
    ) -> Result<Features, BuildError> {
        let key = format!("{name}.weight");
        let weight = self.tensor(&key, 4)?.clone();
        let &[inputs, outputs, _, _] = weight.dims.as_slice() else {
            return Err(wrong_shape(&key, &weight.dims));
        };
        if inputs != x.channels {
            let dims = weight.dims;
            return Err(BuildError::Kernel { name: key, dims, channels: x.channels });
        }
        let bias = self.bias(name, outputs)?;
        let weight = self.graph.constant(&key, weight);
        let bias = bias.map(|bias| self.graph.constant(&format!("{name}.bias"), bias));
        let value = self.graph.conv_transpose(&x.value, &weight, bias.as_deref(), window, [0; 2]);
        Ok(Features { value, channels: outputs })
    }

    /// Normalization over the channels of N×C×H×W, with a weight and a bias per channel.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn layer_norm_2d(
        &mut self,
        x: &Features,
        name: &str,
        epsilon: f32,
    ) -> Result<Features, BuildError> {
        let [weight, bias] = self.scale_and_bias(name, x.channels)?;
        let graph = &mut self.graph;
        let over = || [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(1))];
        let mean = graph.push("ReduceMean", &[&x.value], over());
        let centred = graph.sub(&x.value, &mean);
        let square = graph.mul(&centred, &centred);
        let variance = graph.push("ReduceMean", &[&square], over());
        let epsilon = graph.constant_f32("epsilon", &[], &[epsilon]);
        let variance = graph.add(&variance, &epsilon);
        let deviation = graph.push("Sqrt", &[&variance], []);
        let normal = graph.push("Div", &[&centred, &deviation], []);
        let per_channel = |tensor: Tensor| Tensor { dims: vec![x.channels, 1, 1], ..tensor };
        let weight = graph.constant(&format!("{name}.weight"), per_channel(weight));
        let bias = graph.constant(&format!("{name}.bias"), per_channel(bias));
        let scaled = graph.mul(&normal, &weight);
        Ok(Features { value: graph.add(&scaled, &bias), ..*x })
    }

    /// x divided by the root of the mean of its squares over the channels of N×C×H×W, with a scale
    /// and an offset per channel.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn rms_norm_2d(
        &mut self,
        x: &Features,
        name: &str,
        epsilon: f32,
    ) -> Result<Features, BuildError> {
        let mut parts = Vec::new();
        for part in ["scale", "offset"] {
            let key = format!("{name}.{part}");
            let tensor = self.any_tensor(&key)?.clone();
            if tensor.count() != Some(x.channels) {
                return Err(wrong_shape(&key, &tensor.dims));
            }
            let tensor = Tensor { dims: vec![x.channels, 1, 1], ..tensor };
            parts.push(self.graph.constant(&key, tensor));
        }
        let [scale, offset] = parts.as_slice() else {
            return Err(BuildError::Missing(name.to_owned()));
        };
        let over = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(1))];
        let norm = self.graph.push("ReduceL2", &[&x.value], over);
        let norm = self.graph.scale(&norm, (x.channels as f32).powf(-0.5));
        let norm = self.graph.offset(&norm, &[epsilon]);
        let normal = self.graph.push("Div", &[&x.value, &norm], []);
        let scaled = self.graph.mul(&normal, scale);
        Ok(Features { value: self.graph.add(&scaled, offset), ..*x })
    }

    /// Normalization over the channels of tokens.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn layer_norm(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let [weight, bias] = self.scale_and_bias(name, x.channels)?;
        let weight = self.graph.constant(&format!("{name}.weight"), weight);
        let bias = self.graph.constant(&format!("{name}.bias"), bias);
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(1e-5))];
        let value = self.graph.push("LayerNormalization", &[&x.value, &weight, &bias], attributes);
        Ok(Features { value, ..*x })
    }

    /// PyTorch's `GroupNorm` over the whole image, with its default epsilon.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing, or the channels are not a multiple of `groups`.
    pub(crate) fn group_norm(
        &mut self,
        x: &Features,
        name: &str,
        groups: u64,
    ) -> Result<Features, BuildError> {
        self.group_norm_with(x, name, groups, 1e-5)
    }

    /// [`Self::group_norm`] with any epsilon.
    pub(crate) fn group_norm_with(
        &mut self,
        x: &Features,
        name: &str,
        groups: u64,
        epsilon: f32,
    ) -> Result<Features, BuildError> {
        if groups == 0 || !x.channels.is_multiple_of(groups) {
            return Err(BuildError::Indivisible { channels: x.channels, divisor: groups });
        }
        let [weight, bias] = self.scale_and_bias(name, x.channels)?;
        let graph = &mut self.graph;
        let shape = graph.push("Shape", &[&x.value], []);
        let grouped = graph.constant_i64("groups", &[0, groups.cast_signed(), -1]);
        let flat = graph.push("Reshape", &[&x.value, &grouped], []);
        let ones = graph.constant_f32("ones", &[groups], &vec![1.0; groups as usize]);
        let zeros = graph.constant_f32("zeros", &[groups], &vec![0.0; groups as usize]);
        let epsilon = [("epsilon", Attribute::Float(epsilon))];
        let normal = graph.push("InstanceNormalization", &[&flat, &ones, &zeros], epsilon);
        let normal = graph.push("Reshape", &[&normal, &shape], []);
        let per_channel = |tensor: Tensor| Tensor { dims: vec![x.channels, 1, 1], ..tensor };
        let weight = graph.constant(&format!("{name}.weight"), per_channel(weight));
        let bias = graph.constant(&format!("{name}.bias"), per_channel(bias));
        let scaled = graph.mul(&normal, &weight);
        Ok(Features { value: graph.add(&scaled, &bias), ..*x })
    }

    /// PyTorch's `BatchNorm2d` as it is after training: a scale and an offset per channel.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn batch_norm(
        &mut self,
        x: &Features,
        name: &str,
        epsilon: f32,
    ) -> Result<Features, BuildError> {
        let mut inputs = vec![x.value.clone()];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            let key = format!("{name}.{part}");
            let tensor = self.vector(&key, x.channels)?;
            inputs.push(self.graph.constant(&key, tensor));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let epsilon = [("epsilon", Attribute::Float(epsilon))];
        Ok(Features { value: self.graph.push("BatchNormalization", &inputs, epsilon), ..*x })
    }

    /// The dense layer `name` on the channels of tokens: `name.weight` is outputs × inputs.
    ///
    /// # Errors
    /// [`BuildError`] if the weight is missing or has a wrong shape.
    pub(crate) fn linear(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let key = format!("{name}.weight");
        let weight = self.tensor(&key, 2)?;
        let bias = self.bias(name, dim(self.weights(), &key, 0)?)?;
        self.linear_with(x, &key, weight, bias)
    }

    /// [`Self::linear`] with other weights than those of the file; `name` is for messages.
    pub(crate) fn linear_with(
        &mut self,
        x: &Features,
        name: &str,
        weight: &Tensor,
        bias: Option<Tensor>,
    ) -> Result<Features, BuildError> {
        let &[outputs, inputs] = weight.dims.as_slice() else {
            return Err(wrong_shape(name, &weight.dims));
        };
        if inputs != x.channels {
            return Err(wrong_shape(name, &weight.dims));
        }
        let values = weight.to_f32().unwrap_or_default();
        let (rows, columns) = (outputs as usize, inputs as usize);
        let mut turned = vec![0.0; values.len()];
        for (row, values) in values.chunks_exact(columns.max(1)).enumerate() {
            let places = turned.iter_mut().skip(row).step_by(rows.max(1));
            places.zip(values).for_each(|(to, &from)| *to = from);
        }
        let weight = self.graph.constant_f32(name, &[inputs, outputs], &turned);
        let mut value = self.graph.push("MatMul", &[&x.value, &weight], []);
        if let Some(bias) = bias {
            let bias = self.graph.constant(&format!("{name}:bias"), bias);
            value = self.graph.add(&value, &bias);
        }
        Ok(Features { value, channels: outputs })
    }

    /// Two dense layers, `name.fc1` and `name.fc2`, with GELU between.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn mlp(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let hidden = self.linear(x, &format!("{name}.fc1"))?;
        let hidden = self.gelu(&hidden);
        self.linear(&hidden, &format!("{name}.fc2"))
    }

    /// Two dense layers, `name.fc1` and `name.fc2`, with GELU and a depthwise convolution between.
    ///
    /// # Errors
    /// [`BuildError`] if the weights are missing or have a wrong shape.
    pub(crate) fn conv_mlp(&mut self, x: &Features, name: &str) -> Result<Features, BuildError> {
        let hidden = self.linear(x, &format!("{name}.fc1"))?;
        let hidden = self.gelu(&hidden);
        let around = self.image_of(&hidden);
        let around = self.depthwise(&around, &format!("{name}.dwconv.depthwise_conv.0"))?;
        let around = self.gelu(&around);
        let around = self.tokens_of(&around);
        let hidden = self.add(&hidden, &around, name)?;
        self.linear(&hidden, &format!("{name}.fc2"))
    }

    /// Features N×C×H×W as tokens.
    pub(crate) fn tokens_of(&mut self, x: &Features) -> Features {
        Features { value: self.transpose(&x.value, &[0, 2, 3, 1]), ..*x }
    }

    /// Tokens as features N×C×H×W.
    pub(crate) fn image_of(&mut self, x: &Features) -> Features {
        Features { value: self.transpose(&x.value, &[0, 3, 1, 2]), ..*x }
    }

    /// Reorders dimensions.
    pub(crate) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.graph.push("Transpose", &[x], [("perm", Attribute::Ints(order.into()))])
    }

    /// Changes the shape to `dims`; 0 keeps a dimension, −1 stands for all that is left.
    pub(crate) fn reshape(&mut self, x: &str, dims: &[i64]) -> String {
        let dims = self.graph.constant_i64("dims", dims);
        self.graph.push("Reshape", &[x, &dims], [])
    }

    /// Divides the dimension `axis` into `parts` equal parts.
    pub(crate) fn split(&mut self, x: &str, axis: i64, parts: usize) -> Vec<String> {
        self.graph.push_many("Split", &[x], parts, [("axis", Attribute::Int(axis))])
    }

    /// Divides the dimension `axis` into parts of these sizes.
    pub(crate) fn split_at(&mut self, x: &str, axis: i64, sizes: &[u64]) -> Vec<String> {
        let list: Vec<i64> = sizes.iter().map(|size| size.cast_signed()).collect();
        let list = self.graph.constant_i64("sizes", &list);
        let attributes = [("axis", Attribute::Int(axis))];
        self.graph.push_many("Split", &[x, &list], sizes.len(), attributes)
    }

    /// x divided by its Euclidean norm along the last dimension, as PyTorch's `normalize`.
    pub(crate) fn normalize(&mut self, x: &str) -> String {
        let last = [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
        let norm = self.graph.push("ReduceL2", &[x], last);
        let least = self.graph.constant_f32("least", &[], &[1e-12]);
        let norm = self.graph.push("Max", &[&norm, &least], []);
        self.graph.push("Div", &[x, &norm], [])
    }

    /// Softmax along the last dimension.
    pub(crate) fn softmax(&mut self, x: &str) -> String {
        self.graph.push("Softmax", &[x], [("axis", Attribute::Int(-1))])
    }

    /// The lengths of the dimensions `axes.0..axes.1` of `x`, as a list of integers.
    pub(crate) fn lengths(&mut self, x: &str, axes: std::ops::Range<i64>) -> String {
        let shape = self.graph.push("Shape", &[x], []);
        self.graph.slice(&shape, 0, axes.start, axes.end)
    }

    /// Extends the image N×C×H×W at the bottom and on the right to multiples of `multiple`, after
    /// `margin` samples on each side.
    pub(crate) fn pad_to_multiple(
        &mut self,
        x: &Features,
        multiple: u32,
        margin: u32,
        border: Border,
    ) -> Features {
        let graph = &mut self.graph;
        let multiple = graph.constant_i64("multiple", &[multiple.into()]);
        let shape = graph.push("Shape", &[&x.value], []);
        let size = graph.slice(&shape, 0, 2, 4);
        let rest = graph.push("Mod", &[&size, &multiple], []);
        let missing = graph.sub(&multiple, &rest);
        let missing = graph.push("Mod", &[&missing, &multiple], []);
        let margin = i64::from(margin);
        let side = graph.constant_i64("margin", &[margin]);
        let end = graph.add(&missing, &side);
        let start = graph.constant_i64("start", &[0, 0, margin, margin, 0, 0]);
        let pads = graph.concat(&[&start, &end], 0);
        let mode = match border {
            Border::Zero => "constant",
            Border::Reflect => "reflect",
            Border::Edge => "edge",
        };
        let mode = [("mode", Attribute::Text(mode.into()))];
        Features { value: graph.push("Pad", &[&x.value, &pads], mode), ..*x }
    }

    /// The first rows and columns of the image N×C×H×W: as many as `like` has, times `factor`.
    pub(crate) fn crop_like(&mut self, x: &Features, like: &Features, factor: u64) -> Features {
        let graph = &mut self.graph;
        let shape = graph.push("Shape", &[&like.value], []);
        let size = graph.slice(&shape, 0, 2, 4);
        let factor = graph.constant_i64("factor", &[factor.cast_signed()]);
        let end = graph.mul(&size, &factor);
        let start = graph.constant_i64("start", &[0, 0]);
        let axes = graph.constant_i64("axes", &[2, 3]);
        Features { value: graph.push("Slice", &[&x.value, &start, &end, &axes], []), ..*x }
    }

    /// The tensor `name` as a list of `count` values.
    ///
    /// # Errors
    /// [`BuildError`] if it is missing or has another shape.
    pub(crate) fn vector(&mut self, name: &str, count: u64) -> Result<Tensor, BuildError> {
        let tensor = self.tensor(name, 1)?;
        match tensor.dims.as_slice() {
            &[actual] if actual == count => Ok(tensor.clone()),
            dims => Err(wrong_shape(name, dims)),
        }
    }

    fn scale_and_bias(&mut self, name: &str, count: u64) -> Result<[Tensor; 2], BuildError> {
        Ok([
            self.vector(&format!("{name}.weight"), count)?,
            self.vector(&format!("{name}.bias"), count)?,
        ])
    }

    /// The values of the tensor `name`, which has any shape, and that shape.
    ///
    /// # Errors
    /// [`BuildError`] if it is missing.
    pub(crate) fn values(&mut self, name: &str) -> Result<(Vec<f32>, Vec<u64>), BuildError> {
        let tensor = self.any_tensor(name)?;
        Ok((tensor.to_f32().unwrap_or_default(), tensor.dims.clone()))
    }

    /// `x` as a float of the number type of images.
    pub(crate) fn float_of(&mut self, x: &str) -> String {
        let to = Attribute::Int(Element::F32.number().into());
        self.graph.push("Cast", &[x], [("to", to)])
    }
}

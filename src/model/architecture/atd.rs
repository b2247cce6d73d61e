//! ATD (`basicsr/archs/atd_arch.py` of LabShuHangGU/Adaptive-Token-Dictionary): attention within
//! windows, to a dictionary of tokens that each group of layers refines, and between the positions
//! that resemble the same token.
//!
//! Upstream continues an image to whole windows by its mirror image with the border sample; here, as
//! elsewhere, it is the mirror image without it.

use super::{
    Hints,
    attention::{Operands, Similarity, Windows},
    error::BuildError,
    network::{Features, Network, dim, wrong_shape},
    swinir::window_of_table,
};
use crate::model::{Attribute, Graph, Tensor, checkpoint::StateDict};

/// The positions that attend to each other in light networks and in others, which the weights do
/// not determine.
const CATEGORY: [i64; 2] = [128, 256];

/// The channels of light networks.
const LIGHT: u64 = 48;

/// The largest factor of similarity between positions.
const MAX_FACTOR: f32 = 100.0;

const FIRST: &str = "layers.0.residual_group.layers.0";

pub(super) fn matches(weights: &StateDict) -> bool {
    let has = |name: &str| weights.get(name).is_some();
    has("layers.0.residual_group.td")
        && has("layers.0.residual_group.layers.0.attn_aca.logit_scale")
}

pub(super) fn build(weights: &StateDict, hints: &Hints) -> Result<Graph, BuildError> {
    let table = format!("{FIRST}.attn_win.relative_position_bias_table");
    let windows = Windows::square(window_of_table(weights, &table)?);
    let channels = dim(weights, "conv_first.weight", 1)?;
    let mut net = Network::new(weights, hints, channels)?;
    let image = net.without_mean(1.0);
    let shallow = net.conv(&image, "conv_first")?;
    let mut x = net.patch_embedding(&shallow)?;
    let is_light = shallow.channels == LIGHT && !net.has("conv_before_upsample.0.weight");
    let [light, other] = CATEGORY;
    let category = if is_light { light } else { other };
    let masks = [None, net.window_mask(&x, windows.shifted(true))];
    for group in net.numbered("layers.{}.residual_group.td") {
        let start = x.clone();
        let name = format!("layers.{group}.residual_group");
        let mut dictionary = dictionary(&mut net, &format!("{name}.td"), x.channels)?;
        for index in net.numbered(&format!("{name}.layers.{{}}.norm1.weight")) {
            let is_shifted = index % 2 == 1;
            let layer = Layer {
                name: format!("{name}.layers.{index}"),
                windows: windows.shifted(is_shifted),
                mask: masks.get(usize::from(is_shifted)).and_then(Option::as_deref),
                category,
            };
            x = layer.apply(&mut net, &x, &mut dictionary)?;
        }
        x = net.end_group(&x, &start, group)?;
    }
    net.finish_groups(&x, &shallow, &image, 1.0)
}

/// The tokens `name` that a group starts from: 1×tokens×C.
fn dictionary(net: &mut Network<'_>, name: &str, channels: u64) -> Result<Features, BuildError> {
    let tokens = net.tensor(name, 2)?.clone();
    match tokens.dims.as_slice() {
        &[count, width] if width == channels => {
            let tokens = Tensor { dims: vec![1, count, channels], ..tokens };
            Ok(Features { value: net.graph.constant(name, tokens), channels })
        }
        _ => Err(wrong_shape(name, &tokens.dims)),
    }
}

/// A layer of a group.
struct Layer<'m> {
    name: String,
    windows: Windows,
    mask: Option<&'m str>,
    /// How many positions attend to each other.
    category: i64,
}

impl Layer<'_> {
    /// The tokens after the layer, from tokens N×H×W×C. Refines the dictionary, unless it is the
    /// last layer of its group.
    fn apply(
        &self,
        net: &mut Network<'_>,
        x: &Features,
        dictionary: &mut Features,
    ) -> Result<Features, BuildError> {
        let name = &self.name;
        let normal = net.layer_norm(x, &format!("{name}.norm1"))?;
        let all = net.linear(&normal, &format!("{name}.wqkv"))?;
        if all.channels != 3 * x.channels {
            let (outputs, expected) = (all.channels, 3 * x.channels);
            return Err(BuildError::Outputs { layer: format!("{name}.wqkv"), outputs, expected });
        }
        let (to_tokens, resemblance) = self.to_dictionary(net, &normal, dictionary)?;
        let (within_windows, heads) = self.within_windows(net, &all, x)?;
        let to_similar = self.within_categories(net, &all, &resemblance, heads)?;
        let shape = net.graph.push("Shape", &[&x.value], []);
        let mut sum = net.add(x, &within_windows, name)?;
        for flat in [&to_tokens, &to_similar] {
            let value = net.graph.push("Reshape", &[&flat.value, &shape], []);
            sum = net.add(&sum, &Features { value, ..*x }, name)?;
        }
        let normal = net.layer_norm(&sum, &format!("{name}.norm2"))?;
        let dense = net.conv_mlp(&normal, &format!("{name}.convffn"))?;
        let x = net.add(&sum, &dense, name)?;
        if net.has(&format!("{name}.sigma")) {
            *dictionary = self.refine(net, &x, dictionary, &resemblance)?;
        }
        Ok(x)
    }

    /// Attention to the dictionary: N×positions×C, and how much each position resembles each
    /// token: N×positions×tokens.
    fn to_dictionary(
        &self,
        net: &mut Network<'_>,
        x: &Features,
        dictionary: &Features,
    ) -> Result<(Features, String), BuildError> {
        let name = format!("{}.attn_atd", self.name);
        let query = net.linear(x, &format!("{name}.wq"))?;
        let query = flattened(net, &query);
        let query = net.normalize(&query.value);
        let key = net.linear(dictionary, &format!("{name}.wk"))?;
        let key = net.normalize(&key.value);
        let key = net.transpose(&key, &[0, 2, 1]);
        let value = net.linear(dictionary, &format!("{name}.wv"))?;
        let scale = format!("{name}.scale");
        let (factors, dims) = net.values(&scale)?;
        let &[tokens] = dims.as_slice() else { return Err(wrong_shape(&scale, &dims)) };
        let range = (tokens as f32).ln();
        let factors: Vec<f32> =
            factors.iter().map(|factor| 1.0 + factor.clamp(0.0, 1.0) * range).collect();
        let factors = net.graph.constant_f32(&scale, &dims, &factors);
        let cosine = net.graph.push("MatMul", &[&query, &key], []);
        let scaled = net.graph.mul(&cosine, &factors);
        let resemblance = net.softmax(&scaled);
        let mixed = net.graph.push("MatMul", &[&resemblance, &value.value], []);
        Ok((Features { value: mixed, channels: value.channels }, resemblance))
    }

    /// Attention within windows, and its heads. `all` are queries, keys and values side by side.
    fn within_windows(
        &self,
        net: &mut Network<'_>,
        all: &Features,
        like: &Features,
    ) -> Result<(Features, u64), BuildError> {
        let name = format!("{}.attn_win", self.name);
        let table = format!("{name}.relative_position_bias_table");
        let (bias, heads) = net.position_bias(&table, self.windows.size)?;
        let inside = net.windowed(all, self.windows);
        let [query, key, value] = &net.thirds(&inside);
        let attended = net.attend(&Operands {
            query,
            key,
            value,
            positions: [self.windows.area(); 2],
            heads,
            similarity: Similarity::product(like.channels, heads),
            bias: Some(&bias),
            mask: self.mask,
        })?;
        let attended = net.linear(&attended, &format!("{name}.proj"))?;
        Ok((net.unwindowed(&attended, self.windows, like), heads))
    }

    /// Attention between the positions that resemble the same token most: N×positions×C. They are
    /// sorted by that token and divided into groups of one size.
    fn within_categories(
        &self,
        net: &mut Network<'_>,
        all: &Features,
        resemblance: &str,
        heads: u64,
    ) -> Result<Features, BuildError> {
        let name = format!("{}.attn_aca", self.name);
        let channels = all.channels / 3;
        let flat = flattened(net, all);
        let count = net.lengths(&flat.value, 1..2);
        let order = net.order_by_largest(resemblance, &count);
        let back = net.order_of(&order, &count);
        let sorted = net.at_positions(&flat.value, &order);

        // Whole groups: the last positions follow in reverse order.
        let most = net.graph.constant_i64("category", &[self.category]);
        let size = net.graph.push("Min", &[&count, &most], []);
        let one = net.graph.constant_i64("one", &[1]);
        let most = net.graph.add(&count, &size);
        let most = net.graph.sub(&most, &one);
        let groups = net.graph.push("Div", &[&most, &size], []);
        let whole = net.graph.mul(&groups, &size);
        let missing = net.graph.sub(&whole, &count);
        let end = net.graph.sub(&count, &missing);
        let end = net.graph.sub(&end, &one);
        let backwards = net.graph.constant_i64("backwards", &[-1]);
        let rest = net.graph.push("Slice", &[&sorted, &backwards, &end, &one, &backwards], []);
        let padded = net.graph.concat(&[&sorted, &rest], 1);
        let batch = net.lengths(&padded, 0..1);
        let last = net.graph.constant_i64("channels", &[all.channels.cast_signed()]);
        let shape = net.graph.concat(&[&batch, &groups, &size, &last], 0);
        let grouped = net.graph.push("Reshape", &[&padded, &shape], []);

        let split = [0, 0, 0, heads.cast_signed(), (channels / heads.max(1)).cast_signed()];
        let [query, key, value] = net.thirds(&Features { value: grouped, ..*all }).map(|part| {
            let part = net.reshape(&part.value, &split);
            net.transpose(&part, &[0, 1, 3, 2, 4])
        });
        let key = net.transpose(&key, &[0, 1, 2, 4, 3]);
        let scale = format!("{name}.logit_scale");
        let (factor, dims) = net.values(&scale)?;
        let &[factor] = factor.as_slice() else { return Err(wrong_shape(&scale, &dims)) };
        let query = net.graph.scale(&query, factor.exp().min(MAX_FACTOR));
        let products = net.graph.push("MatMul", &[&query, &key], []);
        let shares = net.softmax(&products);
        let mixed = net.graph.push("MatMul", &[&shares, &value], []);
        let mixed = net.transpose(&mixed, &[0, 1, 3, 2, 4]);
        let last = net.graph.constant_i64("channels", &[channels.cast_signed()]);
        let shape = net.graph.concat(&[&batch, &whole, &last], 0);
        let mixed = net.graph.push("Reshape", &[&mixed, &shape], []);
        let start = net.graph.constant_i64("start", &[0]);
        let mixed = net.graph.push("Slice", &[&mixed, &start, &count, &one], []);
        let value = net.at_positions(&mixed, &back);
        net.linear(&Features { value, channels }, &format!("{name}.proj"))
    }

    /// The dictionary, mixed with the positions that resemble each token.
    fn refine(
        &self,
        net: &mut Network<'_>,
        x: &Features,
        dictionary: &Features,
        resemblance: &str,
    ) -> Result<Features, BuildError> {
        let name = format!("{}.sigma", self.name);
        let (sigma, dims) = net.values(&name)?;
        let &[tokens, 1] = dims.as_slice() else { return Err(wrong_shape(&name, &dims)) };
        let by_token = net.transpose(resemblance, &[0, 2, 1]);
        let mut inputs = vec![by_token];
        for part in ["weight", "bias"] {
            let key = format!("{}.norm3.{part}", self.name);
            let tensor = net.vector(&key, tokens)?;
            inputs.push(net.graph.constant(&key, tensor));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let epsilon = [("epsilon", Attribute::Float(1e-5))];
        let normal = net.graph.push("InstanceNormalization", &inputs, epsilon);
        let shares = net.softmax(&normal);
        let flat = flattened(net, x);
        let mixed = net.graph.push("MatMul", &[&shares, &flat.value], []);
        let kept: Vec<f32> = sigma.iter().map(|value| 1.0 / (1.0 + (-value).exp())).collect();
        let taken: Vec<f32> = kept.iter().map(|kept| 1.0 - kept).collect();
        let [kept, taken] = [kept, taken].map(|list| net.graph.constant_f32(&name, &dims, &list));
        let kept = net.graph.mul(&dictionary.value, &kept);
        let taken = net.graph.mul(&mixed, &taken);
        Ok(Features { value: net.graph.add(&kept, &taken), ..*dictionary })
    }
}

/// Tokens N×H×W×C as N×positions×C.
fn flattened(net: &mut Network<'_>, x: &Features) -> Features {
    Features { value: net.reshape(&x.value, &[0, -1, x.channels.cast_signed()]), ..*x }
}

impl Network<'_> {
    /// The `count` positions of 1×positions×tokens, ordered by the token with the largest value;
    /// those of one token keep their order.
    fn order_by_largest(&mut self, x: &str, count: &str) -> String {
        let attributes = [("axis", Attribute::Int(-1)), ("keepdims", Attribute::Int(0))];
        let token = self.graph.push("ArgMax", &[x], attributes);
        let scalar = self.reshape(count, &[]);
        let [zero, one] = [0, 1].map(|number| {
            let number = Tensor { dims: vec![], ..Tensor::from_i64(&[number]) };
            self.graph.constant("number", number)
        });
        let positions = self.graph.push("Range", &[&zero, &scalar, &one], []);
        let first = self.graph.mul(&token, count);
        let key = self.graph.add(&first, &positions);
        self.order_of(&key, count)
    }

    /// The `count` indices along the last dimension, in ascending order of their values.
    fn order_of(&mut self, x: &str, count: &str) -> String {
        let attributes = [("axis", Attribute::Int(-1)), ("largest", Attribute::Int(0))];
        let outputs = self.graph.push_many("TopK", &[x, count], 2, attributes);
        outputs.into_iter().next_back().unwrap_or_default()
    }

    /// The values 1×positions×C at these 1×positions.
    fn at_positions(&mut self, x: &str, positions: &str) -> String {
        let positions = self.reshape(positions, &[-1]);
        self.graph.push("Gather", &[x, &positions], [("axis", Attribute::Int(1))])
    }
}

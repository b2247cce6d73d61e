//! The internal graph: a small subset of ONNX (operator set 17) in plain Rust.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use half::f16;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// IEEE 16-bit float.
    F16,
    /// Signed 64-bit integer.
    I64,
    /// Any other type, by its number in ONNX's `TensorProto.DataType`. Kept as it is.
    Other(i32),
}

impl Element {
    /// Unsigned 8-bit integer.
    pub(crate) const U8: Self = Self::Other(2);
    /// 64-bit float.
    pub(crate) const F64: Self = Self::Other(11);
    /// The upper 16 bits of a 32-bit float.
    pub(crate) const BF16: Self = Self::Other(16);

    /// The type's number in ONNX's `TensorProto.DataType`.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Element::F32 => 1,
            Element::F16 => 10,
            Element::I64 => 7,
            Element::Other(number) => number,
        }
    }

    /// The size of one element in bytes; `None` for strings, types smaller than a byte, and unknown
    /// types.
    #[must_use]
    pub fn size(self) -> Option<usize> {
        match self {
            Element::F32 => Some(4),
            Element::F16 => Some(2),
            Element::I64 => Some(8),
            Element::Other(kind) => match kind {
                2 | 3 | 9 | 17..=20 => Some(1),
                4 | 5 | 16 => Some(2),
                6 | 12 => Some(4),
                11 | 13 | 14 => Some(8),
                15 => Some(16),
                _ => None,
            },
        }
    }
}

/// A constant: weights, a bias, a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The type of the elements.
    pub element: Element,
    /// The shape; empty for a scalar.
    pub dims: Vec<u64>,
    /// Little-endian elements, row-major. Shares the memory of the file where possible.
    pub data: Bytes,
}

impl Tensor {
    /// A float32 tensor of shape `dims`. `values` must have as many elements as the shape.
    #[must_use]
    pub fn from_f32(dims: &[u64], values: &[f32]) -> Self {
        let data: Vec<[u8; 4]> = values.iter().map(|value| value.to_le_bytes()).collect();
        Self { element: Element::F32, dims: dims.to_vec(), data: data.into_flattened().into() }
    }

    /// A one-dimensional tensor of 64-bit integers, such as a shape.
    #[must_use]
    pub fn from_i64(values: &[i64]) -> Self {
        let data: Vec<[u8; 8]> = values.iter().map(|value| value.to_le_bytes()).collect();
        Self {
            element: Element::I64,
            dims: vec![values.len() as u64],
            data: data.into_flattened().into(),
        }
    }

    /// The number of elements of the shape; `None` on overflow.
    pub fn count(&self) -> Option<u64> {
        self.dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))
    }

    /// Whether `data` has the size that the shape requires.
    pub fn is_whole(&self) -> bool {
        let Some(size) = self.element.size() else { return true };
        self.count().and_then(|count| count.checked_mul(size as u64))
            == Some(self.data.len() as u64)
    }

    /// The elements of a float32 or float16 tensor; `None` for other types.
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match self.element {
            Element::F32 => {
                Some(self.data.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect())
            }
            Element::F16 => {
                let words = self.data.as_chunks().0.iter();
                Some(words.map(|&word| f16::from_le_bytes(word).to_f32()).collect())
            }
            _ => None,
        }
    }

    /// The elements of an int32, int64 or boolean tensor; `None` for other types.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match self.element {
            Element::I64 => {
                Some(self.data.as_chunks().0.iter().map(|&word| i64::from_le_bytes(word)).collect())
            }
            Element::Other(6) => {
                let words = self.data.as_chunks().0.iter();
                Some(words.map(|&word| i64::from(i32::from_le_bytes(word))).collect())
            }
            Element::Other(9) => Some(self.data.iter().map(|&byte| i64::from(byte != 0)).collect()),
            _ => None,
        }
    }
}

/// The value of a node's attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A float.
    Float(f32),
    /// A list of floats.
    Floats(Vec<f32>),
    /// A UTF-8 string.
    Text(String),
    /// A constant tensor.
    Tensor(Tensor),
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Node {
    /// ONNX's name of the operator, such as `Conv`; `domain::Name` outside of ONNX's own domain.
    pub op: String,
    /// The names of values: outputs of other nodes, the graph's input, or constants. An empty name
    /// is an optional input that is left out.
    pub inputs: Vec<String>,
    /// The names of the values that the node produces.
    pub outputs: Vec<String>,
    /// The attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

impl Node {
    /// The name of input `index`; `None` if it is left out.
    pub fn input(&self, index: usize) -> Option<&str> {
        self.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The integer attribute `name`.
    #[must_use]
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// The attribute `name`, a list of integers.
    #[must_use]
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// The string attribute `name`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A network with one input and one output.
///
/// ```
/// use gstupscale::model::{Graph, Shuffle, Window};
///
/// // A convolution from 1 to 4 channels, which become an image of twice the size.
/// let mut graph = Graph::new(1);
/// let weight = graph.constant_f32("weight", &[4, 1, 3, 3], &[0.1; 36]);
/// let features = graph.conv("input", &weight, None, Window::padded(1));
/// let image = graph.depth_to_space(&features, 2, Shuffle::Crd);
/// graph.set_output(&image);
///
/// let model = gstupscale::model::Model::from_graph("net", "net".as_ref(), graph)?;
/// assert_eq!((model.info.factor, model.info.halo), (2, Some(1)));
/// # Ok::<(), gstupscale::model::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    /// The version of ONNX's default operator set: [`Graph::OPSET`], unless read from an `.onnx`
    /// file with another version.
    pub opset: i64,
    /// The name of the input.
    pub input: String,
    /// The shape N, C, H, W of the input; `None` for dimensions of any size.
    pub input_dims: Vec<Option<u64>>,
    /// The name of the output.
    pub output: String,
    /// The nodes, each after those that produce its inputs.
    pub nodes: Vec<Node>,
    /// The constants by name.
    pub constants: BTreeMap<String, Tensor>,
    /// Makes names for new nodes cheap to find.
    pub(super) names: OutputNames,
}

/// The names of the outputs of a graph's first nodes, which do not change once they are known here.
/// They follow from the nodes: graphs with equal nodes are equal.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputNames {
    names: HashSet<String>,
    /// The number of nodes.
    nodes: usize,
}

impl OutputNames {
    /// Takes in the nodes that were added since the last call, and returns whether a node of the
    /// graph has an output of this name.
    pub(super) fn contains(&mut self, name: &str, nodes: &[Node]) -> bool {
        let added = nodes.get(self.nodes..).unwrap_or_default();
        self.names.extend(added.iter().flat_map(|node| node.outputs.iter().cloned()));
        self.nodes = nodes.len();
        self.names.contains(name)
    }
}

impl PartialEq for OutputNames {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

//! The one internal graph: a small subset of ONNX's vocabulary (opset 17), in plain Rust.

use std::collections::BTreeMap;

use bytes::Bytes;
use half::f16;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    F32,
    F16,
    I64,
    /// Any other of ONNX's `TensorProto.DataType`s, carried through untouched.
    Other(i32),
}

impl Element {
    /// Bytes of one element; `None` for texts, packed sub-byte kinds and unknown ones.
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
    pub element: Element,
    pub dims: Vec<u64>,
    /// Little-endian elements, row-major; shared, not copied, between graph and file.
    pub data: Bytes,
}

impl Tensor {
    /// Float32 elements of this shape.
    pub fn from_f32(dims: &[u64], values: &[f32]) -> Self {
        let data: Vec<[u8; 4]> = values.iter().map(|value| value.to_le_bytes()).collect();
        Self { element: Element::F32, dims: dims.to_vec(), data: data.into_flattened().into() }
    }

    /// A list of integers, such as a shape.
    pub fn from_i64(values: &[i64]) -> Self {
        let data: Vec<[u8; 8]> = values.iter().map(|value| value.to_le_bytes()).collect();
        Self {
            element: Element::I64,
            dims: vec![values.len() as u64],
            data: data.into_flattened().into(),
        }
    }

    /// How many elements the shape holds; `None` where that overflows.
    pub fn count(&self) -> Option<u64> {
        self.dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim))
    }

    /// Whether there are as many bytes as the shape asks for.
    pub fn is_whole(&self) -> bool {
        let Some(size) = self.element.size() else { return true };
        self.count().and_then(|count| count.checked_mul(size as u64))
            == Some(self.data.len() as u64)
    }

    /// The elements of a float tensor (32 or 16 bits); `None` for other kinds.
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

    /// The elements of an integer or boolean tensor; `None` for other kinds.
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

/// A node's attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Floats(Vec<f32>),
    Text(String),
    Tensor(Tensor),
}

/// One operator. Input names are values of other nodes, graph inputs or constants; an empty
/// name is an optional input left out.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Node {
    /// ONNX's operator name, such as `Conv`; of another domain `domain::Name`.
    pub op: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: BTreeMap<String, Attribute>,
}

impl Node {
    /// The name of input `index`; `None` where it is left out.
    pub fn input(&self, index: usize) -> Option<&str> {
        self.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// An integer attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A text attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A network: nodes in an order in which each one's inputs come before it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    /// Version of ONNX's default operator set that the nodes mean: [`Graph::OPSET`] unless
    /// read from an `.onnx` of another.
    pub opset: i64,
    /// The input's name.
    pub input: String,
    /// N, C, H, W; `None` for a free one.
    pub input_dims: Vec<Option<u64>>,
    /// The output's name.
    pub output: String,
    pub nodes: Vec<Node>,
    pub constants: BTreeMap<String, Tensor>,
}

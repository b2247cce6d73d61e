//! The one internal graph: a small subset of ONNX's vocabulary (opset 17), in plain Rust.

use std::collections::BTreeMap;

use bytes::Bytes;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    F32,
    F16,
    I64,
    /// Any other of ONNX's `TensorProto.DataType`s, carried through untouched.
    Other(i32),
}

/// A constant: weights, a bias, a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub element: Element,
    pub dims: Vec<u64>,
    /// Little-endian elements, row-major; shared, not copied, between graph and file.
    pub data: Bytes,
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
    /// ONNX's operator name, such as `Conv`.
    pub op: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: BTreeMap<String, Attribute>,
}

/// A network: nodes in an order in which each one's inputs come before it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    /// The input's name.
    pub input: String,
    /// N, C, H, W; `None` for a free one.
    pub input_dims: Vec<Option<u64>>,
    /// The output's name.
    pub output: String,
    pub nodes: Vec<Node>,
    pub constants: BTreeMap<String, Tensor>,
}

//! From a [`Graph`] to ONNX bytes.

use std::{borrow::Cow, collections::BTreeSet};

use bytes::Bytes;
use half::f16;
use prost::Message;

use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use crate::model::{Attribute, Element, Graph, Node, Tensor, fault::Reason};

/// Precision, batch size and image size of a model in ONNX format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The type of weights and arithmetic: [`Element::F32`] or [`Element::F16`].
    pub element: Element,
    /// The type of input and output: [`Element::F32`] or, only if `element` is too,
    /// [`Element::F16`].
    pub ends: Element,
    /// Images per batch; `None`: any number that the model supports.
    pub batch: Option<u32>,
    /// (Width, height) of the input in pixels; `None`: any size that the model supports.
    pub size: Option<(u32, u32)>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { element: Element::F32, ends: Element::F32, batch: None, size: None }
    }
}

/// Why a graph cannot be written in a layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The operator has no equivalent in half precision.
    #[error("its {0} is not supported in half precision; use precision=fp32")]
    NotInHalfPrecision(String),
    /// [`Layout::ends`] is float16, but [`Layout::element`] is not.
    #[error("float16 input and output need half-precision arithmetic")]
    HalfEnds,
    /// The model has no input or no output.
    #[error("it has no input or no output")]
    NoEnds,
}

impl Reason for WriteError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// The type that float constants are written in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Single,
    Half,
    /// That of the graph; casts stay as they are.
    Unchanged,
}

const INPUT_DIMS: [&str; 4] = ["batch", "channels", "height", "width"];
pub(super) const OUTPUT_DIMS: [&str; 4] = ["batch", "channels", "out_height", "out_width"];

const FLOAT: i64 = DataType::Float as i64;
const FLOAT16: i64 = DataType::Float16 as i64;
const DOUBLE: i64 = DataType::Double as i64;

/// Writes `graph` as an ONNX model.
///
/// # Errors
/// See [`WriteError`].
pub fn write(graph: &Graph, layout: Layout) -> Result<Bytes, WriteError> {
    let precision = match layout.element {
        Element::F16 => Precision::Half,
        _ => Precision::Single,
    };
    let ends = match (layout.ends, precision) {
        (Element::F16, Precision::Half) => DataType::Float16,
        (Element::F16, Precision::Single) => return Err(WriteError::HalfEnds),
        _ => DataType::Float,
    };
    let mut proto = GraphProto {
        name: "upscale".into(),
        input: vec![value(&graph.input, &dims(graph, layout), ends)],
        output: vec![value(&graph.output, &OUTPUT_DIMS.map(Dim::Free), ends)],
        ..Default::default()
    };
    if precision == Precision::Half && ends == DataType::Float {
        // Casts keep the names of input and output; the values between the casts are renamed.
        let inner_input = graph.fresh_name("input:half");
        let inner_output = graph.fresh_name("output:half");
        let rename = |name: &str| match name {
            name if name == graph.input => inner_input.clone(),
            name if name == graph.output => inner_output.clone(),
            name => name.to_owned(),
        };
        (proto.node, proto.initializer) = parts(graph, precision, &rename)?;
        proto.node.insert(0, cast(&graph.input, &inner_input, FLOAT16));
        proto.node.push(cast(&inner_output, &graph.output, FLOAT));
    } else {
        (proto.node, proto.initializer) = parts(graph, precision, &str::to_owned)?;
    }
    Ok(model(graph.opset, proto).encode_to_vec().into())
}

/// The graph's nodes and constants, with every value renamed.
pub(super) fn parts(
    graph: &Graph,
    precision: Precision,
    rename: &dyn Fn(&str) -> String,
) -> Result<(Vec<NodeProto>, Vec<TensorProto>), WriteError> {
    let rename = |name: &str| if name.is_empty() { String::new() } else { rename(name) };
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    let mut singles = BTreeSet::new();
    for node in &graph.nodes {
        let mut written = node_proto(node, precision)?;
        written.input = node.inputs.iter().map(|name| rename(name)).collect();
        written.output = node.outputs.iter().map(|name| rename(name)).collect();
        written.name = written.output.first().cloned().unwrap_or_default();
        for index in scale_inputs(node) {
            let constant = node.input(index).filter(|name| graph.constants.contains_key(*name));
            if let (Some(name), Some(slot)) = (constant, written.input.get_mut(index)) {
                *slot = single(&rename(name));
                singles.insert(name);
            }
        }
        nodes.push(written);
    }
    let mut tensors = Vec::with_capacity(graph.constants.len());
    for (name, tensor) in &graph.constants {
        if singles.contains(name.as_str()) {
            tensors.push(tensor_proto(&single(&rename(name)), &convert(tensor, Precision::Single)));
        }
        tensors.push(tensor_proto(&rename(name), &convert(tensor, precision)));
    }
    Ok((nodes, tensors))
}

/// The inputs of a node that are float32 in every precision, such as scales.
fn scale_inputs(node: &Node) -> std::ops::Range<usize> {
    if matches!(node.op.as_str(), "Resize" | "Upsample") { 1..3 } else { 0..0 }
}

/// The name of the float32 copy of a constant.
fn single(name: &str) -> String {
    format!("{name}:single")
}

fn model(opset: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        // The IR version of the ONNX release that introduced the operator set.
        ir_version: match opset {
            ..=18 => 8,
            19 | 20 => 9,
            _ => 10,
        },
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        ..Default::default()
    }
}

/// A dimension of input or output.
pub(super) enum Dim {
    /// Of any size, under this name.
    Free(&'static str),
    Fixed(u64),
}

/// The dimensions of the input.
pub(super) fn dims(graph: &Graph, layout: Layout) -> Vec<Dim> {
    let requested = [
        layout.batch.map(u64::from),
        None,
        layout.size.map(|(_, height)| height.into()),
        layout.size.map(|(width, _)| width.into()),
    ];
    let dims = graph.input_dims.iter().zip(requested).zip(INPUT_DIMS);
    dims.map(|((own, requested), name)| match own.or(requested) {
        Some(value) => Dim::Fixed(value),
        None => Dim::Free(name),
    })
    .collect()
}

/// The description of a float32 input or output.
pub(super) fn float_value(name: &str, dims: &[Dim]) -> ValueInfoProto {
    value(name, dims, DataType::Float)
}

fn value(name: &str, dims: &[Dim], element: DataType) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        value: Some(match dim {
            Dim::Free(name) => dimension::Value::DimParam((*name).into()),
            Dim::Fixed(value) => dimension::Value::DimValue(i64::try_from(*value).unwrap_or(0)),
        }),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: element.into(),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn cast(from: &str, to: &str, kind: i64) -> NodeProto {
    NodeProto {
        op_type: "Cast".into(),
        name: format!("{to}:cast"),
        input: vec![from.into()],
        output: vec![to.into()],
        attribute: vec![attribute_proto("to", &Attribute::Int(kind), Precision::Single)],
        ..Default::default()
    }
}

/// The node without its inputs and outputs.
fn node_proto(node: &Node, precision: Precision) -> Result<NodeProto, WriteError> {
    let half = precision == Precision::Half;
    let refuse = |what: &str| Err(WriteError::NotInHalfPrecision(what.to_owned()));
    let mut attributes = node.attributes.clone();
    match node.op.as_str() {
        // Arithmetic on sizes needs the range of float32.
        "Cast" if half && matches!(node.int("to"), Some(FLOAT | DOUBLE)) => return refuse("Cast"),
        "Cast" if node.int("to") == Some(FLOAT16) && precision == Precision::Single => {
            attributes.insert("to".into(), Attribute::Int(FLOAT));
        }
        "QuantizeLinear" | "DequantizeLinear" | "QLinearConv" if half => {
            return refuse("int8 arithmetic");
        }
        "RandomNormal" | "RandomUniform" | "Range" if half => return refuse(&node.op),
        _ => {}
    }
    let (domain, op) = node.op.split_once("::").unwrap_or(("", &node.op));
    Ok(NodeProto {
        op_type: op.into(),
        domain: domain.into(),
        attribute: attributes
            .iter()
            .map(|(name, value)| attribute_proto(name, value, precision))
            .collect(),
        ..Default::default()
    })
}

fn attribute_proto(name: &str, value: &Attribute, precision: Precision) -> AttributeProto {
    let mut proto = AttributeProto { name: name.into(), ..Default::default() };
    let kind = match value {
        Attribute::Int(value) => {
            proto.i = *value;
            AttributeType::Int
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            AttributeType::Ints
        }
        Attribute::Float(value) => {
            proto.f = *value;
            AttributeType::Float
        }
        Attribute::Floats(values) => {
            proto.floats.clone_from(values);
            AttributeType::Floats
        }
        Attribute::Text(text) => {
            proto.s = Bytes::copy_from_slice(text.as_bytes());
            AttributeType::String
        }
        Attribute::Tensor(tensor) => {
            proto.t = Some(tensor_proto("", &convert(tensor, precision)));
            AttributeType::Tensor
        }
    };
    proto.r#type = kind.into();
    proto
}

fn tensor_proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: tensor.dims.iter().map(|&dim| i64::try_from(dim).unwrap_or(0)).collect(),
        data_type: match tensor.element {
            Element::F32 => DataType::Float.into(),
            Element::F16 => DataType::Float16.into(),
            Element::I64 => DataType::Int64.into(),
            Element::Other(kind) => kind,
        },
        raw_data: tensor.data.clone(),
        ..Default::default()
    }
}

/// Floats in this precision, limited to its range; everything else as it is.
fn convert(tensor: &Tensor, precision: Precision) -> Cow<'_, Tensor> {
    let (element, data) = match (tensor.element, precision) {
        (Element::F32, Precision::Half) => {
            let words = tensor.data.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
            let limit = f16::MAX.to_f32();
            let halves = words.map(|value| f16::from_f32(value.clamp(-limit, limit)).to_le_bytes());
            (Element::F16, halves.collect::<Vec<_>>().into_flattened())
        }
        (Element::F16, Precision::Single) => {
            let words = tensor.data.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word));
            let singles = words.map(|value| value.to_f32().to_le_bytes());
            (Element::F32, singles.collect::<Vec<_>>().into_flattened())
        }
        _ => return Cow::Borrowed(tensor),
    };
    Cow::Owned(Tensor { element, dims: tensor.dims.clone(), data: data.into() })
}

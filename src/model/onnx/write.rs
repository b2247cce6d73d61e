//! [`Graph`] → ONNX bytes.

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
use crate::model::{Attribute, Element, Graph, Node, Tensor};

/// What the written model is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// F32, or F16 for half-precision weights and arithmetic.
    pub element: Element,
    /// The type of input and output: F32, or F16, which `element` then has to be too.
    pub ends: Element,
    /// Frames a batch; `None`: as many as come (or the only number that the model takes).
    pub batch: Option<u32>,
    /// Width and height of the input; `None`: any that the model takes.
    pub size: Option<(u32, u32)>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { element: Element::F32, ends: Element::F32, batch: None, size: None }
    }
}

const FLOAT: i64 = DataType::Float as i64;
const FLOAT16: i64 = DataType::Float16 as i64;

/// `graph` as an ONNX model.
///
/// # Errors
/// Why the graph cannot be written so, as the end of a sentence.
pub fn write(graph: &Graph, layout: Layout) -> Result<Bytes, String> {
    let half = layout.element == Element::F16;
    let ends = match layout.ends {
        Element::F16 if half => DataType::Float16,
        Element::F16 => return Err("half-precision ends need half-precision arithmetic".into()),
        _ => DataType::Float,
    };
    let names = ["batch", "channels", "out_height", "out_width"];
    let mut proto = GraphProto {
        name: "upscale".into(),
        input: vec![value(&graph.input, &dims(graph, layout), ends)],
        output: vec![value(&graph.output, &names.map(Dim::Free), ends)],
        ..Default::default()
    };
    if half && ends == DataType::Float {
        // Between the two casts the graph's own names stay; the ends get new ones.
        let inner_input = graph.fresh_name("input:half");
        let inner_output = graph.fresh_name("output:half");
        let rename = |name: &str| match name {
            name if name == graph.input => inner_input.clone(),
            name if name == graph.output => inner_output.clone(),
            name => name.to_owned(),
        };
        (proto.node, proto.initializer) = parts(graph, half, &rename)?;
        proto.node.insert(0, cast(&graph.input, &inner_input, FLOAT16));
        proto.node.push(cast(&inner_output, &graph.output, FLOAT));
    } else {
        (proto.node, proto.initializer) = parts(graph, half, &str::to_owned)?;
    }
    Ok(model(graph.opset, proto).encode_to_vec().into())
}

/// The graph's nodes and constants, every value under the name that `rename` gives it.
pub(super) fn parts(
    graph: &Graph,
    half: bool,
    rename: &dyn Fn(&str) -> String,
) -> Result<(Vec<NodeProto>, Vec<TensorProto>), String> {
    let rename = |name: &str| if name.is_empty() { String::new() } else { rename(name) };
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    let mut singles = BTreeSet::new();
    for node in &graph.nodes {
        let mut written = node_proto(node, half)?;
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
            tensors.push(tensor_proto(&single(&rename(name)), &convert(tensor, false)));
        }
        tensors.push(tensor_proto(&rename(name), &convert(tensor, half)));
    }
    Ok((nodes, tensors))
}

/// The inputs of a node that stay float32 in every precision: scales and the like.
fn scale_inputs(node: &Node) -> std::ops::Range<usize> {
    if matches!(node.op.as_str(), "Resize" | "Upsample") { 1..3 } else { 0..0 }
}

/// The name of a constant's float32 form.
fn single(name: &str) -> String {
    format!("{name}:single")
}

fn model(opset: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        // The IR version of the ONNX release that brought the operator set.
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

pub(super) enum Dim {
    Free(&'static str),
    Fixed(u64),
}

pub(super) fn dims(graph: &Graph, layout: Layout) -> Vec<Dim> {
    let asked = [
        layout.batch.map(u64::from),
        None,
        layout.size.map(|(_, height)| height.into()),
        layout.size.map(|(width, _)| width.into()),
    ];
    let names = ["batch", "channels", "height", "width"];
    let dims = graph.input_dims.iter().zip(asked).zip(names);
    dims.map(|((own, asked), name)| match own.or(asked) {
        Some(value) => Dim::Fixed(value),
        None => Dim::Free(name),
    })
    .collect()
}

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
        attribute: vec![attribute_proto("to", &Attribute::Int(kind), false)],
        ..Default::default()
    }
}

/// The node less its inputs and outputs.
fn node_proto(node: &Node, half: bool) -> Result<NodeProto, String> {
    let refuse = |what: &str| {
        Err(format!("its {what} cannot be turned into half precision: use precision=fp32"))
    };
    let mut attributes = node.attributes.clone();
    match node.op.as_str() {
        // Float32 arithmetic on sizes must keep its range.
        "Cast" if half && matches!(node.int("to"), Some(FLOAT | 11)) => return refuse("Cast"),
        "Cast" if node.int("to") == Some(FLOAT16) && !half => {
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
            .map(|(name, value)| attribute_proto(name, value, half))
            .collect(),
        ..Default::default()
    })
}

fn attribute_proto(name: &str, value: &Attribute, half: bool) -> AttributeProto {
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
            proto.t = Some(tensor_proto("", &convert(tensor, half)));
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

/// Floats in the asked width; everything else as it is.
fn convert(tensor: &Tensor, half: bool) -> Cow<'_, Tensor> {
    let data: Vec<u8> = match (tensor.element, half) {
        (Element::F32, true) => {
            let words = tensor.data.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word));
            let limit = f16::MAX.to_f32();
            let halves = words.map(|value| f16::from_f32(value.clamp(-limit, limit)).to_le_bytes());
            halves.collect::<Vec<_>>().into_flattened()
        }
        (Element::F16, false) => {
            let words = tensor.data.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word));
            words.map(|value| value.to_f32().to_le_bytes()).collect::<Vec<_>>().into_flattened()
        }
        _ => return Cow::Borrowed(tensor),
    };
    let element = if half { Element::F16 } else { Element::F32 };
    Cow::Owned(Tensor { element, dims: tensor.dims.clone(), data: data.into() })
}

//! From ONNX bytes to a [`Graph`].

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prost::Message;

use super::{
    NO_GRAPH,
    external::{ExternalError, Folder},
    limits,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
        attribute_proto::AttributeType, tensor_proto::DataLocation, tensor_shape_proto::dimension,
        type_proto,
    },
    safety,
};
use crate::model::{
    Attribute, Element, Graph, Node, Tensor,
    fault::{Fault, Reason},
    order,
};

/// The largest dimension of input and output.
const MAX_DIMENSION: u64 = 1 << 16;

/// Why a constant cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum TensorError {
    #[error("a weight has a negative dimension")]
    NegativeDimension,
    #[error("the weight {name:?} of dimensions {dims:?} has {size} bytes")]
    Size { name: String, dims: Vec<u64>, size: usize },
    #[error(transparent)]
    External(#[from] ExternalError),
}

impl Reason for TensorError {
    fn is_damage(&self) -> bool {
        true
    }
}

/// Why the input or the output is not one image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum EndError {
    #[error("it has {count} {end}s; expected one image. Export the model with a single {end}")]
    Count { end: End, count: usize },
    #[error("its {end} {name:?} is not a tensor")]
    NotATensor { end: End, name: String },
    #[error(
        "its {end} {name:?} has ONNX's element type {element}; expected one of uint8 (2), float32 (1), float16 (10), bfloat16 (16) and double (11)"
    )]
    Element { end: End, name: String, element: i32 },
    #[error("its {end} {name:?} has no stated dimensions")]
    NoDimensions { end: End, name: String },
    #[error(
        "its {end} {name:?} has {rank} dimensions; expected 4 (batch, channels, height, width)"
    )]
    Rank { end: End, name: String, rank: usize },
    #[error("its {end} {name:?} has a dimension of {dim} (maximum {MAX_DIMENSION})")]
    TooLarge { end: End, name: String, dim: u64 },
}

impl Reason for EndError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// One of the two ends of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Input,
    Output,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            End::Input => "input",
            End::Output => "output",
        })
    }
}

/// The content of an `.onnx` file.
pub(crate) struct Import {
    pub proto: ModelProto,
    pub graph: Graph,
    /// Whether `graph` represents everything in the file.
    pub complete: bool,
    /// The element types of input and output.
    pub ends: [Element; 2],
    /// The dimensions of the output, as far as the file states them.
    pub output_dims: Vec<Option<u64>>,
    /// The folder of external weight files and their contents, if there are any.
    pub external: Option<(PathBuf, Vec<Bytes>)>,
}

/// Reads the `.onnx` file at `path`, whose content is `bytes`.
///
/// # Errors
/// [`Fault::Damaged`] for an invalid ONNX model, [`Fault::Unsuitable`] for one that does not have
/// one image as input and one as output.
pub(crate) fn import(path: &Path, bytes: &Bytes) -> Result<Import, Fault> {
    limits::check(bytes)?;
    let proto =
        ModelProto::decode(bytes.clone()).map_err(|error| Fault::damaged(error.to_string()))?;
    safety::check(&proto)?;
    let source = proto.graph.as_ref().ok_or_else(|| Fault::damaged(NO_GRAPH))?;
    let (input, input_dims, input_element) = end(source, End::Input)?;
    let (output, output_dims, output_element) = end(source, End::Output)?;

    let mut folder = Folder::of(path);
    let opset = proto
        .opset_import
        .iter()
        .find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"))
        .map_or(1, |set| set.version);
    let mut graph = Graph { opset, input, input_dims, output, ..Graph::default() };
    let mut complete = source.sparse_initializer.is_empty();
    for initializer in &source.initializer {
        let tensor = tensor(initializer, &mut folder)?;
        graph.constants.insert(initializer.name.clone(), tensor);
    }
    for sparse in &source.sparse_initializer {
        if let Some(values) = &sparse.values {
            let dims = dims(&sparse.dims)?;
            let element = element(values.data_type);
            let without_data = Tensor { element, dims, data: Bytes::new() };
            graph.constants.insert(values.name.clone(), without_data);
        }
    }
    for node in &source.node {
        if let Some(tensor) = constant(node, &mut folder)? {
            graph.constants.insert(node.output.first().cloned().unwrap_or_default(), tensor);
            continue;
        }
        let (node, is_whole) = convert(node, &mut folder)?;
        complete &= is_whole;
        graph.nodes.push(node);
    }
    order::sort(&mut graph)?;
    let external = folder.into_weights();
    let ends = [input_element, output_element];
    Ok(Import { graph, complete, ends, output_dims, external, proto })
}

/// The one image at this end of the graph: name, dimensions, element type.
fn end(graph: &GraphProto, end: End) -> Result<(String, Vec<Option<u64>>, Element), EndError> {
    let values = match end {
        End::Input => &graph.input,
        End::Output => &graph.output,
    };
    // Before IR version 4, initializers were listed among the inputs.
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let images: Vec<&ValueInfoProto> =
        values.iter().filter(|value| !weights.contains(value.name.as_str())).collect();
    let &[image] = images.as_slice() else {
        return Err(EndError::Count { end, count: images.len() });
    };
    let name = image.name.clone();
    let kind = image.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = kind else {
        return Err(EndError::NotATensor { end, name });
    };
    let element = element(tensor.elem_type);
    let supported = [Element::U8, Element::F32, Element::F16, Element::BF16, Element::F64];
    if !supported.contains(&element) {
        return Err(EndError::Element { end, name, element: tensor.elem_type });
    }
    let dims: Vec<Option<u64>> = match &tensor.shape {
        // Stating the shape of an output is optional.
        None if end == End::Output => vec![None; 4],
        None => return Err(EndError::NoDimensions { end, name }),
        Some(shape) => shape
            .dim
            .iter()
            .map(|dim| match dim.value {
                Some(dimension::Value::DimValue(value)) => {
                    u64::try_from(value).ok().filter(|&v| v > 0)
                }
                _ => None,
            })
            .collect(),
    };
    if dims.len() != 4 {
        return Err(EndError::Rank { end, name, rank: dims.len() });
    }
    if let Some(&dim) = dims.iter().flatten().find(|&&dim| dim > MAX_DIMENSION) {
        return Err(EndError::TooLarge { end, name, dim });
    }
    Ok((name, dims, element))
}

/// The element type with this number in ONNX's `TensorProto.DataType`.
fn element(kind: i32) -> Element {
    match kind {
        1 => Element::F32,
        10 => Element::F16,
        7 => Element::I64,
        other => Element::Other(other),
    }
}

fn dims(dims: &[i64]) -> Result<Vec<u64>, TensorError> {
    let dims: Option<Vec<u64>> = dims.iter().map(|&dim| u64::try_from(dim).ok()).collect();
    dims.ok_or(TensorError::NegativeDimension)
}

fn tensor(proto: &TensorProto, folder: &mut Folder) -> Result<Tensor, TensorError> {
    let element = element(proto.data_type);
    let dims = dims(&proto.dims)?;
    let data = if proto.data_location() == DataLocation::External {
        let count = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
        let size = element.size().and_then(|size| count?.checked_mul(size as u64));
        folder.data(&proto.external_data, size)?
    } else if !proto.raw_data.is_empty() {
        proto.raw_data.clone()
    } else {
        typed_data(proto, element)
    };
    let tensor = Tensor { element, dims, data };
    if tensor.is_whole() {
        return Ok(tensor);
    }
    let (name, size) = (proto.name.clone(), tensor.data.len());
    Err(TensorError::Size { name, dims: tensor.dims, size })
}

/// The elements of a tensor without `raw_data`. ONNX stores narrow types in wider fields.
fn typed_data(proto: &TensorProto, element: Element) -> Bytes {
    let ints = &proto.int32_data;
    let bytes: Vec<u8> = match (element, element.size()) {
        (Element::F32, _) => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Element::I64, _) => proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Element::Other(11), _) => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (Element::Other(12), _) => {
            proto.uint64_data.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect()
        }
        (Element::Other(13), _) => proto.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        (_, Some(1)) => ints.iter().map(|&v| v as u8).collect(),
        (_, Some(2)) => ints.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect(),
        (_, Some(4)) => ints.iter().flat_map(|v| v.to_le_bytes()).collect(),
        _ => Vec::new(),
    };
    bytes.into()
}

/// The value of a `Constant` node; `None` for other nodes.
fn constant(node: &NodeProto, folder: &mut Folder) -> Result<Option<Tensor>, TensorError> {
    if node.op_type != "Constant" || !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Ok(None);
    }
    let Some(attribute) = node.attribute.first() else { return Ok(None) };
    Ok(match attribute.name.as_str() {
        "value" => match &attribute.t {
            Some(proto) => Some(tensor(proto, folder)?),
            None => None,
        },
        "value_int" => Some(Tensor { dims: vec![], ..Tensor::from_i64(&[attribute.i]) }),
        "value_ints" => Some(Tensor::from_i64(&attribute.ints)),
        "value_float" => Some(Tensor::from_f32(&[], &[attribute.f])),
        "value_floats" => {
            Some(Tensor::from_f32(&[attribute.floats.len() as u64], &attribute.floats))
        }
        _ => None,
    })
}

/// The node, and whether [`Node`] represents all of it.
fn convert(proto: &NodeProto, folder: &mut Folder) -> Result<(Node, bool), TensorError> {
    let mut attributes = BTreeMap::new();
    let mut whole = true;
    for source in &proto.attribute {
        match attribute(source, folder)? {
            Some(value) => drop(attributes.insert(source.name.clone(), value)),
            None => whole = false,
        }
    }
    let op = match proto.domain.as_str() {
        "" | "ai.onnx" => proto.op_type.clone(),
        domain => {
            whole = false;
            format!("{domain}::{}", proto.op_type)
        }
    };
    let node = Node { op, inputs: proto.input.clone(), outputs: proto.output.clone(), attributes };
    Ok((node, whole))
}

fn attribute(
    proto: &AttributeProto,
    folder: &mut Folder,
) -> Result<Option<Attribute>, TensorError> {
    Ok(match proto.r#type() {
        AttributeType::Int => Some(Attribute::Int(proto.i)),
        AttributeType::Ints => Some(Attribute::Ints(proto.ints.clone())),
        AttributeType::Float => Some(Attribute::Float(proto.f)),
        AttributeType::Floats => Some(Attribute::Floats(proto.floats.clone())),
        AttributeType::String => {
            std::str::from_utf8(&proto.s).ok().map(|text| Attribute::Text(text.into()))
        }
        AttributeType::Tensor => match &proto.t {
            Some(proto) => Some(Attribute::Tensor(tensor(proto, folder)?)),
            None => None,
        },
        _ => None,
    })
}

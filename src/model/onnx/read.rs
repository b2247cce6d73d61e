//! ONNX bytes → [`Graph`].

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use prost::Message;

use super::{
    external::Folder,
    limits,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
        attribute_proto::AttributeType, tensor_proto::DataLocation, tensor_shape_proto::dimension,
        type_proto,
    },
};
use crate::model::{Attribute, Element, Error, Graph, Node, Tensor, fault::Fault, order};

/// Weight files beside a model, all together.
const EXTERNAL_LIMIT: u64 = 4 << 30;

/// An `.onnx` file, read.
pub(crate) struct Import {
    pub proto: ModelProto,
    pub graph: Graph,
    /// Whether the graph holds all that the file does, so that it can stand for it.
    pub complete: bool,
    /// What the input and the output hold.
    pub ends: [Element; 2],
    /// The folder of external weights and the weights themselves, where there are such.
    pub external: Option<(PathBuf, Vec<Bytes>)>,
}

/// Reads the `.onnx` at `path`, whose content is `bytes`.
///
/// # Errors
/// [`Error::Damaged`] for a file that is no whole ONNX model, [`Error::Unsuitable`] for one
/// that does not take one picture and give one.
pub(crate) fn import(path: &Path, bytes: &Bytes) -> Result<Import, Error> {
    let damaged = |why: String| Fault::damaged(why).at(path);
    limits::check(bytes).map_err(damaged)?;
    let proto = ModelProto::decode(bytes.clone()).map_err(|error| damaged(error.to_string()))?;
    let source = proto.graph.as_ref().ok_or_else(|| damaged("it holds no graph".into()))?;
    let (input, input_dims, input_element) = ends(path, source, &source.input, "input")?;
    let (output, _, output_element) = ends(path, source, &source.output, "output")?;

    let mut folder = Folder::of(path, EXTERNAL_LIMIT);
    let opset = proto
        .opset_import
        .iter()
        .find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"))
        .map_or(1, |set| set.version);
    let mut graph = Graph { opset, input, input_dims, output, ..Graph::default() };
    let mut complete = proto.functions.is_empty() && source.sparse_initializer.is_empty();
    for initializer in &source.initializer {
        let tensor = tensor(initializer, &mut folder).map_err(damaged)?;
        graph.constants.insert(initializer.name.clone(), tensor);
    }
    for sparse in &source.sparse_initializer {
        if let Some(values) = &sparse.values {
            let dims = dims(&sparse.dims).map_err(damaged)?;
            let element = element(values.data_type);
            let hollow = Tensor { element, dims, data: Bytes::new() };
            graph.constants.insert(values.name.clone(), hollow);
        }
    }
    for node in &source.node {
        if let Some(tensor) = constant(node, &mut folder).map_err(damaged)? {
            graph.constants.insert(node.output.first().cloned().unwrap_or_default(), tensor);
            continue;
        }
        let (node, whole) = convert(node, &mut folder).map_err(damaged)?;
        complete &= whole;
        graph.nodes.push(node);
    }
    order::sort(&mut graph).map_err(damaged)?;
    let external = folder
        .used()
        .then(|| (folder.path().to_owned(), folder.contents().into_iter().cloned().collect()));
    Ok(Import { graph, complete, ends: [input_element, output_element], external, proto })
}

/// The one picture among `values` (the graph's inputs or outputs): name, sizes, element.
fn ends(
    path: &Path,
    graph: &GraphProto,
    values: &[ValueInfoProto],
    what: &str,
) -> Result<(String, Vec<Option<u64>>, Element), Error> {
    let unsuitable = |why: String| Fault::unsuitable(why).at(path);
    // Before IR version 4 initializers were listed among the inputs.
    let weights: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut pictures = values.iter().filter(|value| !weights.contains(value.name.as_str()));
    let picture = match (pictures.next(), pictures.count()) {
        (Some(picture), 0) => picture,
        (found, more) => {
            let count = usize::from(found.is_some()) + more;
            return Err(unsuitable(format!(
                "it has {count} {what}s where one picture is wanted: export the model with a single {what}"
            )));
        }
    };
    let name = &picture.name;
    let kind = picture.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = kind else {
        return Err(unsuitable(format!("its {what} {name:?} is no tensor")));
    };
    let element = element(tensor.elem_type);
    if !matches!(element, Element::F32 | Element::F16) {
        return Err(unsuitable(format!(
            "its {what} {name:?} is of ONNX's element type {}, wanted is float32 (1) or float16 (10)",
            tensor.elem_type
        )));
    }
    let dims: Vec<Option<u64>> = match &tensor.shape {
        // An output's shape need not be stated.
        None if what == "output" => vec![None; 4],
        None => return Err(unsuitable(format!("its {what} {name:?} has no stated dimensions"))),
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
        return Err(unsuitable(format!(
            "its {what} {name:?} has {} dimensions, wanted are four (batch, channels, height, width)",
            dims.len()
        )));
    }
    if let Some(large) = dims.iter().flatten().find(|&&dim| dim > 1 << 16) {
        return Err(unsuitable(format!("its {what} {name:?} has a dimension of {large}")));
    }
    Ok((name.clone(), dims, element))
}

pub(super) fn element(kind: i32) -> Element {
    match kind {
        1 => Element::F32,
        10 => Element::F16,
        7 => Element::I64,
        other => Element::Other(other),
    }
}

fn dims(dims: &[i64]) -> Result<Vec<u64>, String> {
    let dims: Option<Vec<u64>> = dims.iter().map(|&dim| u64::try_from(dim).ok()).collect();
    dims.ok_or_else(|| "a weight has a negative dimension".into())
}

fn tensor(proto: &TensorProto, folder: &mut Folder) -> Result<Tensor, String> {
    let element = element(proto.data_type);
    let data = if proto.data_location() == DataLocation::External {
        folder.data(&proto.external_data)?
    } else if !proto.raw_data.is_empty() {
        proto.raw_data.clone()
    } else {
        typed_data(proto, element)
    };
    let tensor = Tensor { element, dims: dims(&proto.dims)?, data };
    if tensor.is_whole() {
        return Ok(tensor);
    }
    Err(format!(
        "the weight {:?} of dimensions {:?} has {} bytes",
        proto.name,
        tensor.dims,
        tensor.data.len()
    ))
}

/// The elements that are not in `raw_data`: ONNX keeps narrow kinds in wider fields.
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
fn constant(node: &NodeProto, folder: &mut Folder) -> Result<Option<Tensor>, String> {
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

/// The node, and whether all of it could be taken over.
fn convert(proto: &NodeProto, folder: &mut Folder) -> Result<(Node, bool), String> {
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

fn attribute(proto: &AttributeProto, folder: &mut Folder) -> Result<Option<Attribute>, String> {
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

//! What a file must not contain besides its graph, since ONNX Runtime would act on it: graphs
//! inside of operators, functions, and weight files that are named in unusual places.

use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
    attribute_proto::AttributeType, tensor_proto::DataLocation,
};
use crate::model::fault::Reason;

/// Why ONNX Runtime does not get a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SafetyError {
    #[error(
        "it defines the function {0:?}; inline its functions, for instance with \
         onnx.inliner.inline_local_functions"
    )]
    Function(String),
    #[error(
        "its operator {0} contains a graph, which is supported for If only; export the model \
         without loops"
    )]
    Subgraph(String),
    #[error("its operator {0} loads another file, which is not supported")]
    LoadsFile(String),
    #[error(
        "its tensor {0:?} is stored in another file, which is supported for weights of the main \
         graph only; store it in the model"
    )]
    External(String),
    #[error("it has more than {MAX_NODES} operators")]
    TooManyNodes,
}

impl Reason for SafetyError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// The most operators of a model, branches included. The largest published upscalers have a third.
const MAX_NODES: usize = 1 << 16;

/// Checks everything in `model`. Weights of the main graph may be in other files, which
/// [`external`](super::external) checks.
///
/// The nesting of graphs is bounded by [`limits`](super::limits).
///
/// # Errors
/// See [`SafetyError`].
pub(super) fn check(model: &ModelProto) -> Result<(), SafetyError> {
    if let Some(function) = model.functions.first() {
        return Err(SafetyError::Function(function.name.clone()));
    }
    let mut nodes = 0;
    model.graph.iter().try_for_each(|graph| check_graph(graph, true, &mut nodes))
}

fn check_graph(graph: &GraphProto, is_main: bool, nodes: &mut usize) -> Result<(), SafetyError> {
    *nodes += graph.node.len();
    if *nodes > MAX_NODES {
        return Err(SafetyError::TooManyNodes);
    }
    if !is_main {
        graph.initializer.iter().try_for_each(check_tensor)?;
    }
    graph.sparse_initializer.iter().try_for_each(check_sparse)?;
    for node in &graph.node {
        if node.op_type == "EPContext" {
            return Err(SafetyError::LoadsFile(node.op_type.clone()));
        }
        for attribute in &node.attribute {
            check_attribute(node, attribute, is_main, nodes)?;
        }
    }
    Ok(())
}

fn check_attribute(
    node: &NodeProto,
    attribute: &AttributeProto,
    is_main: bool,
    nodes: &mut usize,
) -> Result<(), SafetyError> {
    let is_if = node.op_type == "If" && matches!(node.domain.as_str(), "" | "ai.onnx");
    let mut graphs = attribute.g.iter().chain(&attribute.graphs).peekable();
    if !is_if && graphs.peek().is_some() {
        return Err(SafetyError::Subgraph(node.op_type.clone()));
    }
    graphs.try_for_each(|graph| check_graph(graph, false, nodes))?;
    // The reader opens the files of these.
    let is_read = is_main && attribute.r#type() == AttributeType::Tensor;
    if !is_read {
        attribute.t.iter().try_for_each(check_tensor)?;
    }
    attribute.tensors.iter().try_for_each(check_tensor)?;
    attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors).try_for_each(check_sparse)
}

fn check_sparse(sparse: &SparseTensorProto) -> Result<(), SafetyError> {
    sparse.values.iter().chain(&sparse.indices).try_for_each(check_tensor)
}

fn check_tensor(tensor: &TensorProto) -> Result<(), SafetyError> {
    if tensor.data_location() == DataLocation::External || !tensor.external_data.is_empty() {
        return Err(SafetyError::External(tensor.name.clone()));
    }
    Ok(())
}

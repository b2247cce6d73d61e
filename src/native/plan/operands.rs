//! Reading a node's constants and attributes.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    model::{Attribute, Graph, Node, Tensor},
    native::Error,
};

/// The constants of a graph by name, `Constant` nodes and what only copies them included.
pub(crate) struct Constants<'a>(HashMap<&'a str, Cow<'a, Tensor>>);

impl<'a> Constants<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Self {
        Self(graph.constants.iter().map(|(name, t)| (name.as_str(), Cow::Borrowed(t))).collect())
    }

    pub(crate) fn get(&self, name: Option<&str>) -> Option<&Tensor> {
        self.0.get(name?).map(Cow::as_ref)
    }

    /// Takes a node over whose result is a constant. Whether it was one.
    pub(crate) fn take(&mut self, node: &'a Node) -> bool {
        let Some(output) = node.outputs.first() else { return false };
        let tensor = match node.op.as_str() {
            "Constant" => match node.attributes.get("value") {
                Some(Attribute::Tensor(tensor)) => Cow::Borrowed(tensor),
                _ => match (node.attributes.get("value_float"), node.ints("value_ints")) {
                    (Some(Attribute::Float(value)), _) => {
                        Cow::Owned(Tensor::from_f32(&[], &[*value]))
                    }
                    (None, Some(values)) => Cow::Owned(Tensor::from_i64(values)),
                    _ => return false,
                },
            },
            "Identity" => match node.input(0).and_then(|name| self.0.get(name)) {
                Some(tensor) => tensor.clone(),
                None => return false,
            },
            _ => return false,
        };
        self.0.insert(output, tensor);
        true
    }
}

/// The error for a node that the engine does not run.
pub(crate) fn unsupported(node: &Node, why: impl Into<String>) -> Error {
    Error::Operator { operator: node.op.clone(), why: why.into() }
}

/// A float attribute.
pub(crate) fn float(node: &Node, name: &str, default: f32) -> f32 {
    match node.attributes.get(name) {
        Some(Attribute::Float(value)) => *value,
        _ => default,
    }
}

/// A list of `N` whole numbers from 0 on, `default` where the attribute is missing.
pub(crate) fn sizes<const N: usize>(
    node: &Node,
    name: &str,
    default: [usize; N],
) -> Result<[usize; N], Error> {
    let Some(values) = node.ints(name) else { return Ok(default) };
    let list: Option<Vec<usize>> =
        values.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v <= 1 << 16)).collect();
    list.and_then(|list| <[usize; N]>::try_from(list).ok())
        .ok_or_else(|| unsupported(node, format!("its {name} are {values:?}")))
}

/// One number per channel of a constant that broadcasts along the channels of N×C×H×W; one
/// number where it is the same for all.
pub(crate) fn per_channel(tensor: &Tensor, channels: usize) -> Option<Vec<f32>> {
    let values = tensor.to_f32()?;
    match (&values[..], tensor.dims.as_slice()) {
        ([value], _) => Some(vec![*value; channels]),
        (_, [rest @ .., own, 1, 1])
            if values.len() == channels
                && *own == channels as u64
                && rest.iter().all(|&dim| dim == 1) =>
        {
            Some(values)
        }
        _ => None,
    }
}

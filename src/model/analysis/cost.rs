//! The cost of a model: parameters, and memory while it runs.

use std::collections::{BTreeSet, HashMap};

use super::probe::{Probe, needed};
use crate::model::{Element, Graph};

/// The number of trained parameters: elements of all float constants that the arithmetic on images
/// uses. Scalars, such as a residual scale, are hyperparameters and do not count.
pub(super) fn parameters(graph: &Graph) -> u64 {
    let control = ["Resize", "Upsample", "Clip", "Pad", "Slice", "Reshape", "Cast"];
    let used: BTreeSet<&str> = graph
        .nodes
        .iter()
        .filter(|node| !control.contains(&node.op.as_str()))
        .flat_map(|node| node.inputs.iter().map(String::as_str))
        .collect();
    let floats =
        |element| matches!(element, Element::F32 | Element::F16 | Element::Other(2 | 3 | 11 | 16));
    let weights = graph.constants.iter().filter(|(name, tensor)| {
        floats(tensor.element) && !tensor.dims.is_empty() && used.contains(name.as_str())
    });
    weights.filter_map(|(_, tensor)| tensor.count()).fold(0, u64::saturating_add)
}

/// The largest number of floats that are alive at once. Input and output are always alive;
/// operators that only reshape share the memory of their input.
pub(super) fn peak_floats(probe: &Probe<'_>) -> f64 {
    let graph = probe.graph;
    let needed = needed(graph);
    let mut owner: HashMap<&str, &str> = HashMap::new();
    let mut last: HashMap<&str, usize> = HashMap::new();
    let nodes = || graph.nodes.iter().enumerate().filter(|(index, _)| needed.contains(index));
    let size =
        |name: &str| probe.values.get(name).filter(|v| v.is_image).map_or(0.0, |v| v.count());
    for (index, node) in nodes() {
        for input in node.inputs.iter().map(String::as_str) {
            last.insert(owner.get(input).copied().unwrap_or(input), index);
        }
        if matches!(node.op.as_str(), "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity")
            && let (Some(input), Some(output)) = (node.inputs.first(), node.outputs.first())
        {
            let source = owner.get(input.as_str()).copied().unwrap_or(input);
            owner.insert(output, source);
        }
    }
    let ends = [graph.input.as_str(), graph.output.as_str()];
    let root = |name| owner.get(name).copied().unwrap_or(name);
    let always_alive = ends.map(root);
    let mut frees: HashMap<usize, f64> = HashMap::new();
    for (name, index) in last {
        if !always_alive.contains(&name) {
            *frees.entry(index).or_default() += size(name);
        }
    }
    let mut alive: f64 = size(graph.input.as_str()) + size(graph.output.as_str());
    let mut peak = alive;
    for (index, node) in nodes() {
        for output in node.outputs.iter().map(String::as_str) {
            if !owner.contains_key(output) && !always_alive.contains(&output) {
                alive += size(output);
            }
        }
        peak = peak.max(alive);
        alive -= frees.get(&index).copied().unwrap_or(0.0);
    }
    peak
}

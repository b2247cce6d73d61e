//! A limit on the tensors that a graph makes by itself. A few hundred bytes can ask for gigabytes.

use std::collections::BTreeSet;

use super::{
    error::{AnalysisError, Problem},
    probe::{Probe, needed},
};
use crate::model::{Graph, Node};

/// The most elements that a graph may make without the picture, besides four times its constants:
/// 256 MB in float32. Published models make masks and coordinates of less than a tenth.
const MAX_ELEMENTS: f64 = (1 << 26) as f64;

/// The most elements of one tensor for each pixel of the picture. A 64× upscaler with 64 channels
/// has a quarter of a million.
const MAX_PER_PIXEL: f64 = (1 << 20) as f64;

/// Operators that make tensors of any size from a few numbers.
const GROWING: [&str; 8] = [
    "ConstantOfShape",
    "Expand",
    "EyeLike",
    "OneHot",
    "RandomNormal",
    "RandomUniform",
    "Range",
    "Tile",
];

/// Checks the tensors of a graph whose shapes were inferred for two sizes of the picture.
///
/// # Errors
/// [`Problem::Elements`] or [`Problem::Unused`].
pub(super) fn check(first: &Probe<'_>, second: &Probe<'_>) -> Result<(), AnalysisError> {
    let graph = first.graph;
    let used = needed(graph);
    let allowed = MAX_ELEMENTS + 4.0 * constant_elements(graph);
    let pixels = (first.batch.max(1) * first.size.iter().product::<i64>()).max(1) as f64;
    let mut made = 0.0;
    for (index, node) in graph.nodes.iter().enumerate() {
        if !used.contains(&index) {
            if GROWING.contains(&node.op.as_str()) {
                return Err(error(node, Problem::Unused));
            }
            continue;
        }
        for name in node.outputs.iter().map(String::as_str) {
            let Some(value) = first.values.get(name) else { continue };
            let count = value.count();
            let is_fixed = second.values.get(name).is_some_and(|other| other.count() == count);
            if is_fixed && !value.is_image {
                made += count;
            }
            if made > allowed || count / pixels > MAX_PER_PIXEL {
                return Err(error(node, Problem::Elements(count)));
            }
        }
    }
    Ok(())
}

/// Checks the operators of a graph whose shapes cannot be inferred: those that make a tensor of a
/// constant shape.
///
/// # Errors
/// [`Problem::Elements`].
pub(crate) fn check_stated_shapes(graph: &Graph) -> Result<(), AnalysisError> {
    let made: BTreeSet<&str> =
        graph.nodes.iter().flat_map(|node| node.outputs.iter().map(String::as_str)).collect();
    for node in &graph.nodes {
        let shape = match node.op.as_str() {
            "ConstantOfShape" => node.input(0),
            "Expand" | "Tile" => node.input(1),
            _ => continue,
        };
        let Some(shape) = shape.filter(|shape| !made.contains(shape)) else { continue };
        let numbers = graph.constants.get(shape).and_then(|tensor| tensor.to_i64());
        let count: f64 = numbers.iter().flatten().map(|&number| number as f64).product();
        if count.abs() > MAX_ELEMENTS {
            return Err(error(node, Problem::Elements(count.abs())));
        }
    }
    Ok(())
}

fn constant_elements(graph: &Graph) -> f64 {
    graph.constants.values().filter_map(|tensor| tensor.count()).map(|count| count as f64).sum()
}

fn error(node: &Node, problem: Problem) -> AnalysisError {
    AnalysisError::Operator { op: node.op.clone(), problem }
}

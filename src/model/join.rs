//! Joining two graphs into one.

use super::{Border, Graph, analysis::Analysis, fault::Reason};

/// Why two graphs cannot be joined.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinError {
    #[error(
        "the models use the ONNX operator sets {0} and {1}; export both with operator set {opset}",
        opset = Graph::OPSET
    )]
    OperatorSets(i64, i64),
    #[error(
        "the output lacks a margin; adding it needs ONNX operator set {PADDING_OPSET} or later, and the model uses {0}"
    )]
    NoPadding(i64),
    #[error("the margin that the output lacks is too large")]
    MarginTooLarge,
}

impl Reason for JoinError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// The first operator set whose `Pad` takes its pads as an input.
const PADDING_OPSET: i64 = 11;

/// The operators that [`Graph`]'s methods add mean the same from this operator set on.
const COMMON_OPSET: i64 = 13;

/// One graph that runs `first` and then `second`, in float32 in between.
///
/// # Errors
/// [`JoinError::OperatorSets`].
pub(crate) fn join(first: &Graph, second: &Graph) -> Result<Graph, JoinError> {
    let common = COMMON_OPSET..=Graph::OPSET;
    let opset = match (first.opset, second.opset) {
        (a, b) if a == b => a,
        (a, b) if common.contains(&a) && common.contains(&b) => a.max(b),
        (a, b) => return Err(JoinError::OperatorSets(a, b)),
    };
    let mut stem = "then".to_owned();
    let is_taken = |stem: &str| {
        let values =
            first.nodes.iter().flat_map(|node| &node.outputs).chain(first.constants.keys());
        values.chain([&first.input]).any(|name| name.starts_with(stem))
    };
    while is_taken(&stem) {
        stem.push('+');
    }
    let rename = |name: &String| match name {
        name if name.is_empty() => String::new(),
        name if *name == second.input => first.output.clone(),
        name => format!("{stem}/{name}"),
    };
    let mut graph = Graph { opset, ..first.clone() };
    for node in &second.nodes {
        let mut node = node.clone();
        node.inputs = node.inputs.iter().map(rename).collect();
        node.outputs = node.outputs.iter().map(rename).collect();
        graph.nodes.push(node);
    }
    let constants = second.constants.iter();
    graph.constants.extend(constants.map(|(name, tensor)| (rename(name), tensor.clone())));
    graph.output = rename(&second.output);
    Ok(graph)
}

/// Makes the output of a network whose convolutions do not pad (or pad too much) a full frame:
/// reflects pixels around the input, and crops the output.
///
/// # Errors
/// See [`JoinError`].
pub(crate) fn complete(graph: &Graph, found: &Analysis) -> Result<Graph, JoinError> {
    if graph.opset < PADDING_OPSET {
        return Err(JoinError::NoPadding(graph.opset));
    }
    let factor = i64::from(found.info.factor.max(1));
    let align = i64::from(found.info.align.max(1));
    // Half of what is missing on each side, in input pixels, rounded up to the alignment.
    let step = 2 * factor * align;
    let pads = found.missing.map(|missing| (missing.max(0) + step - 1) / step * align);
    let channels = found.info.channels.count() as u64;
    let mut before = Graph { opset: graph.opset, ..Graph::new(channels) };
    before.input_dims.clone_from(&graph.input_dims);
    let [vertical, horizontal] = pads;
    let padded = before.pad("input", [vertical, horizontal, vertical, horizontal], Border::Reflect);
    before.set_output(&padded);
    let crop = |pad: i64, missing: i64| {
        let total = 2 * pad * factor - missing;
        let margin = |margin: i64| u32::try_from(margin).map_err(|_| JoinError::MarginTooLarge);
        Ok([margin(total / 2)?, margin(total - total / 2)?])
    };
    let [missing_rows, missing_columns] = found.missing;
    let [top, bottom] = crop(vertical, missing_rows)?;
    let [left, right] = crop(horizontal, missing_columns)?;
    let mut after = Graph { opset: graph.opset, ..Graph::new(channels) };
    let cropped = after.crop("input", [top, left, bottom, right]);
    after.set_output(&cropped);
    join(&join(&before, graph)?, &after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Shuffle, Window, analysis::analyze};

    fn upscaler(factor: u32) -> Graph {
        let mut graph = Graph::new(1);
        let outputs = u64::from(factor * factor);
        let weight =
            graph.constant_f32("weight", &[outputs, 1, 3, 3], &vec![0.0; 9 * outputs as usize]);
        let x = graph.conv("input", &weight, None, Window::padded(1));
        let x = graph.depth_to_space(&x, factor, Shuffle::Crd);
        graph.set_output(&x);
        graph
    }

    #[test]
    fn a_chain_multiplies_factors_and_adds_halos() {
        let joined = join(&upscaler(1), &upscaler(2)).unwrap();
        let joined = join(&joined, &upscaler(2)).unwrap();
        let info = analyze(&joined).unwrap().info;
        assert_eq!((info.factor, info.halo), (4, Some(3)));
    }

    #[test]
    fn a_network_without_padding_gets_its_margin() {
        let mut graph = Graph::new(1);
        let weight = graph.constant_f32("weight", &[1, 1, 7, 7], &[0.0; 49]);
        let x = graph.conv("input", &weight, None, Window::default());
        let x = graph.resize_nearest(&x, [2.0; 2]);
        graph.set_output(&x);
        let whole = complete(&graph, &analyze(&graph).unwrap()).unwrap();
        let found = analyze(&whole).unwrap();
        assert_eq!((found.info.factor, found.missing), (2, [0, 0]));
        // Reflecting three pixels needs a fourth.
        assert_eq!((found.info.halo, found.info.min_side), (Some(3), 4));
    }

    #[test]
    fn different_operator_sets_do_not_join() {
        let old = Graph { opset: 9, ..upscaler(1) };
        assert_eq!(join(&old, &upscaler(2)), Err(JoinError::OperatorSets(9, Graph::OPSET)));
    }
}

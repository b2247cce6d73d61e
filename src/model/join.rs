//! One graph after another.

use super::{Border, Graph, analysis::Analysis};

/// `first` and then `second`, as one graph; in float in between.
///
/// # Errors
/// Why they do not go together, as the end of a sentence.
pub(crate) fn join(first: &Graph, second: &Graph) -> Result<Graph, String> {
    // The operators used here mean the same from 13 to 17.
    let common = 13..=Graph::OPSET;
    let opset = match (first.opset, second.opset) {
        (a, b) if a == b => a,
        (a, b) if common.contains(&a) && common.contains(&b) => a.max(b),
        (a, b) => {
            return Err(format!(
                "they are written in ONNX's operator sets {a} and {b}: export both in {}",
                Graph::OPSET
            ));
        }
    };
    let mut stem = "then".to_owned();
    let taken = |stem: &str| {
        let values =
            first.nodes.iter().flat_map(|node| &node.outputs).chain(first.constants.keys());
        values.chain([&first.input]).any(|name| name.starts_with(stem))
    };
    while taken(&stem) {
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

/// Gives a network that crops as it convolves (or pads) the margin that it needs, so that its
/// output is a full frame: mirrored pixels ahead of it, a crop behind it.
pub(crate) fn complete(graph: &Graph, found: &Analysis) -> Result<Graph, String> {
    let factor = i64::from(found.info.factor.max(1));
    let align = i64::from(found.info.align.max(1));
    // Half of what is missing on each side, in input pixels the model can take.
    let step = 2 * factor * align;
    let grow = found.missing.map(|missing| (missing.max(0) + step - 1) / step * align);
    let crop = [0, 1].map(|axis| 2 * grow[axis] * factor - found.missing[axis]);
    let channels = found.info.channels.count() as u64;
    let mut before = Graph { opset: graph.opset, ..Graph::new(channels) };
    before.input_dims.clone_from(&graph.input_dims);
    let padded = before.pad("input", [grow[0], grow[1], grow[0], grow[1]], Border::Reflect);
    before.set_output(&padded);
    let mut after = Graph { opset: graph.opset, ..Graph::new(channels) };
    let [top, left] = crop.map(|crop| crop / 2);
    let [bottom, right] = [crop[0] - top, crop[1] - left];
    let margin =
        |margin: i64| u32::try_from(margin).map_err(|_| "its margin is too large".to_owned());
    let cropped =
        after.crop("input", [margin(top)?, margin(left)?, margin(bottom)?, margin(right)?]);
    after.set_output(&cropped);
    if graph.opset < 11 {
        return Err(format!(
            "its output lacks a margin, which needs operator set 11 to give: it has {}",
            graph.opset
        ));
    }
    join(&join(&before, graph)?, &after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Shuffle, Window, analysis::analyze};

    fn enlarger(factor: u32) -> Graph {
        let mut graph = Graph::new(1);
        let places = u64::from(factor * factor);
        let weight =
            graph.constant_f32("weight", &[places, 1, 3, 3], &vec![0.0; 9 * places as usize]);
        let x = graph.conv("input", &weight, None, Window::padded(1));
        let x = graph.depth_to_space(&x, factor, Shuffle::Crd);
        graph.set_output(&x);
        graph
    }

    #[test]
    fn a_chain_multiplies_factors_and_adds_halos() {
        let joined = join(&enlarger(1), &enlarger(2)).unwrap();
        let joined = join(&joined, &enlarger(2)).unwrap();
        let info = analyze(&joined).unwrap().info;
        assert_eq!((info.factor, info.halo), (4, Some(3)));
    }

    #[test]
    fn a_cropping_network_gets_its_margin() {
        let mut graph = Graph::new(1);
        let weight = graph.constant_f32("weight", &[1, 1, 7, 7], &[0.0; 49]);
        let x = graph.conv("input", &weight, None, Window::default());
        let x = graph.resize_nearest(&x, [2.0; 2]);
        graph.set_output(&x);
        let whole = complete(&graph, &analyze(&graph).unwrap()).unwrap();
        let found = analyze(&whole).unwrap();
        assert_eq!((found.info.factor, found.missing), (2, [0, 0]));
        // Mirroring three pixels needs a fourth.
        assert_eq!((found.info.halo, found.info.min_side), (Some(3), 4));
    }

    #[test]
    fn different_operator_sets_do_not_join() {
        let old = Graph { opset: 9, ..enlarger(1) };
        assert!(join(&old, &enlarger(2)).is_err());
    }
}

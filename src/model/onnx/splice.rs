//! Adding nodes around a model without changing its own nodes.

use super::{
    proto::{GraphProto, ModelProto, ValueInfoProto},
    write::{self, Dim, Layout, Precision, WriteError},
};
use crate::model::Graph;

/// Puts the graph `before` before `model` and the graph `after` after it. The input of the result
/// is that of `before`, the output that of `after`.
///
/// # Errors
/// [`WriteError::NoEnds`] if `model` has no graph, input or output.
pub(crate) fn splice(
    model: &mut ModelProto,
    before: &Graph,
    after: &Graph,
) -> Result<(), WriteError> {
    let graph = model.graph.as_mut().ok_or(WriteError::NoEnds)?;
    let weights: Vec<String> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    let is_image = |value: &ValueInfoProto| !weights.contains(&value.name);
    let input = graph.input.iter().find(|value| is_image(value)).map(|value| value.name.clone());
    let output = graph.output.first().map(|value| value.name.clone());
    let (input, output) = input.zip(output).ok_or(WriteError::NoEnds)?;
    let stem = free_stem(graph, &input);
    let (mut nodes, head_constants) =
        write::parts(before, Precision::Unchanged, &|name| match name {
            name if name == before.output => input.clone(),
            name => format!("{stem}.in/{name}"),
        })?;
    let (tail_nodes, tail_constants) =
        write::parts(after, Precision::Unchanged, &|name| match name {
            name if name == after.input => output.clone(),
            name => format!("{stem}.out/{name}"),
        })?;
    graph.input.retain(|value| !is_image(value));
    let new_input = format!("{stem}.in/{}", before.input);
    let input_dims = write::dims(before, Layout::default());
    graph.input.insert(0, write::float_value(&new_input, &input_dims));
    let new_output = format!("{stem}.out/{}", after.output);
    graph.output = vec![write::float_value(&new_output, &write::OUTPUT_DIMS.map(Dim::Free))];
    nodes.append(&mut graph.node);
    nodes.extend(tail_nodes);
    graph.node = nodes;
    graph.initializer.extend(head_constants.into_iter().chain(tail_constants));
    Ok(())
}

/// A prefix that no value of `graph` has.
fn free_stem(graph: &GraphProto, input: &String) -> String {
    let is_taken = |stem: &str| {
        let names = graph.node.iter().flat_map(|node| &node.output).chain([input]);
        names.into_iter().any(|name| name.starts_with(stem))
    };
    let mut stem = "upscale".to_owned();
    while is_taken(&stem) {
        stem.push('_');
    }
    stem
}

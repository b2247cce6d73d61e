//! Adding nodes around a model whose own nodes stay untouched.

use super::{
    proto::{ModelProto, ValueInfoProto},
    write,
};
use crate::model::Graph;

/// `model` with the graph `before` ahead of it and `after` behind it: what goes in and comes
/// out then is what those two take and give.
///
/// # Errors
/// Why that cannot be written, as the end of a sentence.
pub(crate) fn splice(model: &mut ModelProto, before: &Graph, after: &Graph) -> Result<(), String> {
    let graph = model.graph.as_mut().ok_or("it holds no graph")?;
    let weights: Vec<String> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    let picture = |value: &ValueInfoProto| !weights.contains(&value.name);
    let input = graph.input.iter().find(|value| picture(value)).map(|value| value.name.clone());
    let output = graph.output.first().map(|value| value.name.clone());
    let (Some(input), Some(output)) = (input, output) else {
        return Err("it has no input or no output".into());
    };
    let taken = |stem: &str| {
        graph
            .node
            .iter()
            .flat_map(|node| &node.output)
            .chain([&input])
            .any(|name| name.starts_with(stem))
    };
    let mut stem = "upscale".to_owned();
    while taken(&stem) {
        stem.push('_');
    }
    let head = write::parts(before, false, &|name| match name {
        name if name == before.output => input.clone(),
        name => format!("{stem}.in/{name}"),
    })?;
    let tail = write::parts(after, false, &|name| match name {
        name if name == after.input => output.clone(),
        name => format!("{stem}.out/{name}"),
    })?;
    graph.input.retain(|value| !picture(value));
    let names = ["batch", "channels", "out_height", "out_width"];
    graph.input.insert(
        0,
        write::float_value(
            &format!("{stem}.in/{}", before.input),
            &write::dims(before, write::Layout::default()),
        ),
    );
    graph.output = vec![write::float_value(
        &format!("{stem}.out/{}", after.output),
        &names.map(write::Dim::Free),
    )];
    let body = std::mem::take(&mut graph.node);
    graph.node = head.0.into_iter().chain(body).chain(tail.0).collect();
    graph.initializer.extend(head.1.into_iter().chain(tail.1));
    Ok(())
}

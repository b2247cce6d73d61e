//! Putting a graph's nodes into an order in which they can be run.

use std::collections::{BTreeMap, HashMap};

use super::Graph;

/// Sorts the nodes so that each one's inputs come before it; those that can stay, stay.
///
/// # Errors
/// A value that nothing makes, that two nodes make, or that depends on itself; as the end of a
/// sentence.
pub(crate) fn sort(graph: &mut Graph) -> Result<(), String> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            let taken = *output == graph.input || graph.constants.contains_key(output);
            if taken || makers.insert(output, index).is_some() {
                return Err(format!("the value {output:?} is made twice"));
            }
        }
    }
    // Kahn's algorithm; the map is a queue in the order of the file.
    let mut waiting = vec![0usize; graph.nodes.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in node.inputs.iter().filter(|name| !name.is_empty()) {
            if let Some(&maker) = makers.get(input.as_str()) {
                users[maker].push(index);
                waiting[index] += 1;
            } else if *input != graph.input && !graph.constants.contains_key(input) {
                return Err(format!("{} wants a value {input:?} that nothing makes", node.op));
            }
        }
    }
    if graph.output != graph.input
        && !makers.contains_key(graph.output.as_str())
        && !graph.constants.contains_key(&graph.output)
    {
        return Err(format!("nothing makes its output {:?}", graph.output));
    }
    let mut ready: BTreeMap<usize, ()> = waiting
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .map(|(i, _)| (i, ()))
        .collect();
    let mut order = Vec::with_capacity(graph.nodes.len());
    while let Some((index, ())) = ready.pop_first() {
        order.push(index);
        for &user in &users[index] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.insert(user, ());
            }
        }
    }
    if order.len() < graph.nodes.len() {
        return Err("its graph runs in a circle".into());
    }
    let mut nodes: Vec<_> = std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
    graph.nodes = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_out_of_order_are_sorted() {
        let mut graph = Graph::new(1);
        let a = graph.relu("input");
        let b = graph.sigmoid(&a);
        graph.set_output(&b);
        graph.nodes.reverse();
        assert_eq!(sort(&mut graph), Ok(()));
        assert_eq!(graph.nodes[0].op, "Relu");
    }

    #[test]
    fn circles_and_strangers_are_refused() {
        let mut graph = Graph::new(1);
        let a = graph.add("input", "input");
        let b = graph.relu(&a);
        graph.set_output(&b);
        let mut circle = graph.clone();
        circle.nodes[0].inputs[1] = b;
        assert!(sort(&mut circle).is_err_and(|why| why.contains("circle")));
        graph.nodes[0].inputs[1] = "stranger".into();
        assert!(sort(&mut graph).is_err_and(|why| why.contains("stranger")));
    }
}

//! Topological sorting.

use std::collections::{BTreeSet, HashMap};

use super::{Graph, fault::Reason};

/// Why the nodes of a graph cannot be sorted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("the value {0:?} is produced twice")]
    ProducedTwice(String),
    #[error("the operator {op} has an input {value:?} that no operator produces")]
    MissingInput { op: String, value: String },
    #[error("no operator produces the output {0:?}")]
    MissingOutput(String),
    #[error("the graph has a cycle")]
    Cycle,
}

impl Reason for OrderError {
    fn is_damage(&self) -> bool {
        true
    }
}

/// The indices `0..dependencies.len()`, each after all of its dependencies; otherwise in
/// ascending order. `None` if the dependencies have a cycle.
///
/// Kahn's algorithm. A dependency that is out of range counts as never satisfied.
pub(super) fn topological(dependencies: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); dependencies.len()];
    for (index, list) in dependencies.iter().enumerate() {
        for &dependency in list {
            dependents.get_mut(dependency)?.push(index);
        }
    }
    let mut unsatisfied: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let ready = unsatisfied.iter().enumerate().filter(|(_, count)| **count == 0);
    let mut ready: BTreeSet<usize> = ready.map(|(index, _)| index).collect();
    let mut order = Vec::with_capacity(dependencies.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &dependent in dependents.get(index).into_iter().flatten() {
            let Some(count) = unsatisfied.get_mut(dependent) else { continue };
            *count -= 1;
            if *count == 0 {
                ready.insert(dependent);
            }
        }
    }
    (order.len() == dependencies.len()).then_some(order)
}

/// Sorts the nodes of `graph` so that the inputs of each come before it.
///
/// # Errors
/// A value that nothing produces, that two nodes produce, or that depends on itself.
pub(crate) fn sort(graph: &mut Graph) -> Result<(), OrderError> {
    let mut producers: HashMap<&str, usize> = HashMap::new();
    let is_given = |name: &String| *name == graph.input || graph.constants.contains_key(name);
    for (index, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if is_given(output) || producers.insert(output, index).is_some() {
                return Err(OrderError::ProducedTwice(output.clone()));
            }
        }
    }
    let mut dependencies = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let mut list = Vec::new();
        for input in node.inputs.iter().filter(|name| !name.is_empty()) {
            if let Some(&producer) = producers.get(input.as_str()) {
                list.push(producer);
            } else if !is_given(input) {
                let (op, value) = (node.op.clone(), input.clone());
                return Err(OrderError::MissingInput { op, value });
            }
        }
        dependencies.push(list);
    }
    if !is_given(&graph.output) && !producers.contains_key(graph.output.as_str()) {
        return Err(OrderError::MissingOutput(graph.output.clone()));
    }
    let order = topological(&dependencies).ok_or(OrderError::Cycle)?;
    let mut nodes: Vec<_> = std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
    let sorted = order.into_iter().filter_map(|index| nodes.get_mut(index)?.take());
    graph.nodes = sorted.collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsorted_nodes_are_sorted() {
        let mut graph = Graph::new(1);
        let a = graph.relu("input");
        let b = graph.sigmoid(&a);
        graph.set_output(&b);
        graph.nodes.reverse();
        assert_eq!(sort(&mut graph), Ok(()));
        assert_eq!(graph.nodes[0].op, "Relu");
    }

    #[test]
    fn cycles_and_missing_values_are_rejected() {
        let mut graph = Graph::new(1);
        let a = graph.add("input", "input");
        let b = graph.relu(&a);
        graph.set_output(&b);
        let mut cyclic = graph.clone();
        cyclic.nodes[0].inputs[1] = b;
        assert_eq!(sort(&mut cyclic), Err(OrderError::Cycle));
        graph.nodes[0].inputs[1] = "missing".into();
        let (op, value) = ("Add".into(), "missing".into());
        assert_eq!(sort(&mut graph), Err(OrderError::MissingInput { op, value }));
    }

    #[test]
    fn independent_indices_stay_in_order() {
        assert_eq!(topological(&[vec![3], vec![], vec![], vec![]]), Some(vec![1, 2, 3, 0]));
        assert_eq!(topological(&[vec![1], vec![0]]), None);
        assert_eq!(topological(&[vec![9]]), None);
    }
}

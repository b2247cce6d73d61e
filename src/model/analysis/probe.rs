//! Shape inference through the whole graph, for one size of the input.

use std::collections::{BTreeSet, HashMap};

use super::{
    error::{AnalysisError, Problem},
    known,
    operator::{Inputs, Outcome},
    operators::operate,
    ratio::Ratio,
    reach::Reaches,
    value::{Axis, Dim, MAX_NUMBERS, Numbers, Role, Value},
};
use crate::model::{Graph, Node, Tensor};

/// Larger dimensions of a value are rejected.
const MAX_LENGTH: i64 = 1 << 32;
/// More dimensions of a value are rejected.
const MAX_RANK: usize = 16;

/// What shape inference finds out at one size of the input.
pub(super) struct Probe<'a> {
    pub graph: &'a Graph,
    pub batch: i64,
    /// Height and width of the input.
    pub size: [i64; 2],
    pub values: HashMap<&'a str, Value>,
    /// For each node, how its output positions depend on its input positions.
    pub reaches: Vec<Option<Reaches>>,
    /// The denominators of all scales. If they are the same at all sizes, sides must be multiples
    /// of them, so that every scaled side is a whole number.
    pub denominators: BTreeSet<i64>,
    /// The minimum input side that each node needs, by direction.
    pub needs: Vec<(Axis, i64)>,
    /// Multiply-adds of the whole graph.
    pub macs: f64,
    /// length − scale · side of every spatial dimension, as (numerator, denominator). Equal at all
    /// sizes if positions move along with the image.
    pub offsets: Vec<(i64, i64)>,
}

impl<'a> Probe<'a> {
    /// Infers all shapes of `graph` for `batch` images of `size` (height, width).
    ///
    /// # Errors
    /// The first operator that does not support this size, or is not supported at all.
    pub(crate) fn run(graph: &'a Graph, batch: i64, size: [i64; 2]) -> Result<Self, AnalysisError> {
        let channels = graph.input_dims.get(1).copied().flatten().unwrap_or(3);
        let [height, width] = size;
        let space = |axis, len| Dim { len, role: Role::Space(axis, Ratio::ONE) };
        let input = Value {
            dims: vec![
                Dim::plain(batch),
                Dim::plain(i64::try_from(channels).unwrap_or(0)),
                space(Axis::Vertical, height),
                space(Axis::Horizontal, width),
            ],
            numbers: None,
            is_image: true,
        };
        let mut values: HashMap<&str, Value> = HashMap::with_capacity(graph.nodes.len());
        values.insert(&graph.input, input);
        for (name, tensor) in &graph.constants {
            values.insert(name, constant(tensor));
        }
        let mut probe = Self {
            graph,
            batch,
            size,
            values,
            reaches: Vec::with_capacity(graph.nodes.len()),
            denominators: BTreeSet::new(),
            needs: Vec::new(),
            macs: 0.0,
            offsets: Vec::new(),
        };
        let needed = needed(graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            if !needed.contains(&index) {
                probe.reaches.push(None);
                continue;
            }
            let inputs: Vec<Option<&Value>> =
                node.inputs.iter().map(|name| probe.values.get(name.as_str())).collect();
            let call = Inputs { node, values: &inputs, opset: graph.opset };
            let outcome = operate(&call)?;
            let is_image =
                outcome.numbers.is_none() && inputs.iter().flatten().any(|value| value.is_image);
            let first = outcome.outputs.first().map(Vec::as_slice).unwrap_or_default();
            let lens: Vec<i64> = first.iter().map(|dim| dim.len).collect();
            let numbers = match (&outcome.numbers, is_image) {
                (Some(numbers), _) => Some(numbers.clone()),
                (None, false) => known::fold(&call, &lens),
                (None, true) => None,
            };
            if is_image {
                let source = inputs.first().copied().flatten().cloned();
                probe.record(node, &outcome, source.as_ref())?;
            }
            let Outcome { outputs, reach, .. } = outcome;
            probe.reaches.push(reach);
            for (position, (name, dims)) in node.outputs.iter().zip(outputs).enumerate() {
                if let Some(dim) = dims.iter().find(|dim| !(0..=MAX_LENGTH).contains(&dim.len)) {
                    return Err(error(node, Problem::Dimension(dim.len)));
                }
                if dims.len() > MAX_RANK {
                    return Err(error(node, Problem::Dimensions(dims.len())));
                }
                let numbers = if position == 0 { numbers.clone() } else { None };
                probe.values.insert(name, Value { dims, numbers, is_image });
            }
        }
        Ok(probe)
    }

    /// Records what one node requires of the sizes of the input.
    fn record(
        &mut self,
        node: &Node,
        outcome: &Outcome,
        source: Option<&Value>,
    ) -> Result<(), AnalysisError> {
        self.macs += outcome.macs;
        for dim in outcome.outputs.iter().flatten() {
            if let Role::Space(axis, scale) = dim.role {
                self.denominators.insert(scale.den);
                // Both factors are bounded, so that this cannot overflow.
                let side = axis.of(self.size);
                self.offsets.push((dim.len * scale.den - side * scale.num, scale.den));
                self.need(axis, scale, dim.len, 1);
            }
        }
        for &(index, needed) in &outcome.needs {
            let dim = source.and_then(|source| source.dims.get(index)).copied();
            match dim {
                Some(Dim { len, role: Role::Space(axis, scale) }) => {
                    self.need(axis, scale, len, needed)
                }
                Some(Dim { len, .. }) if len < needed => {
                    return Err(error(node, Problem::TooSmall { needed, actual: len }));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Records the input side at which a dimension, `len` at the present size, is `needed`.
    fn need(&mut self, axis: Axis, scale: Ratio, len: i64, needed: i64) {
        let slack = (len - needed).saturating_mul(scale.den).div_euclid(scale.num);
        self.needs.push((axis, axis.of(self.size).saturating_sub(slack)));
    }

    /// The graph's output; `None` if nothing produces it.
    pub(crate) fn output(&self) -> Option<&Value> {
        self.values.get(self.graph.output.as_str())
    }
}

fn error(node: &Node, problem: Problem) -> AnalysisError {
    AnalysisError::Operator { op: node.op.clone(), problem }
}

/// The indices of the nodes that the output depends on. The graph's nodes are sorted.
pub(super) fn needed(graph: &Graph) -> BTreeSet<usize> {
    let mut values: BTreeSet<&str> = BTreeSet::from([graph.output.as_str()]);
    let mut nodes = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|output| values.contains(output.as_str())) {
            nodes.insert(index);
            values.extend(node.inputs.iter().map(String::as_str).filter(|name| !name.is_empty()));
        }
    }
    nodes
}

fn constant(tensor: &Tensor) -> Value {
    let dims = tensor.dims.iter().map(|&dim| Dim::plain(i64::try_from(dim).unwrap_or(i64::MAX)));
    let small =
        tensor.count().is_some_and(|count| count <= MAX_NUMBERS as u64) && tensor.is_whole();
    let numbers = if small {
        tensor.to_i64().map(Numbers::Ints).or_else(|| tensor.to_f32().map(Numbers::Floats))
    } else {
        None
    };
    Value { dims: dims.collect(), numbers, is_image: false }
}

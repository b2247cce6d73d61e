//! A walk through the whole graph for one size of the input: shapes, not pixels.

use std::collections::{BTreeSet, HashMap};

use super::{
    known,
    operators::{Inputs, Outcome, operate},
    ratio::{Ratio, lcm},
    reach::Reaches,
    value::{Axis, Dim, LIMIT, Numbers, Role, Value},
};
use crate::model::{Graph, Tensor};

/// Above this no dimension of a value is taken for real.
const LONGEST: i64 = 1 << 32;

pub(super) struct Probe<'a> {
    pub graph: &'a Graph,
    /// Batch, height and width of the input.
    pub batch: i64,
    pub size: [i64; 2],
    pub values: HashMap<&'a str, Value>,
    /// Per node, how its output's positions depend on its inputs'.
    pub reaches: Vec<Option<Reaches>>,
    /// Sides must be multiples of this for every scale in the graph to come out whole.
    pub align: i64,
    /// The side that each node needs, by direction.
    pub needs: Vec<(Axis, i64)>,
    /// Multiply-adds of the whole run.
    pub macs: f64,
    /// length − scale · side of every spatial dimension: the same at each size where positions
    /// move along with the picture.
    pub offsets: Vec<Ratio64>,
}

/// An exact difference: (numerator, denominator).
type Ratio64 = (i64, i64);

impl<'a> Probe<'a> {
    /// # Errors
    /// What in the graph does not go at this size, as the end of a sentence.
    pub fn run(graph: &'a Graph, batch: i64, size: [i64; 2]) -> Result<Self, String> {
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
            picture: true,
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
            align: 1,
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
            let picture =
                outcome.numbers.is_none() && inputs.iter().flatten().any(|value| value.picture);
            let first = outcome.outputs.first().map(Vec::as_slice).unwrap_or_default();
            let lens: Vec<i64> = first.iter().map(|dim| dim.len).collect();
            let numbers = match (&outcome.numbers, picture) {
                (Some(numbers), _) => Some(numbers.clone()),
                (None, false) => known::fold(node, &inputs, &lens),
                (None, true) => None,
            };
            if picture {
                let source = inputs.first().copied().flatten().cloned();
                probe.note(&outcome, source.as_ref())?;
            }
            let Outcome { outputs, reach, .. } = outcome;
            probe.reaches.push(reach);
            for (position, (name, dims)) in node.outputs.iter().zip(outputs).enumerate() {
                if let Some(dim) = dims.iter().find(|dim| !(0..=LONGEST).contains(&dim.len)) {
                    return Err(format!("a {} makes a dimension of {}", node.op, dim.len));
                }
                if dims.len() > 16 {
                    return Err(format!("a {} makes {} dimensions", node.op, dims.len()));
                }
                let numbers = if position == 0 { numbers.clone() } else { None };
                probe.values.insert(name, Value { dims, numbers, picture });
            }
        }
        Ok(probe)
    }

    /// Takes over what one node says of the sizes that the graph can take.
    fn note(&mut self, outcome: &Outcome, source: Option<&Value>) -> Result<(), String> {
        self.macs += outcome.macs;
        for dim in outcome.outputs.iter().flatten() {
            if let Role::Space(axis, scale) = dim.role {
                let too_coarse = || "its scales have no common step".to_owned();
                self.align =
                    lcm(self.align, scale.den).filter(|&a| a <= 1 << 12).ok_or_else(too_coarse)?;
                let side = self.size[axis as usize];
                self.offsets.push((dim.len * scale.den - side * scale.num, scale.den));
                self.need(axis, scale, dim.len, 1);
            }
        }
        for &(index, least) in &outcome.needs {
            let dim = source.and_then(|source| source.dims.get(index)).copied();
            match dim {
                Some(Dim { len, role: Role::Space(axis, scale) }) => {
                    self.need(axis, scale, len, least)
                }
                Some(Dim { len, .. }) if len < least => {
                    return Err(format!("a window of {least} meets a size of {len}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A dimension that now is `len` must be at least `least`: how long must the side be?
    fn need(&mut self, axis: Axis, scale: Ratio, len: i64, least: i64) {
        let slack = (len - least).saturating_mul(scale.den).div_euclid(scale.num);
        self.needs.push((axis, self.size[axis as usize].saturating_sub(slack)));
    }

    pub fn output(&self) -> Option<&Value> {
        self.values.get(self.graph.output.as_str())
    }
}

/// The nodes that the output depends on. The graph's nodes are in order.
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
    let small = tensor.count().is_some_and(|count| count <= LIMIT as u64) && tensor.is_whole();
    let numbers = if small {
        tensor.to_i64().map(Numbers::Ints).or_else(|| tensor.to_f32().map(Numbers::Floats))
    } else {
        None
    };
    Value { dims: dims.collect(), numbers, picture: false }
}

//! What each operator does to shapes and positions.

use super::{
    reach::{Reach, Reaches},
    reshape, resize,
    value::{Axis, Dim, Numbers, Role, Value},
    window,
};
use crate::model::Node;

/// What a node makes of its inputs.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The shape of each output.
    pub outputs: Vec<Vec<Dim>>,
    /// How output positions depend on those of every input that holds a picture; `None`
    /// where that is not bounded.
    pub reach: Option<Reaches>,
    /// Numbers that the operator reads off a shape.
    pub numbers: Option<Numbers>,
    /// Multiply-adds.
    pub macs: f64,
    /// Least lengths that dimensions of the first input must have: (dimension, length).
    pub needs: Vec<(usize, i64)>,
}

impl Outcome {
    /// One output, each position from the same position.
    pub fn pointwise(dims: Vec<Dim>) -> Self {
        Self {
            outputs: vec![dims],
            reach: Some([Reach::SAME; 2]),
            numbers: None,
            macs: 0.0,
            needs: Vec::new(),
        }
    }

    /// One output, any position from every position.
    pub fn unbounded(dims: Vec<Dim>) -> Self {
        Self { reach: None, ..Self::pointwise(dims) }
    }

    /// Pointwise along the axes of which `reach` says nothing.
    pub fn set_reach(&mut self, axis: Axis, reach: Reach) {
        if let Some(reaches) = &mut self.reach {
            reaches[axis as usize] = reach;
        }
    }
}

/// One operator's inputs, by position; `None` for those left out.
pub(super) struct Inputs<'a> {
    pub node: &'a Node,
    pub values: &'a [Option<&'a Value>],
    pub opset: i64,
}

impl<'a> Inputs<'a> {
    pub fn get(&self, index: usize) -> Option<&'a Value> {
        self.values.get(index).copied().flatten()
    }

    pub fn need(&self, index: usize) -> Result<&'a Value, String> {
        self.get(index).ok_or_else(|| format!("a {} lacks its input {index}", self.node.op))
    }

    /// The integers of an input, or of the attribute that older operator sets have instead.
    pub fn ints(&self, index: usize, attribute: &str) -> Option<Vec<i64>> {
        match self.get(index) {
            Some(value) => Some(value.numbers.as_ref()?.ints()?.to_vec()),
            None => self.node.ints(attribute).map(<[i64]>::to_vec),
        }
    }

    pub fn wrong(&self, what: &str) -> String {
        format!("a {} {what}", self.node.op)
    }

    /// `axis`, counted from the end where negative, within `rank`.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, String> {
        place(axis, rank).ok_or_else(|| self.wrong("names a dimension that is not there"))
    }
}

fn place(axis: i64, rank: usize) -> Option<usize> {
    let rank_signed = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank_signed)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

pub(super) fn operate(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let node = inputs.node;
    let dims = |index: usize| inputs.need(index).map(|value| value.dims.clone());
    Ok(match node.op.as_str() {
        "Identity" | "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "Elu" | "Selu" | "Celu"
        | "Gelu" | "HardSigmoid" | "HardSwish" | "Mish" | "Softplus" | "Softsign"
        | "ThresholdedRelu" | "Abs" | "Neg" | "Exp" | "Log" | "Sqrt" | "Reciprocal" | "Erf"
        | "Sin" | "Cos" | "Floor" | "Ceil" | "Round" | "Sign" | "Not" | "Cast" | "CastLike"
        | "Clip" | "Dropout" | "BatchNormalization" | "LRN" | "QuantizeLinear"
        | "DequantizeLinear" => {
            let mut outcome = Outcome::pointwise(dims(0)?);
            let first = outcome.outputs.first().cloned().unwrap_or_default();
            outcome.outputs.resize(node.outputs.len().max(1), first);
            outcome
        }
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "Min" | "Max" | "Sum" | "Mean"
        | "Mod" | "Where" | "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual"
        | "And" | "Or" | "Xor" => broadcast(inputs)?,
        "Expand" => {
            let shape =
                inputs.ints(1, "shape").ok_or_else(|| inputs.wrong("has no known shape"))?;
            let target: Vec<Dim> = shape.into_iter().map(Dim::plain).collect();
            let (dims, _) = broadcast_dims(inputs, &inputs.need(0)?.dims, &target)?;
            Outcome::pointwise(dims)
        }
        "Tile" => tile(inputs)?,
        "Conv" => window::conv(inputs)?,
        "ConvTranspose" => window::conv_transpose(inputs)?,
        "MaxPool" | "AveragePool" | "LpPool" => window::pool(inputs)?,
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let mut dims = dims(0)?;
            dims.iter_mut().skip(2).for_each(|dim| *dim = Dim::plain(1));
            Outcome::unbounded(dims)
        }
        "InstanceNormalization" | "GroupNormalization" => Outcome::unbounded(dims(0)?),
        "LayerNormalization" => along(inputs, node.int("axis").unwrap_or(-1), true)?,
        "Softmax" | "LogSoftmax" | "Hardmax" => {
            let older = inputs.opset < 13;
            let axis = node.int("axis").unwrap_or(if older { 1 } else { -1 });
            along(inputs, axis, older)?
        }
        op if op.starts_with("Reduce") => reduce(inputs)?,
        "MatMul" => mat_mul(inputs)?,
        "Shape" => shape(inputs)?,
        "Size" => {
            let count = inputs.need(0)?.lens().iter().try_fold(1i64, |a, &b| a.checked_mul(b));
            let numbers = count.map(|count| Numbers::Ints(vec![count]));
            Outcome { numbers, ..Outcome::pointwise(Vec::new()) }
        }
        "ConstantOfShape" => {
            let shape = inputs.ints(0, "").ok_or_else(|| inputs.wrong("has no known shape"))?;
            Outcome::pointwise(shape.into_iter().map(Dim::plain).collect())
        }
        "Range" => {
            let number = |index| inputs.ints(index, "").and_then(|list| list.first().copied());
            match (number(0), number(1), number(2)) {
                (Some(start), Some(end), Some(step)) if step != 0 => {
                    let steps =
                        i128::from(end) - i128::from(start) + i128::from(step - step.signum());
                    let count =
                        i64::try_from((steps / i128::from(step)).max(0)).unwrap_or(i64::MAX);
                    Outcome::pointwise(vec![Dim::plain(count)])
                }
                _ => return Err(inputs.wrong("has no known bounds")),
            }
        }
        "Concat" => concat(inputs)?,
        "Split" => split(inputs)?,
        "Slice" => slice(inputs)?,
        "Gather" => gather(inputs)?,
        "Pad" => window::pad(inputs)?,
        "Transpose" => transpose(inputs)?,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => reshape::reshape(inputs)?,
        "DepthToSpace" => reshape::depth_to_space(inputs)?,
        "SpaceToDepth" => reshape::space_to_depth(inputs)?,
        "Resize" | "Upsample" => resize::resize(inputs)?,
        op => return Err(format!("the operator {op} is not known here")),
    })
}

/// Elementwise over all inputs.
fn broadcast(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let mut dims = inputs.need(0)?.dims.clone();
    let mut followed = true;
    for index in 1..inputs.values.len() {
        let (joined, same) = broadcast_dims(inputs, &dims, &inputs.need(index)?.dims)?;
        (dims, followed) = (joined, followed && same);
    }
    Ok(if followed { Outcome::pointwise(dims) } else { Outcome::unbounded(dims) })
}

/// The joint shape, and whether positions stay where they are. A constant that differs from
/// place to place (a learned position) does not move along with a region, so it counts as not
/// bounded.
fn broadcast_dims(inputs: &Inputs<'_>, a: &[Dim], b: &[Dim]) -> Result<(Vec<Dim>, bool), String> {
    let rank = a.len().max(b.len());
    let mut followed = true;
    let at = |dims: &[Dim], index: usize| {
        (index + dims.len())
            .checked_sub(rank)
            .and_then(|i| dims.get(i).copied())
            .unwrap_or(Dim::plain(1))
    };
    let joined: Result<Vec<Dim>, String> = (0..rank)
        .map(|index| match (at(a, index), at(b, index)) {
            (a, b) if a.len == b.len => {
                if a.role == b.role || a.len == 1 {
                    return Ok(if a.role == Role::Plain { b } else { a });
                }
                followed = false;
                Ok(Dim { len: a.len, role: Role::Mixed })
            }
            (Dim { len: 1, .. }, other) | (other, Dim { len: 1, .. }) => Ok(other),
            (a, b) => Err(inputs.wrong(&format!("joins sizes {} and {}", a.len, b.len))),
        })
        .collect();
    Ok((joined?, followed))
}

fn tile(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let repeats = inputs.ints(1, "").ok_or_else(|| inputs.wrong("has no known repeats"))?;
    let source = &inputs.need(0)?.dims;
    if repeats.len() != source.len() {
        return Err(inputs.wrong("has repeats that do not fit"));
    }
    let moved =
        source.iter().zip(&repeats).any(|(dim, &times)| times != 1 && dim.role != Role::Plain);
    let dims = source.iter().zip(&repeats).map(|(dim, &times)| match times {
        1 => *dim,
        _ => Dim::plain(dim.len.saturating_mul(times)),
    });
    let dims = dims.collect();
    Ok(if moved { Outcome::unbounded(dims) } else { Outcome::pointwise(dims) })
}

/// An operator over all of a dimension (and all after it, where `rest`).
fn along(inputs: &Inputs<'_>, axis: i64, rest: bool) -> Result<Outcome, String> {
    let dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(axis, dims.len())?;
    let end = if rest { dims.len() } else { axis + 1 };
    let plain = dims.iter().take(end).skip(axis).all(|dim| dim.role == Role::Plain);
    Ok(if plain { Outcome::pointwise(dims) } else { Outcome::unbounded(dims) })
}

fn reduce(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let source = &inputs.need(0)?.dims;
    let axes = inputs.ints(1, "axes").unwrap_or_default();
    let keep = inputs.node.int("keepdims").unwrap_or(1) != 0;
    let mut reduced = vec![axes.is_empty(); source.len()];
    for axis in axes {
        let axis = inputs.axis(axis, source.len())?;
        if let Some(slot) = reduced.get_mut(axis) {
            *slot = true;
        }
    }
    let plain = source.iter().zip(&reduced).all(|(dim, &gone)| !gone || dim.role == Role::Plain);
    let dims = source.iter().zip(&reduced).filter_map(|(dim, &gone)| match (gone, keep) {
        (false, _) => Some(*dim),
        (true, true) => Some(Dim::plain(1)),
        (true, false) => None,
    });
    let dims = dims.collect();
    Ok(if plain { Outcome::pointwise(dims) } else { Outcome::unbounded(dims) })
}

fn mat_mul(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (a, b) = (inputs.need(0)?, inputs.need(1)?);
    let ([a_rest @ .., rows, inner], [b_rest @ .., other, columns]) = (&a.dims[..], &b.dims[..])
    else {
        return Err(inputs.wrong("has an input of less than two dimensions"));
    };
    if inner.len != other.len {
        return Err(inputs.wrong(&format!("joins sizes {} and {}", inner.len, other.len)));
    }
    let (mut dims, followed) = broadcast_dims(inputs, a_rest, b_rest)?;
    dims.extend([*rows, *columns]);
    let per_place =
        inner.role == Role::Plain && other.role == Role::Plain && !(a.picture && b.picture);
    let mut outcome =
        if per_place && followed { Outcome::pointwise(dims) } else { Outcome::unbounded(dims) };
    let outputs = outcome.outputs.iter().flatten().map(|dim| dim.len as f64).product::<f64>();
    outcome.macs = outputs * inner.len as f64;
    Ok(outcome)
}

fn shape(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let lens = inputs.need(0)?.lens();
    let rank = i64::try_from(lens.len()).unwrap_or(i64::MAX);
    let bound = |name: &str, default: i64| {
        let at = inputs.node.int(name).unwrap_or(default);
        usize::try_from(if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank))
            .unwrap_or(0)
    };
    let list = lens.get(bound("start", 0)..bound("end", rank)).unwrap_or_default().to_vec();
    let dims = vec![Dim::plain(list.len() as i64)];
    Ok(Outcome { numbers: Some(Numbers::Ints(list)), ..Outcome::pointwise(dims) })
}

fn concat(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let mut dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(1), dims.len())?;
    let mut followed = dims.get(axis).is_some_and(|dim| dim.role == Role::Plain);
    for index in 1..inputs.values.len() {
        let other = &inputs.need(index)?.dims;
        if other.len() != dims.len() {
            return Err(inputs.wrong("joins tensors of different ranks"));
        }
        for (at, (dim, other)) in dims.iter_mut().zip(other).enumerate() {
            if at == axis {
                followed &= other.role == Role::Plain;
                dim.len = dim.len.saturating_add(other.len);
            } else if dim.len != other.len {
                return Err(inputs.wrong(&format!("joins sizes {} and {}", dim.len, other.len)));
            } else if dim.role != other.role && dim.len != 1 {
                followed = false;
                dim.role = Role::Mixed;
            }
        }
    }
    Ok(if followed { Outcome::pointwise(dims) } else { Outcome::unbounded(dims) })
}

fn split(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(0), dims.len())?;
    let Some(dim) = dims.get(axis).copied() else { return Err(inputs.wrong("has no axis")) };
    let parts = i64::try_from(inputs.node.outputs.len().max(1)).unwrap_or(i64::MAX);
    let sizes = inputs.ints(1, "split").unwrap_or_else(|| {
        let size = (dim.len + parts - 1) / parts;
        (0..parts).map(|part| size.min(dim.len - part * size)).collect()
    });
    if sizes.len() != inputs.node.outputs.len()
        || sizes.iter().any(|&size| !(0..=dim.len).contains(&size))
    {
        return Err(inputs.wrong("has sizes that do not fit"));
    }
    let part = |&size: &i64| {
        let mut dims = dims.clone();
        if let Some(dim) = dims.get_mut(axis) {
            dim.len = size;
        }
        dims
    };
    let outputs = sizes.iter().map(part).collect();
    let reach = (dim.role == Role::Plain).then_some([Reach::SAME; 2]);
    Ok(Outcome { outputs, reach, ..Outcome::pointwise(Vec::new()) })
}

/// What a `Slice` takes of one dimension.
pub(super) struct Cut {
    pub axis: usize,
    pub start: i64,
    pub step: i64,
    pub len: i64,
}

/// The cuts that a `Slice` makes in a tensor of shape `lens`.
pub(super) fn cuts(
    node: &Node,
    values: &[Option<&Value>],
    lens: &[i64],
) -> Result<Vec<Cut>, String> {
    let inputs = Inputs { node, values, opset: 0 };
    let unknown = || inputs.wrong("has no known bounds");
    let starts = inputs.ints(1, "starts").ok_or_else(unknown)?;
    let ends = inputs.ints(2, "ends").ok_or_else(unknown)?;
    let rank = i64::try_from(starts.len()).unwrap_or(i64::MAX);
    let axes = match inputs.ints(3, "axes") {
        Some(axes) => axes,
        None if inputs.get(3).is_some() => return Err(unknown()),
        None => (0..rank).collect(),
    };
    let steps = match inputs.ints(4, "steps") {
        Some(steps) => steps,
        None if inputs.get(4).is_some() => return Err(unknown()),
        None => vec![1; starts.len()],
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(inputs.wrong("has bounds that do not fit"));
    }
    let bounds = starts.into_iter().zip(ends).zip(axes.into_iter().zip(steps));
    bounds
        .map(|((start, end), (axis, step))| {
            let axis = inputs.axis(axis, lens.len())?;
            let len = lens.get(axis).copied().unwrap_or(0);
            let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
            let (start, count) = match step {
                0 | i64::MIN => return Err(inputs.wrong("has a step of 0")),
                1.. => {
                    let start = from_end(start).clamp(0, len);
                    (
                        start,
                        (from_end(end).clamp(0, len) - start + step.min(len.max(1)) - 1)
                            / step.min(len.max(1)),
                    )
                }
                _ => {
                    let start = from_end(start).clamp(0, (len - 1).max(0));
                    let end = from_end(end).clamp(-1, len);
                    let step = step.max(-len.max(1));
                    (start, (end - start + step + 1) / step)
                }
            };
            Ok(Cut { axis, start, step, len: count.max(0) })
        })
        .collect()
}

fn slice(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let source = inputs.need(0)?;
    let mut outcome = Outcome::pointwise(source.dims.clone());
    let mut dims = source.dims.clone();
    for cut in cuts(inputs.node, inputs.values, &source.lens())? {
        let Some(dim) = dims.get_mut(cut.axis) else { continue };
        dim.len = cut.len;
        if let Role::Space(axis, scale) = dim.role {
            match scale.times(1, cut.step) {
                Some(scale) => {
                    dim.role = Role::Space(axis, scale);
                    outcome.set_reach(axis, Reach::window(cut.step, cut.start, cut.start));
                }
                None => outcome.reach = None,
            }
        }
    }
    outcome.outputs = vec![dims];
    Ok(outcome)
}

fn gather(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (table, indices) = (inputs.need(0)?, inputs.need(1)?);
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(0), table.dims.len())?;
    let (before, after) = table.dims.split_at(axis);
    let taken = after.first().map_or(Role::Plain, |dim| dim.role);
    let dims: Vec<Dim> =
        before.iter().chain(&indices.dims).chain(after.iter().skip(1)).copied().collect();
    let plain = taken == Role::Plain && !indices.picture;
    Ok(if plain { Outcome::pointwise(dims) } else { Outcome::unbounded(dims) })
}

fn transpose(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let source = &inputs.need(0)?.dims;
    let order: Vec<i64> = match inputs.node.ints("perm") {
        Some(order) => order.to_vec(),
        None => (0..source.len() as i64).rev().collect(),
    };
    let mut places: Vec<usize> = Vec::new();
    for &axis in &order {
        places.push(inputs.axis(axis, source.len())?);
    }
    let mut sorted = places.clone();
    sorted.sort_unstable();
    if sorted != (0..source.len()).collect::<Vec<_>>() {
        return Err(inputs.wrong("has an order that does not fit"));
    }
    Ok(Outcome::pointwise(
        places.into_iter().filter_map(|place| source.get(place).copied()).collect(),
    ))
}

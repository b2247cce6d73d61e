//! The effect of each operator on shapes and positions.

use super::{
    error::{AnalysisError, Problem},
    operator::{Inputs, Outcome},
    reach::Reach,
    reshape, resize, slice,
    value::{Dim, Numbers, Role},
    window,
};

pub(super) fn operate(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
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
            let shape = inputs.need_ints(1, "shape", "shape")?;
            let target: Vec<Dim> = shape.into_iter().map(Dim::plain).collect();
            let (dims, _) = broadcast_dims(inputs, &inputs.need(0)?.dims, &target)?;
            Outcome::pointwise(dims)
        }
        "Tile" => tile(inputs)?,
        "Conv" => window::conv(inputs)?,
        "ConvTranspose" => window::conv_transpose(inputs)?,
        "MaxPool" | "AveragePool" | "LpPool" => window::pool(inputs)?,
        "GridSample" => {
            let (source, grid) = (dims(0)?, dims(1)?);
            let ([batch, channels, ..], [_, spatial @ .., _]) = (&source[..], &grid[..]) else {
                return Err(inputs.error(Problem::Rank));
            };
            let mut dims = vec![*batch, *channels];
            dims.extend_from_slice(spatial);
            Outcome::unbounded(dims)
        }
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let mut dims = dims(0)?;
            dims.iter_mut().skip(2).for_each(|dim| *dim = Dim::plain(1));
            Outcome::unbounded(dims)
        }
        "InstanceNormalization" | "GroupNormalization" => Outcome::unbounded(dims(0)?),
        "LayerNormalization" => {
            along(inputs, node.int("axis").unwrap_or(-1), Along::AxisAndFollowing)?
        }
        "Softmax" | "LogSoftmax" | "Hardmax" => {
            let (default, along_axes) =
                if inputs.opset < 13 { (1, Along::AxisAndFollowing) } else { (-1, Along::Axis) };
            along(inputs, node.int("axis").unwrap_or(default), along_axes)?
        }
        "ArgMax" | "ArgMin" => arg(inputs)?,
        "TopK" => top(inputs)?,
        op if op.starts_with("Reduce") => reduce(inputs)?,
        "MatMul" => mat_mul(inputs)?,
        "Shape" => shape(inputs)?,
        "Size" => {
            let count = inputs.need(0)?.lens().iter().try_fold(1i64, |a, &b| a.checked_mul(b));
            let numbers = count.map(|count| Numbers::Ints(vec![count]));
            Outcome { numbers, ..Outcome::pointwise(Vec::new()) }
        }
        "ConstantOfShape" => {
            let shape = inputs.need_ints(0, "", "shape")?;
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
                _ => return Err(inputs.error(Problem::NotConstant("bounds"))),
            }
        }
        "Concat" => concat(inputs)?,
        "Split" => split(inputs)?,
        "Slice" => slice::slice(inputs)?,
        "Gather" => gather(inputs)?,
        "Pad" => window::pad(inputs)?,
        "Transpose" => transpose(inputs)?,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => reshape::reshape(inputs)?,
        "DepthToSpace" => reshape::depth_to_space(inputs)?,
        "SpaceToDepth" => reshape::space_to_depth(inputs)?,
        "Resize" | "Upsample" => resize::resize(inputs)?,
        op => return Err(AnalysisError::UnknownOperator(op.to_owned())),
    })
}

/// Elementwise over all inputs.
fn broadcast(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let mut dims = inputs.need(0)?.dims.clone();
    let mut tracked = true;
    for index in 1..inputs.values.len() {
        let (joined, same) = broadcast_dims(inputs, &dims, &inputs.need(index)?.dims)?;
        (dims, tracked) = (joined, tracked && same);
    }
    Ok(Outcome::pointwise_if(tracked, dims))
}

/// The broadcast shape, and whether every position stays where it is.
///
/// A constant that varies along the image (such as a learned position embedding) does not move
/// with a region, so it counts as unbounded.
fn broadcast_dims(
    inputs: &Inputs<'_>,
    a: &[Dim],
    b: &[Dim],
) -> Result<(Vec<Dim>, bool), AnalysisError> {
    let rank = a.len().max(b.len());
    let mut tracked = true;
    let at = |dims: &[Dim], index: usize| {
        (index + dims.len())
            .checked_sub(rank)
            .and_then(|i| dims.get(i).copied())
            .unwrap_or(Dim::plain(1))
    };
    let mut joined = Vec::with_capacity(rank);
    for index in 0..rank {
        joined.push(match (at(a, index), at(b, index)) {
            (a, b) if a.len == b.len && (a.role == b.role || a.len == 1) => {
                if a.role == Role::Plain { b } else { a }
            }
            (a, b) if a.len == b.len => {
                tracked = false;
                Dim { len: a.len, role: Role::Mixed }
            }
            (Dim { len: 1, .. }, other) | (other, Dim { len: 1, .. }) => other,
            (a, b) => return Err(inputs.error(Problem::Mismatch(a.len, b.len))),
        });
    }
    Ok((joined, tracked))
}

fn tile(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let repeats = inputs.need_ints(1, "", "repeats")?;
    let source = &inputs.need(0)?.dims;
    if repeats.len() != source.len() {
        return Err(inputs.error(Problem::Count("repeats")));
    }
    let moved =
        source.iter().zip(&repeats).any(|(dim, &times)| times != 1 && dim.role != Role::Plain);
    let dims = source.iter().zip(&repeats).map(|(dim, &times)| match times {
        1 => *dim,
        _ => Dim::plain(dim.len.saturating_mul(times)),
    });
    let dims = dims.collect();
    Ok(Outcome::pointwise_if(!moved, dims))
}

/// Over which dimensions an operator normalizes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Along {
    Axis,
    AxisAndFollowing,
}

/// An operator whose every output depends on all positions along its dimensions.
fn along(inputs: &Inputs<'_>, axis: i64, along: Along) -> Result<Outcome, AnalysisError> {
    let dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(axis, dims.len())?;
    let end = match along {
        Along::Axis => axis + 1,
        Along::AxisAndFollowing => dims.len(),
    };
    let plain = dims.iter().take(end).skip(axis).all(|dim| dim.role == Role::Plain);
    Ok(Outcome::pointwise_if(plain, dims))
}

fn reduce(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
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
    Ok(Outcome::pointwise_if(plain, dims))
}

/// The index of an extreme value along one dimension.
fn arg(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let mut dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(0), dims.len())?;
    let plain = dims.get(axis).is_some_and(|dim| dim.role == Role::Plain);
    if inputs.node.int("keepdims").unwrap_or(1) == 0 {
        dims.remove(axis);
    } else if let Some(dim) = dims.get_mut(axis) {
        *dim = Dim::plain(1);
    }
    Ok(Outcome::pointwise_if(plain, dims))
}

/// The largest or smallest values along one dimension, and their indices.
fn top(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let mut dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(-1), dims.len())?;
    let count = inputs.need_ints(1, "k", "k")?;
    let &[count] = count.as_slice() else { return Err(inputs.error(Problem::Count("k"))) };
    let Some(dim) = dims.get_mut(axis).filter(|dim| (0..=dim.len).contains(&count)) else {
        return Err(inputs.error(Problem::Value { name: "k", values: vec![count] }));
    };
    let plain = dim.role == Role::Plain;
    *dim = if plain { Dim::plain(count) } else { Dim { len: count, role: Role::Mixed } };
    let mut outcome = Outcome::pointwise_if(plain, dims.clone());
    outcome.outputs.push(dims);
    Ok(outcome)
}

fn mat_mul(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let (a, b) = (inputs.need(0)?, inputs.need(1)?);
    let ([a_rest @ .., rows, inner], [b_rest @ .., other, columns]) = (&a.dims[..], &b.dims[..])
    else {
        return Err(inputs.error(Problem::Rank));
    };
    if inner.len != other.len {
        return Err(inputs.error(Problem::Mismatch(inner.len, other.len)));
    }
    let (mut dims, tracked) = broadcast_dims(inputs, a_rest, b_rest)?;
    dims.extend([*rows, *columns]);
    // A product of two images (attention) keeps positions only if neither rows nor columns have
    // any.
    let is_plain = |dims: &[&Dim]| dims.iter().all(|dim| dim.role == Role::Plain);
    let per_position =
        is_plain(&[inner, other]) && (!(a.is_image && b.is_image) || is_plain(&[rows, columns]));
    let mut outcome = Outcome::pointwise_if(per_position && tracked, dims);
    let outputs = outcome.outputs.iter().flatten().map(|dim| dim.len as f64).product::<f64>();
    outcome.macs = outputs * inner.len as f64;
    Ok(outcome)
}

fn shape(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
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

fn concat(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let mut dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(1), dims.len())?;
    let mut tracked = dims.get(axis).is_some_and(|dim| dim.role == Role::Plain);
    for index in 1..inputs.values.len() {
        let other = &inputs.need(index)?.dims;
        if other.len() != dims.len() {
            return Err(inputs.error(Problem::Count("ranks")));
        }
        for (at, (dim, other)) in dims.iter_mut().zip(other).enumerate() {
            if at == axis {
                tracked &= other.role == Role::Plain;
                dim.len = dim.len.saturating_add(other.len);
            } else if dim.len != other.len {
                return Err(inputs.error(Problem::Mismatch(dim.len, other.len)));
            } else if dim.role != other.role && dim.len != 1 {
                tracked = false;
                dim.role = Role::Mixed;
            }
        }
    }
    Ok(Outcome::pointwise_if(tracked, dims))
}

fn split(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let dims = inputs.need(0)?.dims.clone();
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(0), dims.len())?;
    let Some(dim) = dims.get(axis).copied() else { return Err(inputs.error(Problem::Rank)) };
    let parts = i64::try_from(inputs.node.outputs.len().max(1)).unwrap_or(i64::MAX);
    let sizes = inputs.ints(1, "split").unwrap_or_else(|| {
        let size = (dim.len + parts - 1) / parts;
        (0..parts).map(|part| size.min(dim.len - part * size)).collect()
    });
    if sizes.len() != inputs.node.outputs.len()
        || sizes.iter().any(|&size| !(0..=dim.len).contains(&size))
    {
        return Err(inputs.error(Problem::Count("split sizes")));
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

fn gather(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let (table, indices) = (inputs.need(0)?, inputs.need(1)?);
    let axis = inputs.axis(inputs.node.int("axis").unwrap_or(0), table.dims.len())?;
    let (before, after) = table.dims.split_at(axis);
    let taken = after.first().map_or(Role::Plain, |dim| dim.role);
    let dims: Vec<Dim> =
        before.iter().chain(&indices.dims).chain(after.iter().skip(1)).copied().collect();
    let plain = taken == Role::Plain && !indices.is_image;
    Ok(Outcome::pointwise_if(plain, dims))
}

fn transpose(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let source = &inputs.need(0)?.dims;
    let order: Vec<i64> = match inputs.node.ints("perm") {
        Some(order) => order.to_vec(),
        None => (0..source.len() as i64).rev().collect(),
    };
    let axes: Vec<usize> =
        order.iter().map(|&axis| inputs.axis(axis, source.len())).collect::<Result<_, _>>()?;
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if sorted != (0..source.len()).collect::<Vec<_>>() {
        return Err(inputs.error(Problem::Count("permutation indices")));
    }
    Ok(Outcome::pointwise(axes.into_iter().filter_map(|axis| source.get(axis).copied()).collect()))
}

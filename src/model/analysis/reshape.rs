//! `Reshape` and related operators, and the pixel shuffles that are written with them.

use super::{
    error::{AnalysisError, Problem},
    operator::{Inputs, Outcome},
    reach::Reach,
    value::{Dim, Role},
};

pub(super) fn reshape(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let source = &inputs.need(0)?.dims;
    let target = target(inputs, source)?;
    let have = product(source.iter().map(|dim| dim.len));
    if have.is_none() || have != product(target.iter().copied()) || have == Some(0) {
        let from = source.iter().map(|dim| dim.len).collect();
        return Err(inputs.error(Problem::Reshape { from, to: target }));
    }
    Ok(regroup(source, &target))
}

/// `None` on overflow.
fn product(mut lens: impl Iterator<Item = i64>) -> Option<i64> {
    lens.try_fold(1i64, |product, len| product.checked_mul(len))
}

/// The requested shape, with −1 and 0 resolved.
fn target(inputs: &Inputs<'_>, source: &[Dim]) -> Result<Vec<i64>, AnalysisError> {
    let unknown = || inputs.error(Problem::NotConstant("shape"));
    let rank = source.len();
    match inputs.node.op.as_str() {
        "Flatten" => {
            let axis = inputs.node.int("axis").unwrap_or(1);
            let axis = if axis == rank as i64 { rank } else { inputs.axis(axis, rank)? };
            let (head, tail) = source.split_at(axis.min(rank));
            Ok(vec![
                product(head.iter().map(|dim| dim.len)).ok_or_else(unknown)?,
                product(tail.iter().map(|dim| dim.len)).ok_or_else(unknown)?,
            ])
        }
        "Squeeze" => {
            let axes = match inputs.ints(1, "axes") {
                Some(axes) => axes
                    .into_iter()
                    .map(|axis| inputs.axis(axis, rank))
                    .collect::<Result<Vec<_>, _>>()?,
                None => {
                    (0..rank).filter(|&i| source.get(i).is_some_and(|dim| dim.len == 1)).collect()
                }
            };
            let kept = source.iter().enumerate().filter(|(index, _)| !axes.contains(index));
            Ok(kept.map(|(_, dim)| dim.len).collect())
        }
        "Unsqueeze" => {
            let axes = inputs.ints(1, "axes").ok_or_else(unknown)?;
            let full = rank + axes.len();
            let axes = axes
                .into_iter()
                .map(|axis| inputs.axis(axis, full))
                .collect::<Result<Vec<_>, _>>()?;
            let mut rest = source.iter().map(|dim| dim.len);
            Ok((0..full)
                .map(|i| if axes.contains(&i) { 1 } else { rest.next().unwrap_or(1) })
                .collect())
        }
        _ => {
            let mut shape = inputs.ints(1, "shape").ok_or_else(unknown)?;
            if inputs.node.int("allowzero").unwrap_or(0) == 0 {
                for (index, len) in shape.iter_mut().enumerate().filter(|(_, len)| **len == 0) {
                    *len = source.get(index).map_or(0, |dim| dim.len);
                }
            }
            if let Some(free) = shape.iter().position(|&len| len == -1) {
                let have = product(source.iter().map(|dim| dim.len)).ok_or_else(unknown)?;
                let others = shape.iter().enumerate().filter(|(index, _)| *index != free);
                let others = product(others.map(|(_, &len)| len)).ok_or_else(unknown)?;
                if let Some(slot) = shape.get_mut(free) {
                    *slot = have.checked_div(others).unwrap_or(0);
                }
            }
            Ok(shape)
        }
    }
}

/// Matches groups of old dimensions with groups of new dimensions of the same product, and tracks
/// positions through each group.
fn regroup(source: &[Dim], target: &[i64]) -> Outcome {
    let mut outcome = Outcome::pointwise(Vec::new());
    let mut dims: Vec<Dim> = target.iter().copied().map(Dim::plain).collect();
    let (mut i, mut j) = (0, 0);
    while i < source.len() || j < target.len() {
        let (start_i, start_j) = (i, j);
        let old = |i: &mut usize| {
            source.get(*i).map_or(1, |dim| {
                *i += 1;
                dim.len
            })
        };
        let new = |j: &mut usize| {
            target.get(*j).map_or(1, |&len| {
                *j += 1;
                len
            })
        };
        let (mut have, mut want) = (old(&mut i), new(&mut j));
        while have != want && (i < source.len() || j < target.len()) {
            if (have < want && i < source.len()) || j >= target.len() {
                have *= old(&mut i);
            } else {
                want *= new(&mut j);
            }
        }
        let from = source.get(start_i..i).unwrap_or_default();
        let to = dims.get_mut(start_j..j).unwrap_or_default();
        track(from, to, &mut outcome);
    }
    outcome.outputs = vec![dims];
    outcome
}

/// Tracks positions through one group; only those of a leading spatial dimension can be tracked.
/// L×r positions become L′×r′: new position i covers the flat positions i·r′ .. i·r′ + r′ − 1.
fn track(from: &[Dim], to: &mut [Dim], outcome: &mut Outcome) {
    let from: Vec<Dim> = from.iter().copied().filter(|dim| dim.len != 1).collect();
    if from.iter().all(|dim| dim.role == Role::Plain) {
        return;
    }
    let Some(first) = to.iter().position(|dim| dim.len != 1) else { return };
    if let [Dim { len, role: Role::Space(axis, scale) }, rest @ ..] = &from[..]
        && rest.iter().all(|dim| dim.role == Role::Plain)
    {
        let inner: i64 = rest.iter().map(|dim| dim.len).product();
        let flat = len * inner;
        let new_len = to.get(first).map_or(1, |dim| dim.len);
        let new_inner = flat / new_len.max(1);
        if let Some(scale) = scale.times(inner, new_inner) {
            let reach = Reach { step: new_inner, low: 0, high: new_inner - 1, div: inner };
            outcome.set_reach(*axis, reach);
            if let Some(dim) = to.get_mut(first) {
                dim.role = Role::Space(*axis, scale);
            }
            return;
        }
    }
    outcome.reach = None;
    to.iter_mut().filter(|dim| dim.len != 1).for_each(|dim| dim.role = Role::Mixed);
}

pub(super) fn depth_to_space(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let r = block(inputs)?;
    let mut outcome = Outcome::pointwise(Vec::new());
    let mut dims = inputs.need(0)?.dims.clone();
    let [_, depth, spatial @ ..] = &mut dims[..] else {
        return Err(inputs.error(Problem::Rank));
    };
    if depth.len % (r * r) != 0 {
        return Err(inputs.error(Problem::Block { length: depth.len, block: r * r }));
    }
    depth.len /= r * r;
    for dim in spatial {
        dim.len = dim.len.saturating_mul(r);
        if let Role::Space(axis, scale) = dim.role {
            outcome.set_reach(axis, Reach { div: r, ..Reach::SAME });
            outcome.set_role(dim, scale.times(r, 1).map(|scale| Role::Space(axis, scale)));
        }
    }
    outcome.outputs = vec![dims];
    Ok(outcome)
}

pub(super) fn space_to_depth(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let r = block(inputs)?;
    let mut outcome = Outcome::pointwise(Vec::new());
    let mut dims = inputs.need(0)?.dims.clone();
    let [_, depth, spatial @ ..] = &mut dims[..] else {
        return Err(inputs.error(Problem::Rank));
    };
    depth.len = depth.len.saturating_mul(r * r);
    for dim in spatial {
        if dim.len % r != 0 {
            return Err(inputs.error(Problem::Block { length: dim.len, block: r }));
        }
        dim.len /= r;
        if let Role::Space(axis, scale) = dim.role {
            outcome.set_reach(axis, Reach::window(r, 0, r - 1));
            outcome.set_role(dim, scale.times(1, r).map(|scale| Role::Space(axis, scale)));
        }
    }
    outcome.outputs = vec![dims];
    Ok(outcome)
}

fn block(inputs: &Inputs<'_>) -> Result<i64, AnalysisError> {
    let block = inputs.node.int("blocksize").filter(|r| (1..=64).contains(r));
    block.ok_or_else(|| inputs.error(Problem::BlockSize))
}

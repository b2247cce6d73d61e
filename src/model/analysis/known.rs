//! Constant folding of the arithmetic on sizes that exporters write into graphs.

use super::{
    operator::Inputs,
    slice::cuts,
    value::{MAX_NUMBERS, Numbers, Value},
};
use crate::model::{Attribute, Node};

/// The operator's result, which has the shape `dims`; `None` unless all its operands are known and
/// it is an operator that arithmetic on sizes uses.
pub(super) fn fold(call: &Inputs<'_>, dims: &[i64]) -> Option<Numbers> {
    let (node, inputs) = (call.node, call.values);
    let count = count(dims)?;
    let operand = |index: usize| inputs.get(index).copied().flatten();
    let numbers = |index: usize| operand(index).and_then(|value| value.numbers.as_ref());
    let all = |pick: fn(&Value) -> Option<Vec<i64>>| -> Option<Vec<Vec<i64>>> {
        inputs.iter().map(|value| value.as_ref().and_then(|value| pick(value))).collect()
    };
    match node.op.as_str() {
        "Identity" | "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" | "Dropout" => {
            numbers(0).cloned()
        }
        "Cast" => Some(cast(numbers(0)?, node.int("to")?)),
        "Floor" => floats(numbers(0)?, f32::floor),
        "Ceil" => floats(numbers(0)?, f32::ceil),
        "Round" => floats(numbers(0)?, f32::round_ties_even),
        "Sqrt" => floats(numbers(0)?, f32::sqrt),
        "Neg" => Some(match numbers(0)? {
            Numbers::Ints(values) => {
                Numbers::Ints(values.iter().map(|v| v.wrapping_neg()).collect())
            }
            Numbers::Floats(values) => Numbers::Floats(values.iter().map(|v| -v).collect()),
        }),
        "Not" => {
            Some(Numbers::Ints(numbers(0)?.ints()?.iter().map(|&v| i64::from(v == 0)).collect()))
        }
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Min" | "Max" | "Equal" | "Greater" | "Less"
        | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Pow"
            if inputs.len() == 2 =>
        {
            let (a, b) = (operand(0)?, operand(1)?);
            binary(node, a, b, dims, count)
        }
        "Where" => {
            let (pick, a, b) = (operand(0)?, operand(1)?, operand(2)?);
            let choice = pick.numbers.as_ref()?.ints()?;
            let (a_ints, b_ints) = (a.numbers.as_ref()?.ints()?, b.numbers.as_ref()?.ints()?);
            let at = |value: &Value, list: &[i64], index| {
                list.get(broadcast_index(index, dims, &value.lens())?).copied()
            };
            let chosen = (0..count).map(|i| match at(pick, choice, i)? {
                0 => at(b, b_ints, i),
                _ => at(a, a_ints, i),
            });
            chosen.collect::<Option<_>>().map(Numbers::Ints)
        }
        "Concat" if dims.len() == 1 => match numbers(0)? {
            Numbers::Ints(_) => {
                let lists = all(|value| value.numbers.as_ref()?.ints().map(<[i64]>::to_vec))?;
                Some(Numbers::Ints(lists.concat()))
            }
            Numbers::Floats(_) => {
                let lists: Option<Vec<_>> = inputs
                    .iter()
                    .map(|value| value.and_then(|value| value.numbers.as_ref()?.floats()))
                    .collect();
                Some(Numbers::Floats(lists?.concat()))
            }
        },
        "Gather" => {
            let (table, list) = (operand(0)?, numbers(1)?.ints()?);
            let lens = table.lens();
            if lens.len() != 1 {
                return None;
            }
            let len = *lens.first()?;
            let indices =
                list.iter().map(|&i| usize::try_from(if i < 0 { i + len } else { i }).ok());
            table.numbers.as_ref()?.pick(indices)
        }
        "Slice" => slice(call, dims, count),
        "Transpose" => {
            let source = operand(0)?;
            let rank = source.dims.len();
            let order: Vec<i64> = match node.ints("perm") {
                Some(order) => order.to_vec(),
                None => (0..rank as i64).rev().collect(),
            };
            let lens = source.lens();
            let indices = (0..count).map(|index| {
                let position = unravel(index, dims)?;
                let mut original = vec![0; rank];
                for (&axis, &at) in order.iter().zip(&position) {
                    *original.get_mut(usize::try_from(axis).ok()?)? = at;
                }
                ravel(&original, &lens)
            });
            source.numbers.as_ref()?.pick(indices)
        }
        "Expand" => {
            let source = operand(0)?;
            let lens = source.lens();
            source.numbers.as_ref()?.pick((0..count).map(|i| broadcast_index(i, dims, &lens)))
        }
        "ConstantOfShape" => Some(match node.attributes.get("value") {
            Some(Attribute::Tensor(tensor)) => match (tensor.to_i64(), tensor.to_f32()) {
                (Some(ints), _) => Numbers::Ints(vec![*ints.first()?; count]),
                (_, Some(floats)) => Numbers::Floats(vec![*floats.first()?; count]),
                _ => return None,
            },
            _ => Numbers::Floats(vec![0.0; count]),
        }),
        "Range" => {
            let (start, step) = (*numbers(0)?.ints()?.first()?, *numbers(2)?.ints()?.first()?);
            let value = |i| start.checked_add(i64::try_from(i).ok()?.checked_mul(step)?);
            (0..count).map(value).collect::<Option<_>>().map(Numbers::Ints)
        }
        "ReduceProd" if count == 1 => {
            let product = numbers(0)?.ints()?.iter().try_fold(1i64, |a, &b| a.checked_mul(b))?;
            Some(Numbers::Ints(vec![product]))
        }
        _ => None,
    }
}

/// The number of elements; `None` if it is more than [`MAX_NUMBERS`].
fn count(dims: &[i64]) -> Option<usize> {
    let product = dims.iter().try_fold(1i64, |product, &dim| product.checked_mul(dim))?;
    usize::try_from(product).ok().filter(|&count| count <= MAX_NUMBERS)
}

fn cast(numbers: &Numbers, to: i64) -> Numbers {
    match (numbers, to) {
        (Numbers::Ints(values), 1 | 10 | 11) => {
            Numbers::Floats(values.iter().map(|&v| v as f32).collect())
        }
        (Numbers::Floats(values), 2..=9 | 12 | 13) => {
            Numbers::Ints(values.iter().map(|&v| v as i64).collect())
        }
        (Numbers::Ints(values), 9) => {
            Numbers::Ints(values.iter().map(|&v| i64::from(v != 0)).collect())
        }
        (same, _) => same.clone(),
    }
}

fn floats(numbers: &Numbers, map: fn(f32) -> f32) -> Option<Numbers> {
    Some(Numbers::Floats(numbers.floats()?.into_iter().map(map).collect()))
}

fn binary(node: &Node, a: &Value, b: &Value, dims: &[i64], count: usize) -> Option<Numbers> {
    let (a_lens, b_lens) = (a.lens(), b.lens());
    let positions = (0..count)
        .map(|i| Some((broadcast_index(i, dims, &a_lens)?, broadcast_index(i, dims, &b_lens)?)));
    let positions: Vec<(usize, usize)> = positions.collect::<Option<_>>()?;
    let op = node.op.as_str();
    if let (Numbers::Ints(a), Numbers::Ints(b)) = (a.numbers.as_ref()?, b.numbers.as_ref()?) {
        let value = |&(i, j): &(usize, usize)| integer_binary(node, *a.get(i)?, *b.get(j)?);
        return positions.iter().map(value).collect::<Option<_>>().map(Numbers::Ints);
    }
    let (a, b) = (a.numbers.as_ref()?.floats()?, b.numbers.as_ref()?.floats()?);
    let pair = |&(i, j): &(usize, usize)| Some((*a.get(i)?, *b.get(j)?));
    let pairs: Vec<(f32, f32)> = positions.iter().map(pair).collect::<Option<_>>()?;
    let real: fn(f32, f32) -> f32 = match op {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Pow" => f32::powf,
        "Min" => f32::min,
        "Max" => f32::max,
        _ => {
            let test: fn(f32, f32) -> bool = match op {
                "Equal" => |a, b| a == b,
                "Greater" => |a, b| a > b,
                "Less" => |a, b| a < b,
                "GreaterOrEqual" => |a, b| a >= b,
                "LessOrEqual" => |a, b| a <= b,
                _ => return None,
            };
            return Some(Numbers::Ints(pairs.iter().map(|&(a, b)| test(a, b).into()).collect()));
        }
    };
    Some(Numbers::Floats(pairs.iter().map(|&(a, b)| real(a, b)).collect()))
}

fn integer_binary(node: &Node, a: i64, b: i64) -> Option<i64> {
    match node.op.as_str() {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Mod" if node.int("fmod") == Some(1) => a.checked_rem(b),
        // The sign of the divisor, as in Python.
        "Mod" => a
            .checked_rem(b)
            .map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
        "Pow" => a.checked_pow(u32::try_from(b).ok()?),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        "Equal" => Some((a == b).into()),
        "Greater" => Some((a > b).into()),
        "Less" => Some((a < b).into()),
        "GreaterOrEqual" => Some((a >= b).into()),
        "LessOrEqual" => Some((a <= b).into()),
        "And" => Some((a != 0 && b != 0).into()),
        "Or" => Some((a != 0 || b != 0).into()),
        _ => None,
    }
}

fn slice(inputs: &Inputs<'_>, dims: &[i64], count: usize) -> Option<Numbers> {
    let source = inputs.get(0)?;
    let lens = source.lens();
    let cuts = cuts(inputs, &lens).ok()?;
    let indices = (0..count).map(|index| {
        let mut position = unravel(index, dims)?;
        for cut in &cuts {
            let at = position.get_mut(cut.axis)?;
            *at = cut.start.checked_add(at.checked_mul(cut.step)?)?;
        }
        ravel(&position, &lens)
    });
    source.numbers.as_ref()?.pick(indices)
}

/// The position of element `index` of a row-major tensor of shape `dims`.
fn unravel(index: usize, dims: &[i64]) -> Option<Vec<i64>> {
    let mut rest = i64::try_from(index).ok()?;
    let mut position = vec![0; dims.len()];
    for (at, &dim) in position.iter_mut().zip(dims).rev() {
        *at = rest.checked_rem(dim)?;
        rest = rest.checked_div(dim)?;
    }
    Some(position)
}

/// The index of the element at `position`; `None` if it lies outside of `dims`.
fn ravel(position: &[i64], dims: &[i64]) -> Option<usize> {
    let index = position.iter().zip(dims).try_fold(0i64, |index, (&at, &dim)| {
        index.checked_mul(dim)?.checked_add(at).filter(|_| (0..dim).contains(&at))
    })?;
    usize::try_from(index).ok()
}

/// The index, in a tensor of shape `source`, of the element that broadcasting to `dims` puts at
/// `index`.
fn broadcast_index(index: usize, dims: &[i64], source: &[i64]) -> Option<usize> {
    let position = unravel(index, dims)?;
    let skip = position.len().checked_sub(source.len())?;
    let position: Vec<i64> = position
        .iter()
        .skip(skip)
        .zip(source)
        .map(|(&at, &dim)| if dim == 1 { 0 } else { at })
        .collect();
    ravel(&position, source)
}

//! Operators that move a window over the image: convolution, pooling, padding.

use super::{
    error::{AnalysisError, Problem},
    operator::{Inputs, Outcome},
    reach::Reach,
    value::{Dim, Role},
};
use crate::model::Node;

/// Strides, pads and kernel sizes of real networks are below this.
const LIMIT: i64 = 1 << 16;

/// A window along one dimension.
struct Window {
    stride: i64,
    /// Positions from the first to the last that the window covers.
    span: i64,
    /// Padding before and after the dimension.
    before: i64,
    after: i64,
}

/// Whether the window of a convolution or pooling is valid; other operators always pass.
///
/// ONNX Runtime reads outside of its buffers if pads are negative.
///
/// # Errors
/// The attribute that no runtime supports, whatever the input.
pub(crate) fn check_window(node: &Node) -> Result<(), AnalysisError> {
    const MINIMA: [(&str, i64); 4] =
        [("pads", 0), ("strides", 1), ("dilations", 1), ("kernel_shape", 1)];
    const WINDOWED: [&str; 5] = ["Conv", "ConvTranspose", "AveragePool", "MaxPool", "LpPool"];
    if !WINDOWED.contains(&node.op.as_str()) {
        return Ok(());
    }
    for (name, min) in MINIMA {
        let values = node.ints(name).unwrap_or_default();
        if values.iter().any(|value| !(min..LIMIT).contains(value)) {
            let problem = Problem::Value { name, values: values.to_vec() };
            return Err(AnalysisError::Operator { op: node.op.clone(), problem });
        }
    }
    Ok(())
}

/// The windows along the spatial dimensions, for a kernel of these sizes.
fn windows(
    inputs: &Inputs<'_>,
    kernel: &[i64],
    spatial: &[Dim],
) -> Result<Vec<Window>, AnalysisError> {
    let node = inputs.node;
    let rank = spatial.len();
    let list = |name: &'static str, default: i64, count: usize| match node.ints(name) {
        None => Ok(vec![default; count]),
        Some(list)
            if list.len() == count && list.iter().all(|v| (default.min(0)..LIMIT).contains(v)) =>
        {
            Ok(list.to_vec())
        }
        Some(list) => Err(inputs.error(Problem::Value { name, values: list.to_vec() })),
    };
    let (strides, dilations) = (list("strides", 1, rank)?, list("dilations", 1, rank)?);
    let pads = list("pads", 0, 2 * rank)?;
    for (name, values) in
        [("a kernel", kernel), ("strides", &strides[..]), ("dilations", &dilations[..])]
    {
        if values.len() != rank || values.iter().any(|v| !(1..LIMIT).contains(v)) {
            return Err(inputs.error(Problem::Value { name, values: values.to_vec() }));
        }
    }
    let auto = node.text("auto_pad").unwrap_or("NOTSET");
    let window = |index: usize| {
        let at = |list: &[i64], index: usize| list.get(index).copied().unwrap_or(1);
        let stride = at(&strides, index);
        let span = (at(kernel, index) - 1) * at(&dilations, index) + 1;
        let same = match node.op.as_str() {
            "ConvTranspose" => (span - stride).max(0),
            _ => {
                let len = spatial.get(index).map_or(1, |dim| dim.len);
                ((len + stride - 1) / stride)
                    .saturating_sub(1)
                    .saturating_mul(stride)
                    .saturating_add(span - len)
                    .max(0)
            }
        };
        let (before, after) = match auto {
            "SAME_UPPER" => (same / 2, same - same / 2),
            "SAME_LOWER" => (same - same / 2, same / 2),
            "VALID" => (0, 0),
            _ => (at(&pads, index), at(&pads, index + rank)),
        };
        Window { stride, span, before, after }
    };
    Ok((0..rank).map(window).collect())
}

/// A convolution's input dimensions, weight shape and group count.
fn operands<'a>(inputs: &Inputs<'a>) -> Result<(&'a [Dim], Vec<i64>, i64), AnalysisError> {
    let source = &inputs.need(0)?.dims;
    let weight = inputs.need(1)?;
    let group = inputs.node.int("group").unwrap_or(1);
    if weight.is_image {
        return Err(inputs.error(Problem::VariableWeights));
    }
    if source.len() < 3 || weight.dims.len() != source.len() || group < 1 {
        return Err(inputs.error(Problem::Value { name: "weights", values: weight.lens() }));
    }
    Ok((source, weight.lens(), group))
}

/// How a last window that is only partly inside counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    /// It produces no output.
    Floor,
    /// It produces an output.
    Ceil,
}

/// Replaces each dimension by its number of windows.
fn slide(dims: &mut [Dim], windows: &[Window], rounding: Rounding, outcome: &mut Outcome) {
    for (index, (dim, window)) in dims.iter_mut().zip(windows).enumerate() {
        outcome.needs.push((index + 2, window.span - window.before - window.after));
        let free = dim.len + window.before + window.after - window.span;
        let partial = rounding == Rounding::Ceil && free.rem_euclid(window.stride) != 0;
        dim.len = free.div_euclid(window.stride) + 1 + i64::from(partial);
        match dim.role {
            Role::Plain => {}
            Role::Mixed => outcome.reach = None,
            Role::Space(axis, scale) => {
                let low = -window.before;
                outcome.set_reach(axis, Reach::window(window.stride, low, low + window.span - 1));
                outcome.set_role(dim, scale.times(1, window.stride).map(|s| Role::Space(axis, s)));
            }
        }
    }
}

/// The number of elements.
fn count(dims: &[Dim]) -> f64 {
    dims.iter().map(|dim| dim.len as f64).product()
}

pub(super) fn conv(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let (source, weight, group) = operands(inputs)?;
    let ([batch, channels, spatial @ ..], [out, depth, kernel @ ..]) = (source, &weight[..]) else {
        return Err(inputs.error(Problem::Rank));
    };
    if depth.checked_mul(group) != Some(channels.len) {
        let expected = depth.saturating_mul(group);
        return Err(inputs.error(Problem::Channels { expected, actual: channels.len }));
    }
    let mut outcome = Outcome::pointwise(Vec::new());
    let windows = windows(inputs, kernel, spatial)?;
    let mut dims = vec![*batch, Dim::plain(*out)];
    dims.extend_from_slice(spatial);
    slide(dims.get_mut(2..).unwrap_or_default(), &windows, Rounding::Floor, &mut outcome);
    if channels.role != Role::Plain {
        outcome.reach = None;
    }
    outcome.macs =
        count(&dims) * (*depth as f64) * kernel.iter().map(|&k| k as f64).product::<f64>();
    outcome.outputs = vec![dims];
    Ok(outcome)
}

pub(super) fn conv_transpose(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let (source, weight, group) = operands(inputs)?;
    let ([batch, channels, spatial @ ..], [depth, out, kernel @ ..]) = (source, &weight[..]) else {
        return Err(inputs.error(Problem::Rank));
    };
    if *depth != channels.len {
        return Err(inputs.error(Problem::Channels { expected: *depth, actual: channels.len }));
    }
    if inputs.node.ints("output_shape").is_some() {
        return Err(inputs.error(Problem::FixedOutputShape));
    }
    let extra = inputs.node.ints("output_padding").unwrap_or_default();
    let mut outcome = Outcome::pointwise(Vec::new());
    let windows = windows(inputs, kernel, spatial)?;
    let mut dims = vec![*batch, Dim::plain(out.saturating_mul(group))];
    for (index, (dim, window)) in spatial.iter().zip(&windows).enumerate() {
        let mut dim = *dim;
        let extra = extra.get(index).copied().unwrap_or(0).clamp(0, LIMIT);
        let full =
            dim.len.saturating_sub(1).saturating_mul(window.stride).saturating_add(window.span);
        dim.len = full + extra - window.before - window.after;
        match dim.role {
            Role::Plain => {}
            Role::Mixed => outcome.reach = None,
            Role::Space(axis, scale) => {
                // Output j depends on input i if j = i·stride − before + t with 0 ≤ t < span.
                let low = window.before - window.span + window.stride;
                let reach = Reach { step: 1, low, high: window.before, div: window.stride };
                outcome.set_reach(axis, reach);
                let scale = scale.times(window.stride, 1).map(|s| Role::Space(axis, s));
                outcome.set_role(&mut dim, scale);
            }
        }
        dims.push(dim);
    }
    if channels.role != Role::Plain {
        outcome.reach = None;
    }
    let kernel = kernel.iter().map(|&k| k as f64).product::<f64>();
    outcome.macs = count(source) * (*out as f64) * kernel;
    outcome.outputs = vec![dims];
    Ok(outcome)
}

pub(super) fn pool(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let mut dims = inputs.need(0)?.dims.clone();
    let kernel = inputs.node.ints("kernel_shape").unwrap_or_default();
    let spatial = dims.get_mut(2..).unwrap_or_default();
    let windows = windows(inputs, kernel, spatial)?;
    let mut outcome = Outcome::pointwise(Vec::new());
    let rounding = match inputs.node.int("ceil_mode") {
        None | Some(0) => Rounding::Floor,
        Some(_) => Rounding::Ceil,
    };
    slide(spatial, &windows, rounding, &mut outcome);
    outcome.outputs = vec![dims; inputs.node.outputs.len().max(1)];
    Ok(outcome)
}

pub(super) fn pad(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let mut dims = inputs.need(0)?.dims.clone();
    let pads = inputs.need_ints(1, "pads", "pads")?;
    let axes: Vec<usize> = match inputs.get(3) {
        None => (0..dims.len()).collect(),
        Some(_) => {
            let axes = inputs.need_ints(3, "", "axes")?;
            axes.into_iter().map(|axis| inputs.axis(axis, dims.len())).collect::<Result<_, _>>()?
        }
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|pad| !(-LIMIT..LIMIT).contains(pad)) {
        return Err(inputs.error(Problem::Value { name: "pads", values: pads }));
    }
    let mode = inputs.node.text("mode").unwrap_or("constant");
    let mut outcome = Outcome::pointwise(Vec::new());
    for (index, &axis) in axes.iter().enumerate() {
        let at = |index: usize| pads.get(index).copied().unwrap_or(0);
        let (before, after) = (at(index), at(index + axes.len()));
        if (before, after) == (0, 0) {
            continue;
        }
        if mode == "reflect" {
            outcome.needs.push((axis, before.max(after) + 1));
        }
        outcome.needs.push((axis, 1 - before.min(0) - after.min(0)));
        let Some(dim) = dims.get_mut(axis) else { continue };
        dim.len = dim.len.saturating_add(before + after);
        match dim.role {
            Role::Plain => {}
            Role::Mixed => outcome.reach = None,
            Role::Space(axis, _) => outcome.set_reach(axis, Reach::window(1, -before, -before)),
        }
        // A wrapped border depends on the opposite side of the image.
        if mode == "wrap" {
            outcome.reach = None;
        }
    }
    outcome.outputs = vec![dims];
    Ok(outcome)
}

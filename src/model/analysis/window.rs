//! Operators that walk a window over the picture: convolutions, pools, pads.

use super::{
    operators::{Inputs, Outcome},
    reach::Reach,
    reshape::rescale,
    value::{Dim, Role},
};
use crate::model::Node;

/// Strides, pads and the like above this are no network's.
const SANE: i64 = 1 << 16;

/// A window along one dimension.
struct Walk {
    stride: i64,
    /// Places that it covers, from first to last.
    span: i64,
    before: i64,
    after: i64,
}

/// Why `node` is no window that a runtime could walk, whatever it is given; `None` where it may be
/// one, or is none at all. ONNX Runtime reads beside the picture where pads are below zero.
pub(crate) fn impossible(node: &Node) -> Option<String> {
    let least = [("pads", 0), ("strides", 1), ("dilations", 1), ("kernel_shape", 1)];
    let walks = ["Conv", "ConvTranspose", "AveragePool", "MaxPool", "LpPool"];
    let (name, list) =
        least.iter().filter(|_| walks.contains(&node.op.as_str())).find_map(|&(name, least)| {
            let list = node.ints(name)?;
            list.iter().any(|value| !(least..SANE).contains(value)).then_some((name, list))
        })?;
    Some(format!("{} has {name} of {list:?}", node.op))
}

/// The walks along the spatial dimensions, for kernels of these sizes.
fn walks(inputs: &Inputs<'_>, kernel: &[i64], spatial: &[Dim]) -> Result<Vec<Walk>, String> {
    let node = inputs.node;
    let rank = spatial.len();
    let list = |name: &str, default: i64, count: usize| match node.ints(name) {
        None => Ok(vec![default; count]),
        Some(list)
            if list.len() == count && list.iter().all(|v| (default.min(0)..SANE).contains(v)) =>
        {
            Ok(list.to_vec())
        }
        Some(list) => Err(inputs.wrong(&format!("has {name} of {list:?}"))),
    };
    let (strides, dilations) = (list("strides", 1, rank)?, list("dilations", 1, rank)?);
    let pads = list("pads", 0, 2 * rank)?;
    if kernel.len() != rank
        || kernel.iter().chain(&strides).chain(&dilations).any(|v| !(1..SANE).contains(v))
    {
        return Err(inputs.wrong(&format!("has a window of {kernel:?}, strides of {strides:?}")));
    }
    let auto = node.text("auto_pad").unwrap_or("NOTSET");
    let walk = |index: usize| {
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
        Walk { stride, span, before, after }
    };
    Ok((0..rank).map(walk).collect())
}

/// Channels, weights and spatial dimensions of a convolution.
fn operands<'a>(inputs: &Inputs<'a>) -> Result<(&'a [Dim], Vec<i64>, i64), String> {
    let source = &inputs.need(0)?.dims;
    let weight = inputs.need(1)?;
    let group = inputs.node.int("group").unwrap_or(1);
    if weight.picture {
        return Err(inputs.wrong("has weights that depend on the picture"));
    }
    if source.len() < 3 || weight.dims.len() != source.len() || group < 1 {
        return Err(inputs.wrong(&format!("has weights of {:?}", weight.lens())));
    }
    Ok((source, weight.lens(), group))
}

fn walk_forward(dims: &mut [Dim], walks: &[Walk], ceil: bool, outcome: &mut Outcome) {
    for (index, (dim, walk)) in dims.iter_mut().zip(walks).enumerate() {
        outcome.needs.push((index + 2, walk.span - walk.before - walk.after));
        let room = dim.len + walk.before + walk.after - walk.span;
        dim.len =
            room.div_euclid(walk.stride) + 1 + i64::from(ceil && room.rem_euclid(walk.stride) != 0);
        match dim.role {
            Role::Plain => {}
            Role::Mixed => outcome.reach = None,
            Role::Space(axis, scale) => {
                let low = -walk.before;
                outcome.set_reach(axis, Reach::window(walk.stride, low, low + walk.span - 1));
                rescale(dim, scale.times(1, walk.stride).map(|s| Role::Space(axis, s)), outcome);
            }
        }
    }
}

fn places(dims: &[Dim]) -> f64 {
    dims.iter().map(|dim| dim.len as f64).product()
}

pub(super) fn conv(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (source, weight, group) = operands(inputs)?;
    let ([batch, channels, spatial @ ..], [out, depth, kernel @ ..]) = (source, &weight[..]) else {
        return Err(inputs.wrong("has too few dimensions"));
    };
    if depth.checked_mul(group) != Some(channels.len) {
        return Err(inputs.wrong(&format!(
            "of {depth} channels in {group} groups meets {} channels",
            channels.len
        )));
    }
    let mut outcome = Outcome::pointwise(Vec::new());
    let walks = walks(inputs, kernel, spatial)?;
    let mut dims = vec![*batch, Dim::plain(*out)];
    dims.extend_from_slice(spatial);
    walk_forward(dims.get_mut(2..).unwrap_or_default(), &walks, false, &mut outcome);
    if channels.role != Role::Plain {
        outcome.reach = None;
    }
    outcome.macs =
        places(&dims) * (*depth as f64) * kernel.iter().map(|&k| k as f64).product::<f64>();
    outcome.outputs = vec![dims];
    Ok(outcome)
}

pub(super) fn conv_transpose(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let (source, weight, group) = operands(inputs)?;
    let ([batch, channels, spatial @ ..], [depth, out, kernel @ ..]) = (source, &weight[..]) else {
        return Err(inputs.wrong("has too few dimensions"));
    };
    if *depth != channels.len {
        return Err(inputs.wrong(&format!("of {depth} channels meets {} channels", channels.len)));
    }
    if inputs.node.ints("output_shape").is_some() {
        return Err(inputs.wrong("has a fixed output_shape, which fits one size only"));
    }
    let extra = inputs.node.ints("output_padding").unwrap_or_default();
    let mut outcome = Outcome::pointwise(Vec::new());
    let walks = walks(inputs, kernel, spatial)?;
    let mut dims = vec![*batch, Dim::plain(out.saturating_mul(group))];
    for (index, (dim, walk)) in spatial.iter().zip(&walks).enumerate() {
        let mut dim = *dim;
        let extra = extra.get(index).copied().unwrap_or(0).clamp(0, SANE);
        let full = dim.len.saturating_sub(1).saturating_mul(walk.stride).saturating_add(walk.span);
        dim.len = full + extra - walk.before - walk.after;
        match dim.role {
            Role::Plain => {}
            Role::Mixed => outcome.reach = None,
            Role::Space(axis, scale) => {
                // Output j gets from input i where j = i·stride − before + t, 0 ≤ t < span.
                let low = walk.before - walk.span + walk.stride;
                let reach = Reach { step: 1, low, high: walk.before, div: walk.stride };
                outcome.set_reach(axis, reach);
                let scale = scale.times(walk.stride, 1).map(|s| Role::Space(axis, s));
                rescale(&mut dim, scale, &mut outcome);
            }
        }
        dims.push(dim);
    }
    if channels.role != Role::Plain {
        outcome.reach = None;
    }
    let kernel = kernel.iter().map(|&k| k as f64).product::<f64>();
    outcome.macs = places(source) * (*out as f64) * kernel;
    outcome.outputs = vec![dims];
    Ok(outcome)
}

pub(super) fn pool(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let mut dims = inputs.need(0)?.dims.clone();
    let kernel = inputs.node.ints("kernel_shape").unwrap_or_default();
    let spatial = dims.get_mut(2..).unwrap_or_default();
    let walks = walks(inputs, kernel, spatial)?;
    let mut outcome = Outcome::pointwise(Vec::new());
    walk_forward(spatial, &walks, inputs.node.int("ceil_mode").unwrap_or(0) != 0, &mut outcome);
    outcome.outputs = vec![dims; inputs.node.outputs.len().max(1)];
    Ok(outcome)
}

pub(super) fn pad(inputs: &Inputs<'_>) -> Result<Outcome, String> {
    let mut dims = inputs.need(0)?.dims.clone();
    let pads = inputs.ints(1, "pads").ok_or_else(|| inputs.wrong("has no known pads"))?;
    let axes: Vec<usize> = match inputs.get(3) {
        None => (0..dims.len()).collect(),
        Some(_) => {
            let axes = inputs.ints(3, "").ok_or_else(|| inputs.wrong("has no known axes"))?;
            axes.into_iter().map(|axis| inputs.axis(axis, dims.len())).collect::<Result<_, _>>()?
        }
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|pad| !(-SANE..SANE).contains(pad)) {
        return Err(inputs.wrong(&format!("has pads of {pads:?}")));
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
        // Wrapped borders come from the other end of the picture.
        if mode == "wrap" {
            outcome.reach = None;
        }
    }
    outcome.outputs = vec![dims];
    Ok(outcome)
}

//! `Resize` and `Upsample`: which input samples each output sample depends on.

use super::{
    error::{AnalysisError, Problem},
    operator::{Inputs, Outcome},
    ratio::Ratio,
    reach::Reach,
    value::{Dim, Role},
};
use crate::model::Attribute;

/// The first operator set whose `Resize` has the inputs X, roi, scales, sizes; earlier ones (and
/// `Upsample`) have X, scales.
const RESIZE_WITH_SIZES: i64 = 11;

fn is_legacy(inputs: &Inputs<'_>) -> bool {
    inputs.node.op == "Upsample" || inputs.opset < RESIZE_WITH_SIZES
}

pub(super) fn resize(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let source = inputs.need(0)?;
    let rank = source.dims.len();
    let axes: Vec<usize> = match inputs.node.ints("axes") {
        Some(axes) => axes.iter().map(|&axis| inputs.axis(axis, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let legacy = is_legacy(inputs);
    let floats =
        |index: usize| inputs.get(index).and_then(|value| value.numbers.as_ref()?.floats());
    let mut scales = floats(if legacy { 1 } else { 2 }).filter(|list| !list.is_empty());
    if let (None, Some(Attribute::Floats(list))) = (&scales, inputs.node.attributes.get("scales")) {
        scales = Some(list.clone());
    }
    let sizes = if legacy { None } else { inputs.ints(3, "").filter(|list| !list.is_empty()) };
    let mut outcome = Outcome::pointwise(Vec::new());
    let mut dims = source.dims.clone();
    for (index, &axis) in axes.iter().enumerate() {
        let Some(dim) = dims.get_mut(axis) else { continue };
        let (len, scale) = match (&sizes, &scales) {
            (Some(sizes), _) => {
                let len = sizes.get(index).copied();
                let len = len.ok_or_else(|| inputs.error(Problem::Count("sizes")))?;
                (len, len as f64 / dim.len.max(1) as f64)
            }
            (None, Some(scales)) => {
                let scale = scales.get(index).copied();
                let scale = f64::from(scale.ok_or_else(|| inputs.error(Problem::Count("scales")))?);
                if !(scale > 0.0 && scale < 1e6) {
                    return Err(inputs.error(Problem::Scale(scale)));
                }
                ((dim.len as f64 * scale) as i64, scale)
            }
            _ => return Err(inputs.error(Problem::NotConstant("sizes or scales"))),
        };
        if len != dim.len {
            stretch(inputs, dim, len, scale, &mut outcome);
        }
    }
    outcome.outputs = vec![dims];
    Ok(outcome)
}

fn stretch(inputs: &Inputs<'_>, dim: &mut Dim, len: i64, scale: f64, outcome: &mut Outcome) {
    let ratio = Ratio::new(len, dim.len);
    dim.len = len;
    let Role::Space(axis, old) = dim.role else {
        if dim.role == Role::Mixed {
            outcome.reach = None;
        }
        return;
    };
    // The lengths may only approximate the scale, or the scale may not be a simple fraction.
    let exact = ratio.filter(|ratio| {
        (ratio.num as f64 / ratio.den as f64 - scale).abs() < 1e-6 * scale && ratio.den <= 4096
    });
    let reach = exact.and_then(|ratio| taps(inputs, ratio));
    match reach {
        Some(reach) => outcome.set_reach(axis, reach),
        None => outcome.reach = None,
    }
    let role =
        exact.and_then(|ratio| old.times(ratio.num, ratio.den)).map(|s| Role::Space(axis, s));
    outcome.set_role(dim, role);
}

/// The input samples that output sample j depends on. Its coordinate among them is
/// x = (j·step + offset)/div.
fn taps(inputs: &Inputs<'_>, Ratio { num, den }: Ratio) -> Option<Reach> {
    let node = inputs.node;
    let legacy = is_legacy(inputs);
    let coordinates = match node.text("coordinate_transformation_mode") {
        _ if legacy => "asymmetric",
        Some(text) => text,
        None => "half_pixel",
    };
    let (step, offset, div) = match coordinates {
        "asymmetric" => (den, 0, num),
        // x = (j + ½)·den/num − ½. The symmetric variant differs only if sizes were rounded.
        "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric" => {
            (2 * den, den - num, 2 * num)
        }
        // The coordinate depends on the size of the whole image.
        _ => return None,
    };
    let floor = |low: i64, high: i64| {
        Some(Reach { step, low: offset + low * div, high: offset + high * div, div })
    };
    let mut support = match node.text("mode").unwrap_or("nearest") {
        "nearest" => {
            let shift = match node.text("nearest_mode") {
                _ if legacy => 0,
                Some("floor") => 0,
                Some("ceil") => div - 1,
                // ⌊x + ½⌋, over twice the denominator.
                Some("round_prefer_ceil") => {
                    let twice = 2 * offset + div;
                    return Some(Reach { step: 2 * step, low: twice, high: twice, div: 2 * div });
                }
                // ⌈x − ½⌉.
                _ => {
                    let twice = 2 * offset + div - 1;
                    return Some(Reach { step: 2 * step, low: twice, high: twice, div: 2 * div });
                }
            };
            return Some(Reach { step, low: offset + shift, high: offset + shift, div });
        }
        // Between two samples: ⌊x⌋ and ⌈x⌉.
        "linear" if node.int("antialias").unwrap_or(0) == 0 || num >= den => {
            return Some(Reach { step, low: offset, high: offset + div - 1, div });
        }
        "linear" => 1,
        "cubic" if node.int("antialias").unwrap_or(0) == 0 || num >= den => return floor(-1, 2),
        "cubic" => 2,
        _ => return None,
    };
    // An antialiasing filter widens with the reduction.
    support = (support * den + num - 1) / num + 1;
    floor(-support, support)
}

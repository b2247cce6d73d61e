//! `Slice`: which range of each dimension it takes.

use super::{
    error::{AnalysisError, Problem},
    operator::{Inputs, Outcome},
    reach::Reach,
    value::Role,
};

/// What a `Slice` takes of one dimension.
pub(super) struct Cut {
    pub axis: usize,
    pub start: i64,
    pub step: i64,
    pub len: i64,
}

/// The ranges that a `Slice` takes of a tensor of shape `lens`.
pub(super) fn cuts(inputs: &Inputs<'_>, lens: &[i64]) -> Result<Vec<Cut>, AnalysisError> {
    let starts = inputs.need_ints(1, "starts", "starts")?;
    let ends = inputs.need_ints(2, "ends", "ends")?;
    let rank = i64::try_from(starts.len()).unwrap_or(i64::MAX);
    let axes = match inputs.ints(3, "axes") {
        None if inputs.get(3).is_none() => (0..rank).collect(),
        axes => axes.ok_or_else(|| inputs.error(Problem::NotConstant("axes")))?,
    };
    let steps = match inputs.ints(4, "steps") {
        None if inputs.get(4).is_none() => vec![1; starts.len()],
        steps => steps.ok_or_else(|| inputs.error(Problem::NotConstant("steps")))?,
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(inputs.error(Problem::Count("bounds")));
    }
    let bounds = starts.into_iter().zip(ends).zip(axes.into_iter().zip(steps));
    bounds
        .map(|((start, end), (axis, step))| {
            let axis = inputs.axis(axis, lens.len())?;
            let len = lens.get(axis).copied().unwrap_or(0);
            let (start, count) = range(start, end, step, len).ok_or_else(|| {
                inputs.error(Problem::Value { name: "steps", values: vec![step] })
            })?;
            Ok(Cut { axis, start, step, len: count.max(0) })
        })
        .collect()
}

/// The first position and the count of `start..end` in steps of `step` along `len` positions;
/// `None` for a step that no slice can have.
fn range(start: i64, end: i64, step: i64, len: i64) -> Option<(i64, i64)> {
    let from_start = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    match step {
        0 | i64::MIN => None,
        1.. => {
            let start = from_start(start).clamp(0, len);
            let step = step.min(len.max(1));
            Some((start, (from_start(end).clamp(0, len) - start + step - 1) / step))
        }
        _ => {
            let start = from_start(start).clamp(0, (len - 1).max(0));
            let end = from_start(end).clamp(-1, len);
            let step = step.max(-len.max(1));
            Some((start, (end - start + step + 1) / step))
        }
    }
}

pub(super) fn slice(inputs: &Inputs<'_>) -> Result<Outcome, AnalysisError> {
    let source = inputs.need(0)?;
    let mut outcome = Outcome::pointwise(Vec::new());
    let mut dims = source.dims.clone();
    for cut in cuts(inputs, &source.lens())? {
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

//! What a graph says of itself: factor, channels, alignment, receptive field, cost.
//!
//! The graph is walked for a few concrete sizes of the input ([`probe`]), so that all of an
//! exporter's arithmetic on sizes is plain arithmetic. Each spatial dimension carries its scale
//! against the input, each node how its output positions depend on its inputs' ([`reach`]);
//! from these the halo is worked out exactly ([`halo`]).

mod cost;
mod halo;
mod known;
mod operators;
mod probe;
mod ratio;
mod reach;
mod reshape;
mod resize;
#[cfg(test)]
mod tests;
mod value;
mod window;

pub(crate) use window::impossible;

use super::{Graph, ModelInfo};
use crate::frame::Channels;
use probe::Probe;
use value::Role;

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Analysis {
    pub info: ModelInfo,
    /// Output pixels, [vertical, horizontal], by which the output falls short of input size ×
    /// factor (negative: exceeds it). Not 0 for networks that crop as they convolve.
    pub missing: [i64; 2],
}

/// Multiples of most strides and window sizes that networks have; the second list has those
/// with a 7 as well.
const SIZES: [[[i64; 2]; 2]; 2] = [[[1920, 2880], [3840, 4320]], [[13440, 20160], [26880, 30240]]];

/// Works everything out that can be known without running the graph.
///
/// # Errors
/// Why the graph cannot enlarge pictures, as the end of a sentence.
pub(crate) fn analyze(graph: &Graph) -> Result<Analysis, String> {
    let dim = |index: usize| graph.input_dims.get(index).copied().flatten();
    let batch = dim(0).and_then(|batch| i64::try_from(batch).ok());
    let fixed = match (dim(2), dim(3)) {
        (None, None) => None,
        (height, width) => {
            let side = |own: Option<u64>, other: Option<u64>| own.or(other).unwrap_or(1);
            Some([side(height, width), side(width, height)])
        }
    };
    let sized = |sizes: [[i64; 2]; 2]| {
        let first = Probe::run(graph, batch.unwrap_or(1), sizes[0])?;
        let second = Probe::run(graph, batch.unwrap_or(1), sizes[1])?;
        Ok::<_, String>((first, second))
    };
    let (first, second) = match fixed {
        Some(size) => {
            let side =
                |side: u64| i64::try_from(side).map_err(|_| "its input is too large".to_owned());
            let size = [side(size[0])?, side(size[1])?];
            sized([size; 2])?
        }
        // The first refusal says more than that of the odd sizes.
        None => sized(SIZES[0]).or_else(|error| sized(SIZES[1]).map_err(|_| error))?,
    };
    let channels = channels(&first)?;
    let factor = factor(&first, &second)?;
    let missing = [0, 1].map(|axis| first.size[axis] * factor - out_side(&first, axis));
    let halo = if followed(&first, factor) && first.offsets == second.offsets {
        halo::halo(&first, factor)
    } else {
        None
    };
    let pixels = (first.batch * first.size[0] * first.size[1]) as f64;
    let many = batch.is_none()
        && Probe::run(graph, 2, first.size).is_ok_and(|probe| {
            probe.output().and_then(|value| value.dims.first()).is_some_and(|dim| dim.len == 2)
        });
    let unsigned =
        |number: i64| u32::try_from(number).map_err(|_| "its sizes are too large".to_owned());
    let fixed_size = match fixed {
        Some([height, width]) => {
            let side =
                |side: u64| u32::try_from(side).map_err(|_| "its input is too large".to_owned());
            Some((side(width)?, side(height)?))
        }
        None => None,
    };
    let info = ModelInfo {
        channels,
        factor: unsigned(factor)?,
        halo,
        align: unsigned(first.align)?,
        min_side: unsigned(
            min_side(&first, &second).saturating_add(first.align - 1) / first.align * first.align,
        )?,
        fixed_size,
        batch: many,
        parameters: cost::parameters(graph),
        macs_per_pixel: first.macs / pixels,
        peak_floats_per_pixel: cost::peak_floats(&first) / pixels,
    };
    Ok(Analysis { info, missing })
}

/// The least side that the graph can take. What it needs does not depend on the size that is
/// tried; a length that is the same at any size (four rows from the end) only looks like a need.
fn min_side(first: &Probe<'_>, second: &Probe<'_>) -> i64 {
    let both = first.needs.iter().zip(&second.needs).filter(|(a, b)| a == b);
    both.fold(1, |least, ((_, side), _)| least.max(*side))
}

fn out_side(probe: &Probe<'_>, axis: usize) -> i64 {
    probe.output().and_then(|value| value.dims.get(axis + 2)).map_or(0, |dim| dim.len)
}

fn channels(probe: &Probe<'_>) -> Result<Channels, String> {
    let input = probe.graph.input_dims.get(1).copied().flatten().unwrap_or(3);
    let Some(output) = probe.output() else { return Err("its output is never made".into()) };
    let lens = output.lens();
    let &[batch, out, _, _] = &lens[..] else {
        return Err(format!("its output has {} dimensions, wanted are four", lens.len()));
    };
    if !output.picture {
        return Err("its output does not depend on the picture".into());
    }
    if batch != probe.batch {
        return Err(format!("it makes {batch} pictures of {}", probe.batch));
    }
    match (input, out) {
        (1, 1) => Ok(Channels::Luma),
        (3, 3) => Ok(Channels::Rgb),
        _ => Err(format!(
            "it takes {input} channels and gives {out}, wanted are three (R'G'B') or one (luma) both times"
        )),
    }
}

/// Output size over input size, from the way the output grows with the input.
fn factor(first: &Probe<'_>, second: &Probe<'_>) -> Result<i64, String> {
    let mut factors = [0, 1].map(|axis| {
        let grown = second.size[axis] - first.size[axis];
        let (out, side) = (out_side(first, axis), first.size[axis]);
        if grown == 0 {
            // One size only: what is missing cannot be told from the factor.
            return (out, side);
        }
        (out_side(second, axis) - out, grown)
    });
    let [vertical, horizontal] = &mut factors;
    let whole = |(out, side): (i64, i64)| (side > 0 && out % side == 0).then(|| out / side);
    let say = |(out, side): (i64, i64)| format!("{:.4}", out as f64 / side as f64);
    match (whole(*vertical), whole(*horizontal)) {
        (Some(a), Some(b)) if a == b && (1..=64).contains(&a) => Ok(a),
        _ => Err(format!(
            "it enlarges {} times across and {} times down, wanted is one whole factor of 1 to 64",
            say(*horizontal),
            say(*vertical)
        )),
    }
}

/// Whether the output's rows and columns are known to be those of the picture.
fn followed(probe: &Probe<'_>, factor: i64) -> bool {
    let Some(output) = probe.output() else { return false };
    let along = |index: usize, axis| {
        output.dims.get(index).is_some_and(|dim| match dim.role {
            Role::Space(own, scale) => own == axis && scale.num == factor && scale.den == 1,
            _ => false,
        })
    };
    along(2, value::Axis::Vertical) && along(3, value::Axis::Horizontal)
}

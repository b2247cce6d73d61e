//! Facts about a graph: scale factor, channels, alignment, receptive field, cost.
//!
//! [`probe`] infers all shapes for a few concrete sizes of the input, so that an exporter's
//! arithmetic on sizes is plain arithmetic. Each spatial dimension carries its scale relative to
//! the input, each node how its output positions depend on its input positions ([`reach`]); from
//! these [`halo`] computes the exact receptive field.

mod bounds;
mod cost;
mod error;
mod halo;
mod known;
mod operator;
mod operators;
mod probe;
mod ratio;
mod reach;
mod reshape;
mod resize;
mod slice;
#[cfg(test)]
mod tests;
mod value;
mod window;

pub(crate) use bounds::check_stated_shapes;
pub(crate) use error::{AnalysisError, Problem};
pub(crate) use window::check_window;

use num_integer::Integer;

use super::{Graph, ModelInfo};
use crate::frame::Channels;
use probe::Probe;
use value::{Axis, Role};

/// The result of [`analyze`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Analysis {
    pub info: ModelInfo,
    /// Output pixels, [vertical, horizontal], that the output is smaller than input size × factor
    /// (negative: larger). Not 0 for networks whose convolutions do not pad.
    pub missing: [i64; 2],
}

/// Two sizes of the input, [height, width].
type Sizes = [[i64; 2]; 2];

/// Multiples of most strides and window sizes of networks, up to windows of 8 at an eighth of the
/// size; the second pair includes those of 7.
const SIZES: [Sizes; 2] = [[[1920, 2880], [3840, 4800]], [[13440, 20160], [26880, 33600]]];

/// Additions to a size, [vertical, horizontal], that no alignment divides both of.
const ODD: Sizes = [[1, 3], [5, 2]];

/// Input sides need not be multiples of more than this.
const MAX_ALIGN: i64 = 1 << 12;

/// The largest scale factor.
const MAX_FACTOR: i64 = 64;

/// Finds everything that can be known without running the graph.
///
/// # Errors
/// Why the graph is not an upscaler of images.
pub(crate) fn analyze(graph: &Graph) -> Result<Analysis, AnalysisError> {
    let dim = |index: usize| graph.input_dims.get(index).copied().flatten();
    let batch = dim(0).and_then(|batch| i64::try_from(batch).ok());
    let fixed = match (dim(2), dim(3)) {
        (None, None) => None,
        (height, width) => {
            let side = |own: Option<u64>, other: Option<u64>| {
                u32::try_from(own.or(other).unwrap_or(1)).map_err(|_| AnalysisError::InputTooLarge)
            };
            Some([side(height, width)?, side(width, height)?])
        }
    };
    let run = |[first, second]: Sizes| {
        let first = Probe::run(graph, batch.unwrap_or(1), first)?;
        let second = Probe::run(graph, batch.unwrap_or(1), second)?;
        Ok::<_, AnalysisError>((first, second))
    };
    let [sizes, more_sizes] = SIZES;
    let (first, second) = match fixed {
        Some(size) => run([size.map(i64::from); 2])?,
        // The first error is the more informative one.
        None => run(sizes).or_else(|error| run(more_sizes).map_err(|_| error))?,
    };
    bounds::check(&first, &second)?;
    let channels = channels(&first)?;
    let factor = factor(&first, &second)?;
    let missing = Axis::BOTH.map(|axis| axis.of(first.size) * factor - out_side(&first, axis));
    let moves_along = is_tracked(&first, factor) && first.offsets == second.offsets;
    let (mut align, moves_along) = match alignment(&first, &second) {
        Ok(align) => (align, moves_along),
        // A model of one size needs no alignment.
        Err(_) if fixed.is_some() => (1, false),
        Err(error) => return Err(error),
    };
    let halo = if moves_along { halo::halo(&first, factor, align) } else { None };
    // A graph that extends its input itself decides what is beyond the border.
    if halo.is_none() && align > 1 && fixed.is_none() && missing == [0, 0] {
        let odd = ODD.iter().all(|&extra| accepts(&first, extra, factor));
        align = if odd { 1 } else { align };
    }
    let [height, width] = first.size;
    let pixels = (first.batch * height * width) as f64;
    let any_batch = batch.is_none()
        && Probe::run(graph, 2, first.size).is_ok_and(|probe| {
            probe.output().and_then(|value| value.dims.first()).is_some_and(|dim| dim.len == 2)
        });
    let unsigned = |number: i64| u32::try_from(number).map_err(|_| AnalysisError::SizesTooLarge);
    let min_side = min_side(&first, &second).saturating_add(align - 1);
    let info = ModelInfo {
        channels,
        factor: unsigned(factor)?,
        halo,
        align: unsigned(align)?,
        min_side: unsigned(min_side / align * align)?,
        fixed_size: fixed.map(|[height, width]| (width, height)),
        batch: any_batch,
        parameters: cost::parameters(graph),
        macs_per_pixel: first.macs / pixels,
        peak_floats_per_pixel: cost::peak_floats(&first) / pixels,
    };
    Ok(Analysis { info, missing })
}

/// The number that sides must be multiples of, so that every scaled side is a whole number. Scales
/// that differ between sizes belong to grids over the whole image, which need no multiples.
fn alignment(first: &Probe<'_>, second: &Probe<'_>) -> Result<i64, AnalysisError> {
    let common = first.denominators.intersection(&second.denominators);
    let align = common.fold(1i64, |align, den| align.lcm(den).min(MAX_ALIGN + 1));
    if align <= MAX_ALIGN { Ok(align) } else { Err(AnalysisError::NoCommonAlignment) }
}

/// Whether the graph enlarges an input that is `extra` pixels larger by `factor`.
fn accepts(probe: &Probe<'_>, extra: [i64; 2], factor: i64) -> bool {
    let size = [0, 1].map(|axis: usize| {
        probe.size.get(axis).copied().unwrap_or(1) + extra.get(axis).copied().unwrap_or(0)
    });
    Probe::run(probe.graph, probe.batch, size).is_ok_and(|odd| {
        Axis::BOTH.iter().all(|&axis| out_side(&odd, axis) == axis.of(size) * factor)
    })
}

/// The smallest side that the graph supports. Real requirements do not depend on the probed size;
/// one that does comes from a length that is the same at every size (such as the last four rows).
fn min_side(first: &Probe<'_>, second: &Probe<'_>) -> i64 {
    let both = first.needs.iter().zip(&second.needs).filter(|(a, b)| a == b);
    both.fold(1, |min, ((_, side), _)| min.max(*side))
}

/// The output's length along `axis`.
fn out_side(probe: &Probe<'_>, axis: Axis) -> i64 {
    let index = axis.of([2, 3]);
    probe.output().and_then(|value| value.dims.get(index)).map_or(0, |dim| dim.len)
}

/// The channels of input and output, which must be the same.
fn channels(probe: &Probe<'_>) -> Result<Channels, AnalysisError> {
    let input = probe.graph.input_dims.get(1).copied().flatten().unwrap_or(3);
    let output = probe.output().ok_or(AnalysisError::NoOutput)?;
    let lens = output.lens();
    let &[batch, out, _, _] = &lens[..] else {
        return Err(AnalysisError::OutputRank(lens.len()));
    };
    if !output.is_image {
        return Err(AnalysisError::ConstantOutput);
    }
    if batch != probe.batch {
        return Err(AnalysisError::Batch { input: probe.batch, output: batch });
    }
    match (input, out) {
        (1, 1) => Ok(Channels::Luma),
        (3, 3) => Ok(Channels::Rgb),
        _ => Err(AnalysisError::Channels { input, output: out }),
    }
}

/// Output size over input size: the growth of the output over the growth of the input.
fn factor(first: &Probe<'_>, second: &Probe<'_>) -> Result<i64, AnalysisError> {
    let [vertical, horizontal] = Axis::BOTH.map(|axis| {
        let (out, side) = (out_side(first, axis), axis.of(first.size));
        match axis.of(second.size) - side {
            // A model of one size: missing pixels cannot be distinguished from a smaller factor.
            0 => (out, side),
            growth => (out_side(second, axis) - out, growth),
        }
    });
    let whole = |(out, side): (i64, i64)| (side > 0 && out % side == 0).then(|| out / side);
    match (whole(vertical), whole(horizontal)) {
        (Some(a), Some(b)) if a == b && (1..=MAX_FACTOR).contains(&a) => Ok(a),
        _ => {
            let [vertical, horizontal] =
                [vertical, horizontal].map(|(out, side)| out as f64 / side as f64);
            Err(AnalysisError::Factor { horizontal, vertical })
        }
    }
}

/// Whether the output's rows and columns are known to correspond to those of the input.
fn is_tracked(probe: &Probe<'_>, factor: i64) -> bool {
    let Some(output) = probe.output() else { return false };
    Axis::BOTH.iter().all(|&axis| {
        output.dims.get(axis.of([2, 3])).is_some_and(|dim| match dim.role {
            Role::Space(own, scale) => own == axis && scale.num == factor && scale.den == 1,
            _ => false,
        })
    })
}

//! The inner loops of resampling: weighted sums of rows (vertically) and of neighbouring samples
//! of a row (horizontally).
//!
//! Every loop adds the products of an output sample in the same order, so that the result does
//! not depend on where a region begins.

use super::filter_table::FilterTable;

/// Buffers that are reused from call to call.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// The row between the vertical and the horizontal pass.
    pub row: Vec<f32>,
    pub phases: Phases,
}

/// The inputs and outputs of one row, grouped by phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Phases {
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

/// The longest period, in outputs or inputs, for which grouping by phase is faster.
const MAX_PERIOD: usize = 8;

/// Writes the weighted sum of rows to `out`. `row` returns the row of each weight, at least as
/// long as `out`.
pub(super) fn sum_rows<'a>(weights: &[f32], row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    // Reading and writing `out` for every single weight would take longer than the sums.
    const UNROLL: usize = 4;
    let (chunks, rest) = weights.as_chunks::<UNROLL>();
    for (index, weights) in chunks.iter().enumerate() {
        let at = |tap| row(index * UNROLL + tap);
        let rows = at(0).iter().zip(at(1)).zip(at(2)).zip(at(3));
        let [w0, w1, w2, w3] = *weights;
        if index == 0 {
            for (out, (((a, b), c), d)) in out.iter_mut().zip(rows) {
                *out = w0 * a + w1 * b + w2 * c + w3 * d;
            }
        } else {
            for (out, (((a, b), c), d)) in out.iter_mut().zip(rows) {
                *out = *out + w0 * a + w1 * b + w2 * c + w3 * d;
            }
        }
    }
    let done = chunks.len() * UNROLL;
    if let [w0, w1] = *rest
        && done > 0
    {
        for (out, (a, b)) in out.iter_mut().zip(row(done).iter().zip(row(done + 1))) {
            *out = *out + w0 * a + w1 * b;
        }
        return;
    }
    for (index, weight) in rest.iter().enumerate() {
        if done + index == 0 {
            for (out, value) in out.iter_mut().zip(row(0)) {
                *out = weight * value;
            }
        } else {
            for (out, value) in out.iter_mut().zip(row(done + index)) {
                *out += weight * value;
            }
        }
    }
}

/// Writes outputs of `table` from number `x` on, as many as fit into `out`. `row` contains all
/// inputs that they need, from number `from` on.
pub(super) fn filter_row(
    table: &FilterTable,
    row: &[f32],
    from: usize,
    x: usize,
    out: &mut [f32],
    phases: &mut Phases,
) {
    let inner = table.interior();
    let start = inner.start.clamp(x, x + out.len());
    let end = inner.end.clamp(start, x + out.len());
    let [outputs, per_period] = table.period();
    if outputs.max(per_period) > MAX_PERIOD || end - start < 4 * outputs {
        return filter_each(table, row, from, x, out);
    }
    let (left, rest) = out.split_at_mut(start - x);
    let (middle, right) = rest.split_at_mut(end - start);
    filter_each(table, row, from, x, left);
    filter_by_phase(table, row, from, start, middle, phases);
    filter_each(table, row, from, end, right);
}

/// Computes one output after the other.
fn filter_each(table: &FilterTable, row: &[f32], from: usize, x: usize, out: &mut [f32]) {
    match table.taps() {
        4 => filter_each_of::<4>(table, row, from, x, out),
        6 => filter_each_of::<6>(table, row, from, x, out),
        8 => filter_each_of::<8>(table, row, from, x, out),
        12 => filter_each_of::<12>(table, row, from, x, out),
        _ => {
            for (i, out) in out.iter_mut().enumerate() {
                let (start, weights) = table.window(x + i);
                let window = row.get(start - from..).unwrap_or_default();
                *out = weights.iter().zip(window).map(|(weight, value)| weight * value).sum();
            }
        }
    }
}

fn filter_each_of<const TAPS: usize>(
    table: &FilterTable,
    row: &[f32],
    from: usize,
    x: usize,
    out: &mut [f32],
) {
    for (i, out) in out.iter_mut().enumerate() {
        let (start, weights) = table.window(x + i);
        let window = row.get(start - from..).and_then(|window| window.first_chunk::<TAPS>());
        if let (Some(window), Some(weights)) = (window, weights.first_chunk::<TAPS>()) {
            *out = weights.iter().zip(window).map(|(weight, value)| weight * value).sum();
        }
    }
}

/// Computes all outputs of a phase at once. Outputs that are a period apart have the same
/// weights, and their inputs are a period apart too: with both grouped by phase, the outputs of a
/// phase are a weighted sum of rows.
fn filter_by_phase(
    table: &FilterTable,
    row: &[f32],
    from: usize,
    x: usize,
    out: &mut [f32],
    phases: &mut Phases,
) {
    let [outputs, per_period] = table.period();
    let Phases { inputs, outputs: sums } = phases;
    let (stride, inputs) = match per_period {
        1 => (row.len(), row),
        _ => {
            let stride = row.len().div_ceil(per_period);
            inputs.resize(stride * per_period, 0.0);
            for (phase, inputs) in inputs.chunks_exact_mut(stride).enumerate() {
                let row = row.get(phase..).unwrap_or_default();
                for (input, value) in inputs.iter_mut().zip(row.iter().step_by(per_period)) {
                    *input = *value;
                }
            }
            (stride, inputs.as_slice())
        }
    };
    let inputs_of = |phase: usize| {
        let (start, weights) = table.window(x + phase);
        let row = move |tap: usize| {
            let at = start - from + tap;
            let place = at % per_period * stride + at / per_period;
            inputs.get(place..).unwrap_or_default()
        };
        (weights, row)
    };
    if outputs == 1 {
        let (weights, row) = inputs_of(0);
        return sum_rows(weights, row, out);
    }
    let length = out.len().div_ceil(outputs);
    sums.resize(length * outputs, 0.0);
    for (phase, out_row) in sums.chunks_exact_mut(length).enumerate() {
        let count = out.len().saturating_sub(phase).div_ceil(outputs);
        let (weights, row) = inputs_of(phase);
        sum_rows(weights, row, out_row.get_mut(..count).unwrap_or_default());
    }
    interleave(sums, outputs, length, out);
}

/// Interleaves the samples of `count` rows of `length` samples.
fn interleave(rows: &[f32], count: usize, length: usize, out: &mut [f32]) {
    let row = |phase: usize| rows.get(phase * length..(phase + 1) * length).unwrap_or_default();
    // The usual factors as constants, so that the loops vectorise.
    let done = match count {
        2 => {
            let (chunks, _) = out.as_chunks_mut::<2>();
            for ((out, a), b) in chunks.iter_mut().zip(row(0)).zip(row(1)) {
                *out = [*a, *b];
            }
            chunks.len()
        }
        4 => {
            let (chunks, _) = out.as_chunks_mut::<4>();
            let rows = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
            for (out, (((a, b), c), d)) in chunks.iter_mut().zip(rows) {
                *out = [*a, *b, *c, *d];
            }
            chunks.len()
        }
        _ => 0,
    };
    for phase in 0..count {
        let out = out.get_mut(done * count + phase..).unwrap_or_default();
        let row = row(phase).get(done..).unwrap_or_default();
        for (out, value) in out.iter_mut().step_by(count).zip(row) {
            *out = *value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Axis, Filter};

    #[test]
    fn filtering_by_phase_gives_the_same_bits_as_a_plain_sum() {
        let lengths = [(40, 80), (40, 160), (60, 90), (90, 60), (90, 45), (64, 48), (33, 100)];
        for (input, output) in lengths {
            for filter in [Filter::Lanczos3, Filter::CatmullRom] {
                let axis = |pixels| Axis { pixels, shift: 0, cosited: false };
                let table = FilterTable::new(axis(input), axis(output), filter);
                let row: Vec<f32> = (0..input).map(|i| (i as f32 * 1.7).sin()).collect();
                for (from, to) in [(0, output), (3, output), (5, output - 2)] {
                    let (first, end) = table.needed(from, to);
                    let mut out = vec![0.0; (to - from) as usize];
                    let row = &row[first as usize..end as usize];
                    let mut phases = Phases::default();
                    filter_row(&table, row, first as usize, from as usize, &mut out, &mut phases);
                    for (i, got) in out.iter().enumerate() {
                        let (start, weights) = table.window(from as usize + i);
                        let plain = weights.iter().zip(&row[start - first as usize..]);
                        let plain: f32 = plain.map(|(weight, value)| weight * value).sum();
                        assert_eq!(*got, plain, "{input} to {output}, {filter:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_are_added_in_order() {
        for taps in 1..14 {
            let weights: Vec<f32> = (0..taps).map(|tap| 0.3 + tap as f32 * 0.7).collect();
            let rows: Vec<[f32; 3]> =
                (0..taps).map(|tap| [0.1, 0.2, 0.7].map(|it| it * (tap as f32).cos())).collect();
            let mut out = [9.0; 3];
            sum_rows(&weights, |tap| &rows[tap], &mut out);
            for (column, got) in out.iter().enumerate() {
                let plain = weights.iter().zip(&rows).map(|(weight, row)| weight * row[column]);
                assert_eq!(*got, plain.sum::<f32>(), "{taps} taps");
            }
        }
    }
}

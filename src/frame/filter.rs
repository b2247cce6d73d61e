//! The inner loops of resampling: weighted sums of rows, and of a row's own neighbours.
//!
//! Every output is the same sum in the same order whichever loop makes it, so it does not
//! depend on where a region begins.

use super::table::Table;

/// Rows that are kept from call to call for their allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// One row between the vertical and the horizontal pass.
    pub column: Vec<f32>,
    pub sorted: Sorted,
}

/// Inputs and outputs of one row, sorted by phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

/// Longest period, in outputs or inputs, that is worth taking apart by phases.
const LONGEST_PERIOD: usize = 8;

/// The weighted sum of as many rows as there are weights; `row` gives them, each as long as
/// `out` or longer.
pub(super) fn sum_rows<'a>(weights: &[f32], row: impl Fn(usize) -> &'a [f32], out: &mut [f32]) {
    // Reading and writing `out` for every tap would cost more than the sums.
    const AT_ONCE: usize = 4;
    let (chunks, rest) = weights.as_chunks::<AT_ONCE>();
    for (index, weights) in chunks.iter().enumerate() {
        let at = |tap| row(index * AT_ONCE + tap);
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
    let done = chunks.len() * AT_ONCE;
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

/// Outputs of `table` from `x` on, as many as `out` takes; `row` holds the inputs from `from`
/// on, all that are needed.
pub(super) fn filter_row(
    table: &Table,
    row: &[f32],
    from: usize,
    x: usize,
    out: &mut [f32],
    sorted: &mut Sorted,
) {
    let inner = table.interior();
    let start = inner.start.clamp(x, x + out.len());
    let end = inner.end.clamp(start, x + out.len());
    let [outputs, per_period] = table.period();
    if outputs.max(per_period) > LONGEST_PERIOD || end - start < 4 * outputs {
        return each(table, row, from, x, out);
    }
    let (left, rest) = out.split_at_mut(start - x);
    let (middle, right) = rest.split_at_mut(end - start);
    each(table, row, from, x, left);
    by_phases(table, row, from, start, middle, sorted);
    each(table, row, from, end, right);
}

/// One output after the other.
fn each(table: &Table, row: &[f32], from: usize, x: usize, out: &mut [f32]) {
    match table.taps() {
        4 => each_of::<4>(table, row, from, x, out),
        6 => each_of::<6>(table, row, from, x, out),
        8 => each_of::<8>(table, row, from, x, out),
        12 => each_of::<12>(table, row, from, x, out),
        _ => {
            for (i, out) in out.iter_mut().enumerate() {
                let (start, weights) = table.window(x + i);
                let window = row.get(start - from..).unwrap_or_default();
                *out = weights.iter().zip(window).map(|(weight, value)| weight * value).sum();
            }
        }
    }
}

fn each_of<const TAPS: usize>(table: &Table, row: &[f32], from: usize, x: usize, out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        let (start, weights) = table.window(x + i);
        let window = row.get(start - from..).and_then(|window| window.first_chunk::<TAPS>());
        if let (Some(window), Some(weights)) = (window, weights.first_chunk::<TAPS>()) {
            *out = weights.iter().zip(window).map(|(weight, value)| weight * value).sum();
        }
    }
}

/// Outputs that are a period apart have the same weights, and inputs that are a period apart:
/// with both sorted by phase, each phase is a weighted sum of rows.
fn by_phases(
    table: &Table,
    row: &[f32],
    from: usize,
    x: usize,
    out: &mut [f32],
    sorted: &mut Sorted,
) {
    let [outputs, per_period] = table.period();
    let Sorted { inputs, outputs: sums } = sorted;
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

/// One sample of each row in turn.
fn interleave(rows: &[f32], count: usize, length: usize, out: &mut [f32]) {
    let row = |phase: usize| rows.get(phase * length..(phase + 1) * length).unwrap_or_default();
    // The usual factors, with constants that let the loop vectorise.
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
    use crate::frame::{Axis, Kernel};

    #[test]
    fn loops_by_phase_give_the_plain_sums_to_the_bit() {
        let lengths = [(40, 80), (40, 160), (60, 90), (90, 60), (90, 45), (64, 48), (33, 100)];
        for (input, output) in lengths {
            for kernel in [Kernel::Lanczos3, Kernel::CatmullRom] {
                let axis = |pixels| Axis { pixels, shift: 0, cosited: false };
                let table = Table::new(axis(input), axis(output), kernel);
                let row: Vec<f32> = (0..input).map(|i| (i as f32 * 1.7).sin()).collect();
                for (from, to) in [(0, output), (3, output), (5, output - 2)] {
                    let (first, end) = table.needed(from, to);
                    let mut out = vec![0.0; (to - from) as usize];
                    let row = &row[first as usize..end as usize];
                    let mut sorted = Sorted::default();
                    filter_row(&table, row, first as usize, from as usize, &mut out, &mut sorted);
                    for (i, got) in out.iter().enumerate() {
                        let (start, weights) = table.window(from as usize + i);
                        let plain = weights.iter().zip(&row[start - first as usize..]);
                        let plain: f32 = plain.map(|(weight, value)| weight * value).sum();
                        assert_eq!(*got, plain, "{input} to {output}, {kernel:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sum_of_rows_takes_them_in_order() {
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

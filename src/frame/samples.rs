//! Conversion of rows between code values and float.

#![allow(clippy::indexing_slicing, reason = "constant offsets within pixels of a constant size")]

use super::{
    colour::Codes,
    format::{Component, FormatLayout},
};

/// Calls the instance of a row function for a component's position within a pixel. The distance
/// between samples and their offset are constants there, so that the loops vectorise.
macro_rules! for_layout {
    ($layout:expr, $component:expr, $one:ident, $two:ident, ($($argument:expr),*)) => {
        match ($layout.bytes(), $component.step, $component.offset) {
            (1, 1, 0) => $one::<1, 0>($($argument),*),
            (1, 2, 0) => $one::<2, 0>($($argument),*),
            (1, 2, 1) => $one::<2, 1>($($argument),*),
            (1, 3, 0) => $one::<3, 0>($($argument),*),
            (1, 3, 1) => $one::<3, 1>($($argument),*),
            (1, 3, 2) => $one::<3, 2>($($argument),*),
            (1, 4, 0) => $one::<4, 0>($($argument),*),
            (1, 4, 1) => $one::<4, 1>($($argument),*),
            (1, 4, 2) => $one::<4, 2>($($argument),*),
            (1, 4, 3) => $one::<4, 3>($($argument),*),
            (2, 1, 0) => $two::<2, 0>($($argument),*),
            (2, 2, 0) => $two::<4, 0>($($argument),*),
            (2, 2, 1) => $two::<4, 2>($($argument),*),
            (2, 4, 0) => $two::<8, 0>($($argument),*),
            (2, 4, 1) => $two::<8, 2>($($argument),*),
            (2, 4, 2) => $two::<8, 4>($($argument),*),
            (2, 4, 3) => $two::<8, 6>($($argument),*),
            other => debug_assert!(false, "no supported format has a component at {other:?}"),
        }
    };
}

fn read_one<const STEP: usize, const OFFSET: usize>(
    row: &[u8],
    _low_bits: u32,
    codes: Codes,
    out: &mut [f32],
) {
    for (out, sample) in out.iter_mut().zip(row.as_chunks::<STEP>().0) {
        *out = (f32::from(sample[OFFSET]) - codes.zero) * codes.step;
    }
}

fn read_two<const STEP: usize, const OFFSET: usize>(
    row: &[u8],
    low_bits: u32,
    codes: Codes,
    out: &mut [f32],
) {
    for (out, sample) in out.iter_mut().zip(row.as_chunks::<STEP>().0) {
        let code = u16::from_le_bytes([sample[OFFSET], sample[OFFSET + 1]]) >> low_bits;
        *out = (f32::from(code) - codes.zero) * codes.step;
    }
}

/// Converts the samples of a component to float: those of `row` from number `x` on, as many as
/// fit into `out`.
pub(super) fn read(
    layout: &FormatLayout,
    component: Component,
    codes: Codes,
    row: &[u8],
    x: usize,
    out: &mut [f32],
) {
    let row = row.get(x * component.step * layout.bytes()..).unwrap_or_default();
    for_layout!(layout, component, read_one, read_two, (row, layout.low_bits, codes, out));
}

#[inline(always)]
fn code(value: f32, codes: Codes) -> u16 {
    let code = value * codes.scale + codes.zero;
    // Unlike `as`, this vectorises. The comparisons turn NaN into 0. Adding 2²³ rounds to the
    // nearest integer (ties to even) and leaves it in the low bits of the mantissa.
    let code = if code > 0.0 { code } else { 0.0 };
    let code = if code < codes.max { code } else { codes.max };
    (code + 8_388_608.0).to_bits() as u16
}

fn write_one<const STEP: usize, const OFFSET: usize>(
    values: &[f32],
    _low_bits: u32,
    codes: Codes,
    row: &mut [u8],
) {
    for (sample, value) in row.as_chunks_mut::<STEP>().0.iter_mut().zip(values) {
        sample[OFFSET] = code(*value, codes) as u8;
    }
}

fn write_two<const STEP: usize, const OFFSET: usize>(
    values: &[f32],
    low_bits: u32,
    codes: Codes,
    row: &mut [u8],
) {
    for (sample, value) in row.as_chunks_mut::<STEP>().0.iter_mut().zip(values) {
        let bytes = (code(*value, codes) << low_bits).to_le_bytes();
        sample[OFFSET] = bytes[0];
        sample[OFFSET + 1] = bytes[1];
    }
}

/// Writes `values` as the samples of a component from number `x` of `row` on, rounded to the
/// nearest code and clamped to the valid codes.
pub(super) fn write(
    layout: &FormatLayout,
    component: Component,
    codes: Codes,
    values: &[f32],
    row: &mut [u8],
    x: usize,
) {
    let row = row.get_mut(x * component.step * layout.bytes()..).unwrap_or_default();
    for_layout!(layout, component, write_one, write_two, (values, layout.low_bits, codes, row));
}

/// Sets the bytes of `pixels` pixels from number `x` on to 0xFF. Formats with padding bytes (RGBx)
/// keep this value there.
pub(super) fn fill(
    layout: &FormatLayout,
    component: Component,
    row: &mut [u8],
    x: usize,
    pixels: usize,
) {
    let size = component.step * layout.bytes();
    if let Some(bytes) = row.get_mut(x * size..(x + pixels) * size) {
        bytes.fill(0xFF);
    }
}

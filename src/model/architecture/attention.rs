//! Attention within windows of the image, with a position bias, as Swin transformers have it.
//!
//! Windows are an additional pair of dimensions: tokens N×H×W×C become N×R×K×P×C, R×K windows of P
//! positions. Rows and columns of windows stay separate, so that analysis can follow positions.
//!
//! Upstream shifts windows by rolling the image and masks attention between the parts that the
//! roll joins. Here the image is padded instead, so that windows at the border are incomplete, and
//! the padding is masked: the same result, and each position depends on its surroundings only.

use super::{
    error::BuildError,
    network::{Features, Network, wrong_shape},
};
use crate::model::{Attribute, Tensor};

/// What is added to the weight of a masked position, before the softmax.
const MASKED: f32 = -100.0;

/// The size and shift of windows, in positions; pairs are [vertical, horizontal].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    pub size: [u32; 2],
    /// Window borders are at `shift` plus multiples of `size`.
    pub shift: [u32; 2],
}

impl Windows {
    /// Square windows, without a shift.
    pub(crate) fn square(side: u32) -> Self {
        Self { size: [side; 2], shift: [0; 2] }
    }

    /// The same windows, shifted by half their size if `shifted`.
    pub(crate) fn shifted(self, shifted: bool) -> Self {
        let shift = if shifted { self.size.map(|side| side / 2) } else { [0; 2] };
        Self { shift, ..self }
    }

    fn is_shifted(self) -> bool {
        self.shift != [0; 2]
    }

    /// Positions per window.
    pub(crate) fn area(self) -> u64 {
        self.size.iter().map(|&side| u64::from(side)).product()
    }

    /// The padding before the image, so that windows begin `shift` into it.
    fn before(self) -> [i64; 2] {
        let [rows, columns] = self.size;
        let [down, right] = self.shift;
        [(rows, down), (columns, right)]
            .map(|(side, shift)| if shift == 0 { 0 } else { i64::from(side) - i64::from(shift) })
    }
}

/// What attention computes with: N×R×K×P×C, where keys and values may have other positions.
pub(super) struct Operands<'a> {
    pub query: &'a Features,
    pub key: &'a Features,
    pub value: &'a Features,
    /// Positions of queries and of keys.
    pub positions: [u64; 2],
    pub heads: u64,
    /// The factor of the products of queries and keys.
    pub scale: f32,
    /// heads × positions of queries × positions of keys, or a shape that broadcasts to that.
    pub bias: Option<&'a str>,
    /// N×R×K×1×1×positions of keys.
    pub mask: Option<&'a str>,
}

impl Network<'_> {
    /// Tokens N×H×W×C in windows: N×R×K×P×C. A shift pads the image by zeros.
    pub(crate) fn windowed(&mut self, x: &Features, windows: Windows) -> Features {
        self.windows_padded_by(x, windows, 0.0)
    }

    fn windows_padded_by(&mut self, x: &Features, windows: Windows, padding: f32) -> Features {
        let mut value = x.value.clone();
        if windows.is_shifted() {
            let [top, left] = windows.before();
            let [bottom, right] = windows.shift.map(i64::from);
            let pads = [0, top, left, 0, 0, bottom, right, 0];
            let pads = self.graph.constant_i64("pads", &pads);
            let constant = self.graph.constant_f32("padding", &[], &[padding]);
            let mode = [("mode", Attribute::Text("constant".into()))];
            value = self.graph.push("Pad", &[&value, &pads, &constant], mode);
        }
        let [rows, columns] = windows.size.map(i64::from);
        let channels = x.channels.cast_signed();
        let batch = self.lengths(&value, 0..1);
        let count = |network: &mut Self, axis: i64, side: i64| {
            let length = network.lengths(&value, axis..axis + 1);
            let side = network.graph.constant_i64("side", &[side]);
            network.graph.push("Div", &[&length, &side], [])
        };
        let (down, across) = (count(self, 1, rows), count(self, 2, columns));
        let rows_constant = self.graph.constant_i64("rows", &[rows]);
        let rest = self.graph.constant_i64("columns", &[columns, channels]);
        let shape = self.graph.concat(&[&batch, &down, &rows_constant, &across, &rest], 0);
        let value = self.graph.push("Reshape", &[&value, &shape], []);
        let value = self.transpose(&value, &[0, 1, 3, 2, 4, 5]);
        let value = self.reshape(&value, &[0, 0, 0, rows * columns, channels]);
        Features { value, ..*x }
    }

    /// The reverse of [`Self::windowed`], for an image with the rows and columns of `like`.
    pub(crate) fn unwindowed(
        &mut self,
        x: &Features,
        windows: Windows,
        like: &Features,
    ) -> Features {
        let [rows, columns] = windows.size.map(i64::from);
        let channels = x.channels.cast_signed();
        let mut size = self.lengths(&like.value, 1..3);
        if windows.is_shifted() {
            let before = windows.before();
            let after = windows.shift.map(i64::from);
            let [vertical, horizontal] = [0, 1].map(|axis: usize| {
                before.get(axis).copied().unwrap_or(0) + after.get(axis).copied().unwrap_or(0)
            });
            let padding = self.graph.constant_i64("padding", &[vertical, horizontal]);
            size = self.graph.add(&size, &padding);
        }
        let value = self.reshape(&x.value, &[0, 0, 0, rows, columns, channels]);
        let value = self.transpose(&value, &[0, 1, 3, 2, 4, 5]);
        let batch = self.lengths(&like.value, 0..1);
        let last = self.graph.constant_i64("channels", &[channels]);
        let shape = self.graph.concat(&[&batch, &size, &last], 0);
        let mut value = self.graph.push("Reshape", &[&value, &shape], []);
        if windows.is_shifted() {
            let [top, left] = windows.before();
            let end = |shift: u32| if shift == 0 { i64::MAX } else { -i64::from(shift) };
            let [bottom, right] = windows.shift.map(end);
            let starts = self.graph.constant_i64("start", &[top, left]);
            let ends = self.graph.constant_i64("end", &[bottom, right]);
            let axes = self.graph.constant_i64("axes", &[1, 2]);
            value = self.graph.push("Slice", &[&value, &starts, &ends, &axes], []);
        }
        Features { value, ..*x }
    }

    /// The mask of windows over the image of these tokens; `None` if they are not shifted.
    pub(crate) fn window_mask(&mut self, x: &Features, windows: Windows) -> Option<String> {
        if !windows.is_shifted() {
            return None;
        }
        let first = self.graph.slice(&x.value, 3, 0, 1);
        let value = self.graph.scale(&first, 0.0);
        let zeros = Features { value, channels: 1 };
        let mask = self.windows_padded_by(&zeros, windows, MASKED);
        let mask = self.transpose(&mask.value, &[0, 1, 2, 4, 3]);
        Some(self.reshape(&mask, &[0, 0, 0, 1, 1, windows.area().cast_signed()]))
    }

    /// Attention of several heads: N×R×K×P×C, P the positions of the queries.
    ///
    /// # Errors
    /// [`BuildError::Indivisible`] if the channels are not a multiple of the heads.
    pub(crate) fn attend(&mut self, with: &Operands<'_>) -> Result<Features, BuildError> {
        let heads = with.heads;
        let per_head = |x: &Features| {
            (heads > 0 && x.channels.is_multiple_of(heads))
                .then(|| (x.channels / heads.max(1)).cast_signed())
                .ok_or(BuildError::Indivisible { channels: x.channels, divisor: heads })
        };
        let [queries, keys] = with.positions.map(u64::cast_signed);
        let split = heads.cast_signed();
        let depth = per_head(with.query)?;
        let query = self.graph.scale(&with.query.value, with.scale);
        let query = self.reshape(&query, &[0, 0, 0, queries, split, depth]);
        let query = self.transpose(&query, &[0, 1, 2, 4, 3, 5]);
        let key = self.reshape(&with.key.value, &[0, 0, 0, keys, split, per_head(with.key)?]);
        let key = self.transpose(&key, &[0, 1, 2, 4, 5, 3]);
        let value_depth = per_head(with.value)?;
        let value = self.reshape(&with.value.value, &[0, 0, 0, keys, split, value_depth]);
        let value = self.transpose(&value, &[0, 1, 2, 4, 3, 5]);
        let mut weights = self.graph.push("MatMul", &[&query, &key], []);
        for offset in [with.bias, with.mask].into_iter().flatten() {
            weights = self.graph.add(&weights, offset);
        }
        let weights = self.softmax(&weights);
        let mixed = self.graph.push("MatMul", &[&weights, &value], []);
        let mixed = self.transpose(&mixed, &[0, 1, 2, 4, 3, 5]);
        let channels = with.value.channels;
        let value = self.reshape(&mixed, &[0, 0, 0, queries, channels.cast_signed()]);
        Ok(Features { value, channels })
    }

    /// Takes a position bias of this size, in positions of queries and of keys, from the budget.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`].
    pub(crate) fn spend_bias(
        &mut self,
        heads: u64,
        queries: [u32; 2],
        keys: [u32; 2],
    ) -> Result<(), BuildError> {
        let sides = queries.into_iter().chain(keys).map(u64::from);
        self.spend(sides.fold(heads, u64::saturating_mul))
    }

    /// The position bias of windows from a table of one row per difference of positions: heads ×
    /// P × P. Returns it and the number of heads.
    ///
    /// # Errors
    /// [`BuildError`] if the table does not have the rows that the windows need.
    pub(crate) fn position_bias(
        &mut self,
        table: &str,
        [rows, columns]: [u32; 2],
    ) -> Result<(String, u64), BuildError> {
        let (values, dims) = self.values(table)?;
        let &[count, heads] = dims.as_slice() else { return Err(wrong_shape(table, &dims)) };
        self.spend_bias(heads, [rows, columns], [rows, columns])?;
        let bias = expand_bias(&values, heads, [rows; 2], [columns; 2])
            .filter(|_| {
                let needed = (2 * u64::from(rows) - 1) * (2 * u64::from(columns) - 1);
                count == needed
            })
            .ok_or_else(|| wrong_shape(table, &dims))?;
        Ok((self.graph.constant(table, bias), heads))
    }
}

/// The position bias heads × (rows·columns of queries) × (rows·columns of keys), from a table of
/// (`rows` of queries + `rows` of keys − 1)·(the same of columns) rows and `heads` columns. The
/// row of a pair is its difference of positions, query minus key, counted from the smallest.
pub(super) fn expand_bias(
    table: &[f32],
    heads: u64,
    rows: [u32; 2],
    columns: [u32; 2],
) -> Option<Tensor> {
    let [query_rows, key_rows] = rows.map(u64::from);
    let [query_columns, key_columns] = columns.map(u64::from);
    let (queries, keys) = (query_rows * query_columns, key_rows * key_columns);
    let count = heads.checked_mul(queries.checked_mul(keys)?)?;
    let width = query_columns + key_columns - 1;
    let mut bias = Vec::with_capacity(count as usize);
    for head in 0..heads {
        for query in 0..queries {
            for key in 0..keys {
                let down = query / query_columns + key_rows - 1 - key / key_columns;
                let across = query % query_columns + key_columns - 1 - key % key_columns;
                let row = down * width + across;
                bias.push(*table.get((row * heads + head) as usize)?);
            }
        }
    }
    Some(Tensor::from_f32(&[heads, queries, keys], &bias))
}

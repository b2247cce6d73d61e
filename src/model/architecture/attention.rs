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
use crate::model::Attribute;

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

/// How attention compares a query with a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Similarity<'a> {
    /// Their inner product, times this.
    Product(f32),
    /// The cosine of their angle, times the value of this name: heads×1×1.
    Cosine(&'a str),
}

impl Similarity<'_> {
    /// The inner product, divided by the root of the channels per head.
    pub(crate) fn product(channels: u64, heads: u64) -> Self {
        Self::Product(((channels / heads.max(1)) as f32).powf(-0.5))
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
    pub similarity: Similarity<'a>,
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

    /// Tokens whose rows and columns begin `by` positions later; those before come last. Negative:
    /// the reverse.
    pub(crate) fn rolled(&mut self, x: &Features, by: i64) -> Features {
        if by == 0 {
            return x.clone();
        }
        let mut value = x.value.clone();
        for axis in 1..3 {
            let last = self.graph.slice(&value, axis, by, i64::MAX);
            let first = self.graph.slice(&value, axis, 0, by);
            value = self.graph.concat(&[&last, &first], axis);
        }
        Features { value, ..*x }
    }

    /// Query, key and value of the dense layer `layer`, each with the channels of the tokens `x`.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn query_key_value(
        &mut self,
        x: &Features,
        layer: &str,
    ) -> Result<[Features; 3], BuildError> {
        let all = self.linear(x, layer)?;
        let channels = x.channels;
        if all.channels != 3 * channels {
            let (outputs, expected) = (all.channels, 3 * channels);
            return Err(BuildError::Outputs { layer: layer.to_owned(), outputs, expected });
        }
        Ok(self.thirds(&all))
    }

    /// Three equal parts of the channels of tokens.
    pub(crate) fn thirds(&mut self, x: &Features) -> [Features; 3] {
        let mut parts = self.split(&x.value, -1, 3).into_iter();
        let channels = x.channels / 3;
        let mut next = || Features { value: parts.next().unwrap_or_default(), channels };
        [next(), next(), next()]
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
        let query = match with.similarity {
            Similarity::Product(scale) => self.graph.scale(&with.query.value, scale),
            Similarity::Cosine(_) => with.query.value.clone(),
        };
        let query = self.reshape(&query, &[0, 0, 0, queries, split, depth]);
        let mut query = self.transpose(&query, &[0, 1, 2, 4, 3, 5]);
        let key = self.reshape(&with.key.value, &[0, 0, 0, keys, split, per_head(with.key)?]);
        let key = match with.similarity {
            Similarity::Product(_) => self.transpose(&key, &[0, 1, 2, 4, 5, 3]),
            Similarity::Cosine(factor) => {
                query = self.normalize(&query);
                query = self.graph.mul(&query, factor);
                let key = self.transpose(&key, &[0, 1, 2, 4, 3, 5]);
                let key = self.normalize(&key);
                self.transpose(&key, &[0, 1, 2, 3, 5, 4])
            }
        };
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

    /// Attention between channels over the whole image, from query, key and value as tokens. Heads
    /// are those of the temperature, heads×1×1.
    ///
    /// # Errors
    /// [`BuildError`] if the temperature is missing or has a wrong shape.
    pub(crate) fn attend_between_channels(
        &mut self,
        parts: &[Features; 3],
        temperature: &str,
    ) -> Result<Features, BuildError> {
        let [x, ..] = parts;
        let heads = self.heads_of_temperature(temperature, x.channels)?;
        let depth = (x.channels / heads).cast_signed();
        // N×heads×depth×positions
        let parts = parts.each_ref().map(|part| {
            let flat = self.reshape(&part.value, &[0, -1, heads.cast_signed(), depth]);
            self.transpose(&flat, &[0, 2, 3, 1])
        });
        let mixed = self.mix_channels(&parts, temperature, &[0, 1, 3, 2])?;
        let mixed = self.transpose(&mixed, &[0, 3, 1, 2]);
        let shape = self.graph.push("Shape", &[&x.value], []);
        Ok(Features { value: self.graph.push("Reshape", &[&mixed, &shape], []), ..*x })
    }

    /// The number of heads of a temperature, heads×1×1.
    ///
    /// # Errors
    /// [`BuildError`] if it is missing or has a wrong shape, or if the channels are not a multiple
    /// of the heads.
    pub(crate) fn heads_of_temperature(
        &mut self,
        temperature: &str,
        channels: u64,
    ) -> Result<u64, BuildError> {
        let dims = &self.tensor(temperature, 3)?.dims;
        match *dims.as_slice() {
            [heads, 1, 1] if channels.is_multiple_of(heads) => Ok(heads),
            [heads, 1, 1] => Err(BuildError::Indivisible { channels, divisor: heads }),
            _ => Err(wrong_shape(temperature, dims)),
        }
    }

    /// The values, mixed by the similarity of the channels of queries and keys: query, key and
    /// value are …×depth×positions, and `turned` is the permutation of dimensions that swaps the
    /// last two.
    ///
    /// # Errors
    /// [`BuildError`] if the temperature is missing.
    pub(crate) fn mix_channels(
        &mut self,
        [query, key, value]: &[String; 3],
        temperature: &str,
        turned: &[i64],
    ) -> Result<String, BuildError> {
        let query = self.normalize(query);
        let key = self.normalize(key);
        let key = self.transpose(&key, turned);
        let products = self.graph.push("MatMul", &[&query, &key], []);
        let factor = self.tensor(temperature, 3)?.clone();
        let factor = self.graph.constant(temperature, factor);
        let products = self.graph.mul(&products, &factor);
        let shares = self.softmax(&products);
        Ok(self.graph.push("MatMul", &[&shares, value], []))
    }
}

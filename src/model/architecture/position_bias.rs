//! What attention adds for the difference of two positions: from a table, or computed from the
//! differences when the weights are read.

use super::{
    error::BuildError,
    network::{Network, wrong_shape},
};
use crate::model::Tensor;

impl Network<'_> {
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

    /// The dense layer `name` on each row of `width` values; returns the rows and their width.
    ///
    /// # Errors
    /// [`BuildError`] if weights are missing or have a wrong shape.
    pub(crate) fn dense_rows(
        &mut self,
        values: &[f32],
        width: u64,
        name: &str,
    ) -> Result<(Vec<f32>, u64), BuildError> {
        let key = format!("{name}.weight");
        let (weight, dims) = self.values(&key)?;
        let &[outputs, inputs] = dims.as_slice() else { return Err(wrong_shape(&key, &dims)) };
        if inputs != width {
            return Err(wrong_shape(&key, &dims));
        }
        self.spend((values.len() as u64).saturating_mul(outputs))?;
        let bias = self.bias(name, outputs)?.and_then(|bias| bias.to_f32());
        let bias = bias.unwrap_or_else(|| vec![0.0; outputs as usize]);
        let mut results = Vec::with_capacity(values.len());
        for row in values.chunks_exact((width as usize).max(1)) {
            for (weights, bias) in weight.chunks_exact((inputs as usize).max(1)).zip(&bias) {
                results.push(row.iter().zip(weights).map(|(a, b)| a * b).sum::<f32>() + bias);
            }
        }
        Ok((results, outputs))
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

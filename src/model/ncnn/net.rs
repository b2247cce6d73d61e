//! The network as it is being turned into a graph.

use std::collections::HashMap;

use super::{bin::Weights, extent::Extent, param::Layer};
use crate::model::{Graph, fault::Fault};

/// A value of the graph: N × `channels` × `height` × `width`. ncnn's vectors are 1 × 1 pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Blob {
    pub value: String,
    pub channels: u32,
    pub height: Extent,
    pub width: Extent,
}

impl Blob {
    /// The same shape under another name.
    pub fn with(&self, value: String) -> Self {
        Self { value, ..self.clone() }
    }

    /// Whether each channel holds one sample.
    pub fn is_vector(&self) -> bool {
        self.height.is_one() && self.width.is_one()
    }
}

/// What layers are added to.
pub struct Net {
    pub graph: Graph,
    pub weights: Weights,
    pub blobs: HashMap<String, Blob>,
}

impl Net {
    /// The one input of `layer`.
    pub fn input(&self, layer: &Layer) -> Result<Blob, Fault> {
        match self.inputs(layer)?.as_slice() {
            [blob] => Ok(blob.clone()),
            other => Err(layer.damaged(format_args!("has {} inputs, not one", other.len()))),
        }
    }

    /// All inputs of `layer`, at least one.
    pub fn inputs(&self, layer: &Layer) -> Result<Vec<Blob>, Fault> {
        let find = |name| self.blobs.get(name).cloned();
        let blobs: Option<Vec<_>> = layer.inputs.iter().map(find).collect();
        blobs.filter(|b| !b.is_empty()).ok_or_else(|| layer.damaged("lacks an input"))
    }

    /// Adds `op` between `x` and a number.
    pub fn with_scalar(&mut self, op: &str, x: &Blob, scalar: f32) -> Blob {
        self.with_numbers(op, x, &[], &[scalar])
    }

    /// Adds `op` between `x` and one number for each channel (or one for all).
    pub fn with_channels(&mut self, op: &str, x: &Blob, values: &[f32]) -> Blob {
        self.with_numbers(op, x, &[values.len() as u64, 1, 1], values)
    }

    fn with_numbers(&mut self, op: &str, x: &Blob, dims: &[u64], values: &[f32]) -> Blob {
        let values = self.graph.constant_f32("numbers", dims, values);
        x.with(self.graph.push(op, &[&x.value, &values], []))
    }

    /// Adds `op` between two blobs; sides or channels of one sample are stretched.
    pub fn pairwise(&mut self, layer: &Layer, op: &str, a: &Blob, b: &Blob) -> Result<Blob, Fault> {
        let side = |a: Extent, b: Extent| match (a.is_one(), b.is_one()) {
            _ if a == b => Ok(a),
            (true, _) => Ok(b),
            (_, true) => Ok(a),
            _ => Err(layer.unsuitable("joins pictures of different sizes")),
        };
        let channels = match (a.channels, b.channels) {
            (a, b) if a == b || b == 1 => a,
            (1, b) => b,
            (a, b) => {
                return Err(layer.damaged(format_args!("joins {a} channels with {b}")));
            }
        };
        let (height, width) = (side(a.height, b.height)?, side(a.width, b.width)?);
        let value = self.graph.push(op, &[&a.value, &b.value], []);
        Ok(Blob { value, channels, height, width })
    }
}

//! The graph of a network while its layers are added.

use std::collections::HashMap;

use super::{bin::Weights, extent::Extent, param::Layer};
use crate::model::{Graph, fault::Fault};

/// A value of the graph, of shape N × `channels` × `height` × `width`. Vectors are 1×1 images.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blob {
    /// The name of the value.
    pub value: String,
    pub channels: u32,
    pub height: Extent,
    pub width: Extent,
}

impl Blob {
    /// Another value of the same shape.
    pub(crate) fn with(&self, value: String) -> Self {
        Self { value, ..self.clone() }
    }

    /// Whether each channel has one sample.
    pub(crate) fn is_vector(&self) -> bool {
        self.height.is_one() && self.width.is_one()
    }
}

/// The graph, and what reading more layers needs.
pub(super) struct Net {
    pub graph: Graph,
    /// The weights that no layer has read yet.
    pub weights: Weights,
    /// The blobs by their names in the `.param` file.
    pub blobs: HashMap<String, Blob>,
}

impl Net {
    /// The one input of `layer`.
    pub(crate) fn input(&self, layer: &Layer) -> Result<Blob, Fault> {
        match self.inputs(layer)?.as_slice() {
            [blob] => Ok(blob.clone()),
            other => Err(layer.damaged(format_args!("has {} inputs; expected 1", other.len()))),
        }
    }

    /// The two inputs of `layer`.
    pub(crate) fn two_inputs(&self, layer: &Layer) -> Result<[Blob; 2], Fault> {
        self.inputs(layer)?.try_into().map_err(|inputs: Vec<Blob>| {
            layer.damaged(format_args!("has {} inputs; expected 2", inputs.len()))
        })
    }

    /// The inputs of `layer`, at least one.
    pub(crate) fn inputs(&self, layer: &Layer) -> Result<Vec<Blob>, Fault> {
        let find = |name| self.blobs.get(name).cloned();
        let blobs: Option<Vec<_>> = layer.inputs.iter().map(find).collect();
        blobs.filter(|b| !b.is_empty()).ok_or_else(|| layer.damaged("lacks an input"))
    }

    /// Adds `op`, which has neither attributes nor other inputs than that of `layer`.
    pub(crate) fn unary(&mut self, layer: &Layer, op: &str) -> Result<Blob, Fault> {
        let x = self.input(layer)?;
        Ok(x.with(self.graph.push(op, &[&x.value], [])))
    }

    /// Adds `op` on `x` and a scalar.
    pub(crate) fn with_scalar(&mut self, op: &str, x: &Blob, scalar: f32) -> Blob {
        self.with_constant(op, x, &[], &[scalar])
    }

    /// Adds `op` on `x` and one constant for each channel, or one for all channels.
    pub(crate) fn with_channels(&mut self, op: &str, x: &Blob, values: &[f32]) -> Blob {
        self.with_constant(op, x, &[values.len() as u64, 1, 1], values)
    }

    fn with_constant(&mut self, op: &str, x: &Blob, dims: &[u64], values: &[f32]) -> Blob {
        let values = self.graph.constant_f32("numbers", dims, values);
        x.with(self.graph.push(op, &[&x.value, &values], []))
    }

    /// Adds `op` on two blobs. Dimensions of 1 are broadcast.
    pub(crate) fn pairwise(
        &mut self,
        layer: &Layer,
        op: &str,
        a: &Blob,
        b: &Blob,
    ) -> Result<Blob, Fault> {
        let side = |a: Extent, b: Extent| match (a.is_one(), b.is_one()) {
            _ if a == b => Ok(a),
            (true, _) => Ok(b),
            (_, true) => Ok(a),
            _ => Err(layer.unsuitable("combines images of different sizes")),
        };
        let channels = match (a.channels, b.channels) {
            (a, b) if a == b || b == 1 => a,
            (1, b) => b,
            (a, b) => {
                return Err(layer.damaged(format_args!("combines {a} channels with {b}")));
            }
        };
        let (height, width) = (side(a.height, b.height)?, side(a.width, b.width)?);
        let value = self.graph.push(op, &[&a.value, &b.value], []);
        Ok(Blob { value, channels, height, width })
    }
}

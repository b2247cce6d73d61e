//! From a [`Graph`] to a [`Model`], and from a [`Model`] to ONNX in another layout.

use std::{path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    Error, Graph, Model,
    analysis::analyze,
    digest::sha256_hex,
    fault::Fault,
    join,
    onnx::{self, Layout},
    order,
};

impl Model {
    /// Makes a model of a graph that follows the contract of [`crate::model`], except that its
    /// output may lack a margin. `name` and `path` are for messages.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a graph that is not valid, [`Error::Unsuitable`] for one that is not
    /// an upscaler.
    pub fn from_graph(name: &str, path: &Path, graph: Graph) -> Result<Self, Error> {
        Self::try_from_graph(name, graph).map_err(|fault| fault.at(path))
    }

    /// [`Model::from_graph`], without a path.
    pub(super) fn try_from_graph(name: &str, mut graph: Graph) -> Result<Self, Fault> {
        order::sort(&mut graph)?;
        let mut found = analyze(&graph)?;
        if found.missing != [0, 0] {
            graph = join::complete(&graph, &found)?;
            found = analyze(&graph)?;
        }
        let onnx = onnx::write(&graph, Layout::default())?;
        Ok(Self {
            name: name.into(),
            info: found.info,
            digest: sha256_hex([&onnx]),
            onnx,
            external: None,
            description: Box::default(),
            note: None,
            graph: Some(Arc::new(graph)),
        })
    }

    /// The model in ONNX format, in another precision, batch size or image size.
    ///
    /// # Errors
    /// [`Error::Unsuitable`] if the model does not support the layout.
    pub fn onnx_at(&self, layout: Layout) -> Result<Bytes, Error> {
        let written = match &self.graph {
            _ if layout == Layout::default() => return Ok(self.onnx.clone()),
            Some(graph) => onnx::write(graph, layout).map_err(Fault::from),
            None => onnx::resized(&self.onnx, layout),
        };
        written.map_err(|fault| fault.at(Path::new(&self.name)))
    }

    /// [`Model::onnx_at`] as one file: including the weights that the model keeps in other files.
    ///
    /// # Errors
    /// [`Error::Unsuitable`] if the model does not support the layout, or has weights in other
    /// files and operators that cannot be written again.
    pub fn onnx_with_weights(&self, layout: Layout) -> Result<Bytes, Error> {
        let written = match (&self.graph, &self.external) {
            (_, None) => return self.onnx_at(layout),
            (Some(graph), Some(_)) => onnx::write(graph, layout).map_err(Fault::from),
            (None, Some(_)) => Err(Fault::unsuitable(
                "it has weights in other files, and operators that are not supported in a single file",
            )),
        };
        written.map_err(|fault| fault.at(Path::new(&self.name)))
    }
}

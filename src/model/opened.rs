//! What opening a model file finds out, before the model has run.

use std::path::PathBuf;

use super::{Error, Model, fault::Fault};

/// A model file that was opened.
#[derive(Debug)]
pub enum Opened {
    /// The network is known, or was made for this library.
    Known(Model),
    /// An `.onnx` file. All properties come from an analysis of its graph.
    Claimed {
        /// The model.
        model: Model,
        /// Whether the file or its settings say what the value of white is.
        states_range: bool,
    },
    /// An `.onnx` file whose graph cannot be analysed.
    Untried(Untried),
}

/// An `.onnx` model whose graph cannot be analysed: runs must find out its properties.
#[derive(Debug)]
pub struct Untried {
    /// The model with cautious properties.
    pub(crate) model: Model,
    /// Its factor, if the file or its settings state it.
    pub(crate) factor: Option<u32>,
    /// The number that its sides must be multiples of, if its settings state it.
    pub(crate) multiple: Option<u32>,
    pub(super) path: PathBuf,
    /// Why the graph cannot be analysed.
    pub(super) why: String,
}

impl Opened {
    /// The model, without a run. One that cannot be analysed has cautious properties.
    ///
    /// # Errors
    /// [`Error::Unsuitable`] if its factor is not known.
    pub fn into_model(self) -> Result<Model, Error> {
        match self {
            Self::Known(model) | Self::Claimed { model, .. } => Ok(model),
            Self::Untried(Untried { mut model, factor: Some(factor), multiple, .. }) => {
                model.info.factor = factor;
                model.info.align = multiple.unwrap_or(1);
                model.info.min_side = model.info.align;
                Ok(model)
            }
            Self::Untried(untried) => Err(untried.failed("its factor is not stated")),
        }
    }
}

impl Untried {
    /// The error of a model whose properties cannot be found out, for this reason.
    pub(crate) fn failed(self, reason: &str) -> Error {
        let why = format!(
            "{}, and {reason}; set `factor = N` and, if its sides must be multiples of a number, `multiple = M` in a .toml file next to it",
            self.why
        );
        Fault::unsuitable(why).at(&self.path)
    }
}

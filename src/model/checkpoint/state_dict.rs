//! The weights of a network by name.

use std::collections::BTreeMap;

use crate::model::Tensor;

/// The weights of a network, in float32, under their PyTorch names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
    /// What the file says about itself, such as its licence.
    metadata: BTreeMap<String, String>,
}

/// Prefixes that parallel training, PyTorch's compiler and training frameworks put before all
/// names.
const PREFIXES: [&str; 9] = [
    "module.",
    "_orig_mod.",
    "params_ema.",
    "params.",
    "generator_ema.",
    "generator.",
    "netG.",
    "net_g.",
    "model.",
];

/// The maximum number of prefixes of a name.
const MAX_PREFIXES: usize = 4;

/// Why two sets of weights cannot be interpolated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MixError {
    #[error("only one of them has the tensor {0:?}")]
    Missing(String),
    #[error("the tensor {0:?} has different shapes")]
    Shape(String),
}

impl StateDict {
    /// Removes the prefixes that all names share. If the tensors of a generator are next to those
    /// of other networks, keeps only the generator.
    pub(super) fn new(mut tensors: BTreeMap<String, Tensor>) -> Self {
        for _ in 0..MAX_PREFIXES {
            match PREFIXES.iter().find_map(|prefix| strip(&tensors, prefix)) {
                Some(inner) => tensors = inner,
                None => break,
            }
        }
        Self { tensors, metadata: BTreeMap::new() }
    }

    /// These weights with the metadata of their file.
    pub(super) fn with_metadata(self, metadata: BTreeMap<String, String>) -> Self {
        Self { metadata, ..self }
    }

    /// The metadata of the file: keys and values.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The tensor `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Linear interpolation: `share` (0..=1) of these weights, the rest of `other`. At 1 and 0 the
    /// result is bit-identical to one of the two.
    ///
    /// # Errors
    /// [`MixError`] if names or shapes differ.
    pub(crate) fn mix(&self, other: &Self, share: f32) -> Result<Self, MixError> {
        let missing =
            |a: &Self, b: &Self| a.names().find(|name| b.get(name).is_none()).map(str::to_owned);
        if let Some(name) = missing(self, other).or_else(|| missing(other, self)) {
            return Err(MixError::Missing(name));
        }
        let mut tensors = BTreeMap::new();
        for (name, first) in &self.tensors {
            let second = other.get(name).unwrap_or(first);
            let (Some(a), Some(b), true) =
                (first.to_f32(), second.to_f32(), first.dims == second.dims)
            else {
                return Err(MixError::Shape(name.clone()));
            };
            let tensor = match share {
                1.0.. => first.clone(),
                ..=0.0 => second.clone(),
                _ => {
                    let mixed = a.iter().zip(&b).map(|(a, b)| share * a + (1.0 - share) * b);
                    Tensor::from_f32(&first.dims, &mixed.collect::<Vec<_>>())
                }
            };
            tensors.insert(name.clone(), tensor);
        }
        Ok(Self { tensors, metadata: self.metadata.clone() })
    }
}

/// The beginnings of names next to which `generator.` is a part of the same network.
const PARTS_WITH_GENERATOR: [&str; 2] = ["quantize.", "encoder."];

/// The tensors whose names start with `prefix`, without it; `None` if there are none, or if the
/// others belong to the same network.
fn strip(tensors: &BTreeMap<String, Tensor>, prefix: &str) -> Option<BTreeMap<String, Tensor>> {
    let stripped = |name: &str| {
        let inner = name.strip_prefix(prefix)?;
        // `model.0` is the name of a layer.
        (!inner.starts_with(|first: char| first.is_ascii_digit())).then(|| inner.to_owned())
    };
    let inner: BTreeMap<String, Tensor> = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((stripped(name)?, tensor.clone())))
        .collect();
    let has = |start: &str| tensors.keys().any(|name| name.starts_with(start));
    let is_part = prefix == "generator." && PARTS_WITH_GENERATOR.into_iter().all(has);
    let is_generator = prefix.starts_with("generator") || prefix.starts_with("params");
    let whole = inner.len() == tensors.len() || is_generator && !is_part;
    (whole && !inner.is_empty()).then_some(inner)
}

//! A network's weights by name.

use std::collections::BTreeMap;

use crate::model::{Tensor, fault::Fault};

/// A network's trained numbers, in float32, under the names that PyTorch gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateDict {
    tensors: BTreeMap<String, Tensor>,
}

/// What wraps the names of networks: parallel training, PyTorch's compiler, and the frameworks'
/// names for the part that makes pictures.
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

/// Wrappers in each other.
const DEEPEST: usize = 4;

impl StateDict {
    /// Takes off what wraps all names; where a generator is wrapped beside other networks, only
    /// the generator is kept.
    pub fn new(mut tensors: BTreeMap<String, Tensor>) -> Self {
        for _ in 0..DEEPEST {
            match PREFIXES.iter().find_map(|prefix| unwrap(&tensors, prefix)) {
                Some(inner) => tensors = inner,
                None => break,
            }
        }
        Self { tensors }
    }

    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// In alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// `share` (0..1) of these weights and the rest of `other`'s: between two trainings from
    /// one start lies what is between them. 1 and 0 are the two themselves, to the bit.
    ///
    /// # Errors
    /// [`Fault::Unsuitable`] where they are not of one shape.
    pub fn mix(&self, other: &Self, share: f32) -> Result<Self, Fault> {
        let missing =
            |a: &Self, b: &Self| a.names().find(|name| b.get(name).is_none()).map(str::to_owned);
        if let Some(name) = missing(self, other).or_else(|| missing(other, self)) {
            return Err(Fault::unsuitable(format!("only one of the two has {name:?}")));
        }
        let mut tensors = BTreeMap::new();
        for (name, first) in &self.tensors {
            let second = other.get(name).unwrap_or(first);
            let (Some(a), Some(b), true) =
                (first.to_f32(), second.to_f32(), first.dims == second.dims)
            else {
                return Err(Fault::unsuitable(format!("{name:?} has another shape in the other")));
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
        Ok(Self { tensors })
    }
}

/// What lies under `prefix`, less it; `None` where nothing does, or other networks' weights lie
/// beside it.
fn unwrap(tensors: &BTreeMap<String, Tensor>, prefix: &str) -> Option<BTreeMap<String, Tensor>> {
    let under = |name: &str| {
        let inner = name.strip_prefix(prefix)?;
        // `model.0` is a layer of its own right.
        (!inner.starts_with(|first: char| first.is_ascii_digit())).then(|| inner.to_owned())
    };
    let inner: BTreeMap<String, Tensor> =
        tensors.iter().filter_map(|(name, tensor)| Some((under(name)?, tensor.clone()))).collect();
    let chosen = prefix.starts_with("generator") || prefix.starts_with("params");
    let whole = inner.len() == tensors.len() || chosen;
    (whole && !inner.is_empty()).then_some(inner)
}

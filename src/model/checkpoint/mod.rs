//! PyTorch's weights: `.pth` and `.pt`, as a zip archive or in the older stream format, and
//! `.safetensors`.

mod archive;
mod budget;
mod name;
mod pickle;
mod safetensors;
mod state_dict;
mod stream;
mod torch;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    path::Path,
};

use bytes::Bytes;

pub use self::state_dict::StateDict;
use self::{
    archive::Archive,
    budget::Budget,
    name::{MAX_NAME, check_name},
    pickle::Id,
    stream::Stream,
    torch::{Object, Pickle, Storage, TorchObject},
};
use super::{
    Error, Tensor, bounded_file,
    fault::{Fault, Reason},
};

/// The largest file in bytes, which is also the largest ONNX model.
const MAX_SIZE: u64 = 2 << 30;

/// The keys under which checkpoints hold the weights of the network, in order of preference:
/// averaged weights (`ema`) give better results.
const WRAPPERS: [&str; 13] = [
    "params_ema",
    "params-ema",
    "params",
    "state_dict",
    "model_state_dict",
    "generator_ema",
    "generator",
    "netG",
    "net_g",
    "model",
    "net",
    "network",
    "weights",
];

/// The deepest nesting of dicts.
const MAX_DEPTH: usize = 8;

/// The maximum number of keys that messages quote.
const MAX_QUOTED: usize = 8;

const BIG_ENDIAN: &str =
    "it was saved on a big-endian machine; save it again on a little-endian one";

/// Why an object that is not a dict of tensors is not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum ContentError {
    #[error(
        "it holds a Python object of the class {0:?}, which is not executed; save only the network's state_dict()"
    )]
    Foreign(String),
    #[error(
        "its weights, under {key:?}, are a Python object of the class {class:?}, which is not executed; save only the network's state_dict()"
    )]
    ForeignWeights { key: String, class: String },
    #[error(
        "the weight {name:?} is stored with {class}, which is not supported; save it as a plain tensor"
    )]
    ForeignTensor { name: String, class: String },
    #[error("it contains no dict of weights; save the network's state_dict()")]
    NoDict,
    #[error("it contains no weights under a known key; its keys are {0:?}")]
    UnknownKeys(Vec<String>),
}

impl Reason for ContentError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// Whether a file that starts with `head` has one of these formats.
pub(crate) fn matches(head: &[u8]) -> bool {
    is_archive(head) || stream::matches(head) || safetensors::matches(head)
}

fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Reads the weights in the file at `path`.
///
/// # Errors
/// [`Error::Unsuitable`] for a file that would execute code or holds no weights;
/// [`Error::Damaged`]; [`Error::Io`].
pub fn read(path: &Path) -> Result<StateDict, Error> {
    parse(&bounded_file::read(path, MAX_SIZE)?).map_err(|fault| fault.at(path))
}

/// Reads the weights in the content of a file. Contiguous float32 weights share its memory.
///
/// # Errors
/// See [`read`].
pub fn parse(bytes: &Bytes) -> Result<StateDict, Fault> {
    let mut budget = Budget::for_file(bytes.len());
    let mut metadata = BTreeMap::new();
    let tensors = if is_archive(bytes) {
        let mut archive = Archive::open(bytes)?;
        let pickle = archive.pickle(&mut budget)?;
        tensors(&pickle, &mut budget, |storage, budget| archive.storage(storage, budget))?
    } else if stream::matches(bytes) {
        let stream = Stream::open(bytes)?;
        tensors(&stream.pickle, &mut budget, |storage, _| stream.storage(storage))?
    } else if safetensors::matches(bytes) {
        metadata = safetensors::metadata(bytes);
        safetensors::read(bytes, &mut budget)?
    } else {
        return Err(Fault::unsuitable(
            "expected PyTorch's zip archive or stream format, or safetensors",
        ));
    };
    if tensors.is_empty() {
        return Err(Fault::unsuitable("it contains no weights"));
    }
    Ok(StateDict::new(tensors).with_metadata(metadata))
}

/// The float tensors of the network, whose storages `load` reads.
fn tensors<E: Display>(
    pickle: &Pickle,
    budget: &mut Budget,
    mut load: impl FnMut(&Storage, &mut Budget) -> Result<Bytes, E>,
) -> Result<BTreeMap<String, Tensor>, Fault> {
    let mut loaded: HashMap<Bytes, Bytes> = HashMap::new();
    let mut tensors = BTreeMap::new();
    let dict = network(pickle)?;
    for (name, id) in pickle.dict(dict).into_iter().flatten() {
        let view = match pickle.get(id) {
            Object::Extension(TorchObject::Tensor(view)) => view,
            // Of PyTorch's own functions, those that are not known rebuild other kinds of tensors.
            Object::Extension(TorchObject::Foreign(class)) if class.starts_with("torch.") => {
                check_name(name)?;
                let (name, class) = (name.to_owned(), class.to_string());
                return Err(ContentError::ForeignTensor { name, class }.into());
            }
            _ => continue,
        };
        check_name(name)?;
        let damaged = |error: &dyn Display| Fault::damaged(format!("the tensor {name:?}: {error}"));
        let storage = match loaded.get(&view.storage.key) {
            Some(storage) => storage.clone(),
            None => load(&view.storage, budget).map_err(|error| damaged(&error))?,
        };
        loaded.insert(view.storage.key.clone(), storage.clone());
        if let Some(tensor) = view.tensor(&storage, budget).map_err(|error| damaged(&error))? {
            tensors.insert(name.to_owned(), tensor);
        }
    }
    Ok(tensors)
}

/// The dict that holds the weights of the network.
fn network(pickle: &Pickle) -> Result<Id, Fault> {
    let foreign = |id: Id| match pickle.get(id) {
        Object::Extension(TorchObject::Foreign(class)) => Some(class.to_string()),
        _ => None,
    };
    let mut dict = pickle.root;
    for _ in 0..MAX_DEPTH {
        if let Some(class) = foreign(dict) {
            return Err(ContentError::Foreign(class).into());
        }
        let Some(pairs) = pickle.dict(dict) else { return Err(ContentError::NoDict.into()) };
        // As in Python, the last of several equal keys counts.
        let values: BTreeMap<&str, Id> = pairs.collect();
        let is_dict = |id: &Id| matches!(pickle.get(*id), Object::Dict(pairs) if !pairs.is_empty());
        let is_tensor =
            |id: &Id| matches!(pickle.get(*id), Object::Extension(TorchObject::Tensor(_)));
        let wrapped = WRAPPERS.iter().filter_map(|name| values.get(name)).find(|id| is_dict(id));
        if let Some(&wrapped) = wrapped {
            dict = wrapped;
        } else if values.values().any(is_tensor) {
            return Ok(dict);
        } else if let (Some(&only), 1) = (values.values().next(), values.len())
            && is_dict(&only)
        {
            dict = only;
        } else {
            let network = WRAPPERS.iter().find_map(|&key| Some((key, foreign(*values.get(key)?)?)));
            if let Some((key, class)) = network {
                return Err(ContentError::ForeignWeights { key: key.to_owned(), class }.into());
            }
            let short = values.keys().filter(|key| key.len() <= MAX_NAME).take(MAX_QUOTED);
            let keys = short.map(|&key| key.to_owned()).collect();
            return Err(ContentError::UnknownKeys(keys).into());
        }
    }
    Err(Fault::damaged("its dicts are nested too deeply"))
}

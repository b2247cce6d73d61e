//! PyTorch's weights: `.pth` and `.pt`, as a zip or as the older stream, and `.safetensors`.

mod archive;
mod budget;
mod pickle;
mod safetensors;
mod state_dict;
mod stream;
mod torch;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use bytes::Bytes;

pub use self::state_dict::StateDict;
use self::{
    archive::Archive,
    budget::Budget,
    pickle::{Id, Object, Pickle},
    stream::Stream,
    torch::Storage,
};
use super::{Error, Tensor, fault::Fault};

/// The largest file that is read: what ONNX's format can hold.
const MOST: u64 = 2 << 30;

/// Under which keys checkpoints hold the network's weights, the better one first: averaged ones
/// (`ema`) make better pictures.
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

/// Names are told in messages.
const LONGEST_NAME: usize = 256;

/// Dicts inside each other.
const DEEPEST: usize = 8;

/// Whether a file that begins so is one of these.
pub(crate) fn matches(head: &[u8]) -> bool {
    is_archive(head) || stream::matches(head) || safetensors::matches(head)
}

fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// The weights in the file at `path`.
///
/// # Errors
/// [`Error::Unsuitable`] where more than data is wanted from it, or it holds no weights;
/// [`Error::Damaged`].
pub fn read(path: &Path) -> Result<StateDict, Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > MOST {
        return Err(Fault::damaged(format!("{size} bytes: {MOST} is the most")).at(path));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    parse(&bytes.into()).map_err(|fault| fault.at(path))
}

/// The weights in a file's content. Float32 weights share its memory.
///
/// # Errors
/// See [`read`].
pub fn parse(bytes: &Bytes) -> Result<StateDict, Fault> {
    let mut budget = Budget::for_file(bytes.len());
    let tensors = if is_archive(bytes) {
        let mut archive = Archive::open(bytes)?;
        let pickle = archive.pickle(&mut budget)?;
        tensors(&pickle, &mut budget, |storage, budget| archive.storage(storage, budget))?
    } else if stream::matches(bytes) {
        let stream = Stream::open(bytes)?;
        tensors(&stream.pickle, &mut budget, |storage, _| stream.storage(storage))?
    } else if safetensors::matches(bytes) {
        safetensors::read(bytes, &mut budget)?
    } else {
        return Err(Fault::unsuitable("it is neither PyTorch's zip or stream nor safetensors"));
    };
    if tensors.is_empty() {
        return Err(Fault::unsuitable("it holds no weights"));
    }
    Ok(StateDict::new(tensors))
}

/// # Errors
/// Where a tensor's name is too long to be told.
fn check_name(name: &str) -> Result<(), Fault> {
    match name.len() <= LONGEST_NAME {
        true => Ok(()),
        false => Err(Fault::damaged("a tensor's name in it is far too long")),
    }
}

/// The tensors of floats in the dict that is the network's.
fn tensors(
    pickle: &Pickle,
    budget: &mut Budget,
    mut load: impl FnMut(&Storage, &mut Budget) -> Result<Bytes, String>,
) -> Result<BTreeMap<String, Tensor>, Fault> {
    let mut loaded: HashMap<Bytes, Bytes> = HashMap::new();
    let mut tensors = BTreeMap::new();
    let dict = network(pickle)?;
    for (name, id) in pickle.dict(dict).into_iter().flatten() {
        let Object::Tensor(view) = pickle.get(id) else { continue };
        check_name(name)?;
        let damaged = |why: String| Fault::damaged(format!("{name:?}: {why}"));
        let storage = match loaded.get(&view.storage.key) {
            Some(storage) => storage.clone(),
            None => load(&view.storage, budget).map_err(damaged)?,
        };
        loaded.insert(view.storage.key.clone(), storage.clone());
        if let Some(tensor) = view.tensor(&storage, budget).map_err(damaged)? {
            tensors.insert(name.to_owned(), tensor);
        }
    }
    Ok(tensors)
}

/// The dict that holds the network's weights.
fn network(pickle: &Pickle) -> Result<Id, Fault> {
    let mut dict = pickle.root;
    for _ in 0..DEEPEST {
        let Some(pairs) = pickle.dict(dict) else {
            return Err(Fault::unsuitable("it holds no dict of weights: save a state_dict()"));
        };
        // As in Python, the last of equal keys counts.
        let values: BTreeMap<&str, Id> = pairs.collect();
        let inner = |id: &Id| matches!(pickle.get(*id), Object::Dict(pairs) if !pairs.is_empty());
        let wrapped = WRAPPERS.iter().filter_map(|name| values.get(name)).find(|id| inner(id));
        let is_tensor = |id: &Id| matches!(pickle.get(*id), Object::Tensor(_));
        if let Some(&wrapped) = wrapped {
            dict = wrapped;
        } else if values.values().any(is_tensor) {
            return Ok(dict);
        } else if let (Some(&only), 1) = (values.values().next(), values.len())
            && inner(&only)
        {
            dict = only;
        } else {
            let short = |key: &&str| key.len() <= LONGEST_NAME;
            let keys: Vec<&str> = values.keys().copied().filter(short).take(8).collect();
            return Err(Fault::unsuitable(format!(
                "it holds no weights under any name that is known; it has {keys:?}"
            )));
        }
    }
    Err(Fault::damaged("its dicts lie too deep in each other"))
}

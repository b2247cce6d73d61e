//! The format of `torch.save` before PyTorch 1.6: five pickles, then the storages one after another
//! (`_legacy_save` in `torch/serialization.py`).

use std::collections::HashMap;

use bytes::Bytes;

use super::torch::{Kind, Object, Pickle, Storage, TorchObject};
use crate::model::fault::Fault;

/// The pickle of the integer `0x1950a86a20f9469cfc6c`, after its protocol.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Whether a file that starts with `head` has this format.
pub(super) fn matches(head: &[u8]) -> bool {
    matches!(head, [0x80, _, rest @ ..] if rest.starts_with(MAGIC))
}

/// The storage of a tensor is not in the file.
#[derive(Debug, thiserror::Error)]
#[error("the storage {0:?} is missing")]
pub(super) struct MissingStorage(String);

/// The content of a file.
pub(super) struct Stream {
    pub pickle: Pickle,
    storages: HashMap<Bytes, Bytes>,
}

impl Stream {
    /// Reads a file for which [`matches()`] holds.
    ///
    /// # Errors
    /// See [`Pickle::read`]; [`Fault::Damaged`] for invalid storages.
    pub(crate) fn open(bytes: &Bytes) -> Result<Self, Fault> {
        let mut rest = bytes.slice((2 + MAGIC.len()).min(bytes.len())..);
        let mut next = || {
            let (pickle, length) = Pickle::read(&rest)?;
            rest = rest.slice(length..);
            Ok::<_, Fault>(pickle)
        };
        let (_protocol, system, pickle, keys) = (next()?, next()?, next()?, next()?);
        let mut properties = system.dict(system.root).into_iter().flatten();
        if properties
            .any(|(name, id)| name == "little_endian" && matches!(system.get(id), Object::Int(0)))
        {
            return Err(Fault::unsuitable(super::BIG_ENDIAN));
        }
        let kinds: HashMap<&Bytes, Kind> = pickle
            .objects()
            .iter()
            .filter_map(|object| match object {
                Object::Extension(TorchObject::Storage(storage)) => {
                    Some((&storage.key, storage.kind))
                }
                _ => None,
            })
            .collect();
        let Object::Sequence(ids) = keys.get(keys.root) else {
            return Err(Fault::damaged("the list of storages is missing"));
        };
        let mut storages = HashMap::new();
        for &id in ids {
            let (Object::Text(key), Some(name)) = (keys.get(id), keys.get(id).text()) else {
                return Err(Fault::damaged("a storage has no name"));
            };
            let truncated = || Fault::damaged(format!("the storage {name:?} is truncated"));
            let kind = kinds.get(key).ok_or_else(|| {
                Fault::damaged(format!("no tensor refers to the storage {name:?}"))
            })?;
            let (count, data) = rest.split_first_chunk().ok_or_else(truncated)?;
            let size = u64::from_le_bytes(*count).checked_mul(kind.bytes());
            let size = size.filter(|&size| size <= data.len() as u64).ok_or_else(truncated)?;
            let end = count.len() + size as usize;
            storages.insert(key.clone(), rest.slice(count.len()..end));
            rest = rest.slice(end..);
        }
        Ok(Self { pickle, storages })
    }

    /// The bytes of `storage`.
    pub(crate) fn storage(&self, storage: &Storage) -> Result<Bytes, MissingStorage> {
        let bytes = self.storages.get(&storage.key).cloned();
        bytes.ok_or_else(|| MissingStorage(storage.name().to_owned()))
    }
}

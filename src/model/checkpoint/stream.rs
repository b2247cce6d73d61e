//! What `torch.save` wrote before PyTorch 1.6: five pickles, then the storages one after the
//! other (`_legacy_save` in `torch/serialization.py`).

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    pickle::{Object, Pickle, text},
    torch::{Kind, Storage},
};
use crate::model::fault::Fault;

/// The pickle of `0x1950a86a20f9469cfc6c`, after its protocol.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Whether a file that begins so is one.
pub(super) fn matches(head: &[u8]) -> bool {
    matches!(head, [0x80, _, rest @ ..] if rest.starts_with(MAGIC))
}

/// A read stream.
pub(super) struct Stream {
    pub pickle: Pickle,
    storages: HashMap<Bytes, Bytes>,
}

impl Stream {
    /// # Errors
    /// See [`Pickle::read`]; where storages are missing or lie about their size.
    pub fn open(bytes: &Bytes) -> Result<Self, Fault> {
        let mut rest = bytes.slice(2 + MAGIC.len()..);
        let mut next = || {
            let (pickle, length) = Pickle::read(&rest)?;
            rest = rest.slice(length..);
            Ok::<_, Fault>(pickle)
        };
        let (_protocol, system, pickle, keys) = (next()?, next()?, next()?, next()?);
        let mut told = system.dict(system.root).into_iter().flatten();
        if told
            .any(|(name, id)| name == "little_endian" && matches!(system.get(id), Object::Int(0)))
        {
            return Err(Fault::unsuitable("it was saved on a big-endian machine: save it anew"));
        }
        let kinds: HashMap<&Bytes, Kind> = pickle
            .objects()
            .iter()
            .filter_map(|object| match object {
                Object::Storage(storage) => Some((&storage.key, storage.kind)),
                _ => None,
            })
            .collect();
        let Object::Sequence(ids) = keys.get(keys.root) else {
            return Err(Fault::damaged("it has no list of storages"));
        };
        let mut storages = HashMap::new();
        for &id in ids {
            let (Object::Text(key), Some(name)) = (keys.get(id), text(keys.get(id))) else {
                return Err(Fault::damaged("it has a storage without a name"));
            };
            let damaged = || Fault::damaged(format!("its storage {name:?} is cut short"));
            let kind = kinds.get(key).ok_or_else(|| {
                Fault::damaged(format!("its storage {name:?} belongs to no tensor"))
            })?;
            let (count, data) = rest.split_first_chunk().ok_or_else(damaged)?;
            let size = u64::from_le_bytes(*count).checked_mul(kind.bytes());
            let size = size.filter(|&size| size <= data.len() as u64).ok_or_else(damaged)? as usize;
            storages.insert(key.clone(), rest.slice(8..8 + size));
            rest = rest.slice(8 + size..);
        }
        Ok(Self { pickle, storages })
    }

    /// # Errors
    /// Where it is missing.
    pub fn storage(&self, storage: &Storage) -> Result<Bytes, String> {
        let bytes = self.storages.get(&storage.key).cloned();
        bytes.ok_or_else(|| format!("its storage {:?} is missing", storage.name()))
    }
}

//! The zip that `torch.save` writes since PyTorch 1.6: a folder with `data.pkl` and `data/KEY`.

use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{budget::Budget, pickle::Pickle, torch::Storage};
use crate::model::fault::Fault;

/// An opened zip.
pub(super) struct Archive {
    bytes: Bytes,
    zip: ZipArchive<Cursor<Bytes>>,
    /// What the names begin with, up to and with the slash.
    folder: String,
}

impl Archive {
    /// # Errors
    /// Where it is no zip, or no PyTorch archive.
    pub fn open(bytes: &Bytes) -> Result<Self, Fault> {
        let zip = ZipArchive::new(Cursor::new(bytes.clone()))
            .map_err(|error| Fault::damaged(format!("its zip is broken: {error}")))?;
        let names = || (0..zip.len()).filter_map(|place| zip.name_for_index(place)?.ok());
        if names().any(|name| name.ends_with("/constants.pkl")) {
            return Err(Fault::unsuitable(
                "it is a TorchScript program: save the network's state_dict() instead",
            ));
        }
        let folder = names().find_map(|name| {
            let folder = name.strip_suffix("data.pkl")?;
            (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_owned())
        });
        let folder = folder.ok_or_else(|| {
            Fault::unsuitable("it is a zip without data.pkl, so none of PyTorch's")
        })?;
        Ok(Self { bytes: bytes.clone(), zip, folder })
    }

    /// # Errors
    /// See [`Pickle::read`].
    pub fn pickle(&mut self, budget: &mut Budget) -> Result<Pickle, Fault> {
        if let Ok(order) = self.entry("byteorder", budget)
            && order.trim_ascii() == b"big"
        {
            return Err(Fault::unsuitable("it was saved on a big-endian machine: save it anew"));
        }
        let pickle = self.entry("data.pkl", budget).map_err(Fault::Damaged)?;
        Ok(Pickle::read(&pickle)?.0)
    }

    /// # Errors
    /// Where it is missing or broken.
    pub fn storage(&mut self, storage: &Storage, budget: &mut Budget) -> Result<Bytes, String> {
        self.entry(&format!("data/{}", storage.name()), budget)
    }

    /// An entry's content, shared with the file where it is stored as it is.
    fn entry(&mut self, name: &str, budget: &mut Budget) -> Result<Bytes, String> {
        let name = format!("{}{name}", self.folder);
        let say = |why: &str| format!("{name:?} in its zip {why}");
        let mut entry = self.zip.by_name(&name).map_err(|error| match error {
            ZipError::FileNotFound => say("is missing"),
            error => say(&format!("is broken: {error}")),
        })?;
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored {
            budget.spend(size)?;
            let mut content = Vec::new();
            let read = (&mut entry).take(size + 1).read_to_end(&mut content);
            read.map_err(|error| say(&format!("is broken: {error}")))?;
            return match content.len() as u64 == size {
                true => Ok(content.into()),
                false => Err(say("has not the size that it tells")),
            };
        }
        let range = entry.data_start().and_then(|start| {
            let end = usize::try_from(start.checked_add(size)?).ok()?;
            (end <= self.bytes.len()).then_some(start as usize..end)
        });
        let content = self.bytes.slice(range.ok_or_else(|| say("reaches out of the file"))?);
        // PyTorch can be told not to work checksums out, and then writes 0.
        if ![0, crc32fast::hash(&content)].contains(&entry.crc32()) {
            return Err(say("has a wrong checksum: fetch or copy the file again"));
        }
        Ok(content)
    }
}

//! The zip archive that `torch.save` has written since PyTorch 1.6: a folder with `data.pkl` and
//! `data/KEY`.

use std::io::{self, Cursor, Read};

use bytes::Bytes;
use zip::{
    CompressionMethod, ZipArchive,
    read::{ArchiveOffset, Config},
    result::ZipError,
};

use super::{
    budget::{Budget, OverBudget},
    torch::{Pickle, Storage},
};
use crate::model::fault::{Fault, Reason};

/// Why an entry of the archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntryError {
    #[error("the zip entry {0:?} is missing")]
    Missing(String),
    #[error("the zip entry {0:?} is invalid: {1}")]
    Zip(String, ZipError),
    #[error("the zip entry {0:?} cannot be decompressed: {1}")]
    Decompress(String, io::Error),
    #[error("the zip entry {0:?} does not have its stated size")]
    Size(String),
    #[error("the zip entry {0:?} extends past the end of the file")]
    PastEnd(String),
    #[error("the zip entry {0:?} has a wrong checksum; download or copy the file again")]
    Checksum(String),
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

impl Reason for EntryError {
    fn is_damage(&self) -> bool {
        true
    }
}

/// An open archive.
pub(super) struct Archive {
    bytes: Bytes,
    zip: ZipArchive<Cursor<Bytes>>,
    /// The prefix of all names, including the slash.
    folder: String,
}

impl Archive {
    /// # Errors
    /// [`Fault`] if it is not a zip archive, or not one of PyTorch's.
    pub(crate) fn open(bytes: &Bytes) -> Result<Self, Fault> {
        // The archive is the whole file. Detection of its start goes wrong where PyTorch writes a
        // zip64 end record and the first directory entry has the same size as that record.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let zip = ZipArchive::with_config(config, Cursor::new(bytes.clone())).map_err(|error| {
            Fault::damaged(format!(
                "its zip directory cannot be read ({error}); download or copy the file again"
            ))
        })?;
        let names = || (0..zip.len()).filter_map(|index| zip.name_for_index(index)?.ok());
        if names().any(|name| name.ends_with("/constants.pkl")) {
            return Err(Fault::unsuitable(
                "it is a TorchScript program; save the network's state_dict() instead",
            ));
        }
        let folder = names().find_map(|name| {
            let folder = name.strip_suffix("data.pkl")?;
            (folder.is_empty() || folder.ends_with('/')).then(|| folder.to_owned())
        });
        let folder = folder.ok_or_else(|| {
            Fault::unsuitable("it is a zip archive without data.pkl, not one of PyTorch's")
        })?;
        Ok(Self { bytes: bytes.clone(), zip, folder })
    }

    /// The pickle that refers to the storages.
    ///
    /// # Errors
    /// See [`Pickle::read`].
    pub(crate) fn pickle(&mut self, budget: &mut Budget) -> Result<Pickle, Fault> {
        if let Ok(order) = self.entry("byteorder", budget)
            && order.trim_ascii() == b"big"
        {
            return Err(Fault::unsuitable(super::BIG_ENDIAN));
        }
        let pickle = self.entry("data.pkl", budget)?;
        Ok(Pickle::read(&pickle)?.0)
    }

    /// The bytes of `storage`.
    pub(crate) fn storage(
        &mut self,
        storage: &Storage,
        budget: &mut Budget,
    ) -> Result<Bytes, EntryError> {
        self.entry(&format!("data/{}", storage.name()), budget)
    }

    /// The content of an entry. Shares the memory of the file if the entry is not compressed.
    fn entry(&mut self, name: &str, budget: &mut Budget) -> Result<Bytes, EntryError> {
        let name = format!("{}{name}", self.folder);
        let mut entry = match self.zip.by_name(&name) {
            Err(ZipError::FileNotFound) => return Err(EntryError::Missing(name)),
            Err(error) => return Err(EntryError::Zip(name, error)),
            Ok(entry) => entry,
        };
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored {
            budget.spend(size)?;
            let mut content = Vec::new();
            return match (&mut entry).take(size + 1).read_to_end(&mut content) {
                Err(error) => Err(EntryError::Decompress(name.clone(), error)),
                Ok(read) if read as u64 != size => Err(EntryError::Size(name.clone())),
                Ok(_) => Ok(content.into()),
            };
        }
        let range = entry.data_start().and_then(|start| {
            let end = usize::try_from(start.checked_add(size)?).ok()?;
            (end <= self.bytes.len()).then_some(start as usize..end)
        });
        let Some(range) = range else { return Err(EntryError::PastEnd(name.clone())) };
        let content = self.bytes.slice(range);
        // PyTorch has an option not to compute checksums, and then writes 0.
        if ![0, crc32fast::hash(&content)].contains(&entry.crc32()) {
            return Err(EntryError::Checksum(name.clone()));
        }
        Ok(content)
    }
}

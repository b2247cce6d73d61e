//! Weights that an `.onnx` file keeps in other files.

use std::{
    collections::HashMap,
    fs, io,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;

use super::proto::StringStringEntryProto;
use crate::model::fault::Reason;

/// Why an external weight cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExternalError {
    #[error("the {key} of an external weight is {value:?}, not a number")]
    Number { key: &'static str, value: String },
    #[error("an external weight has no file name")]
    NoLocation,
    #[error("an external weight extends past the {size} bytes of {location}")]
    PastEnd { location: String, size: usize },
    #[error("the weight file {0:?} is not in the model's own directory")]
    OutsideFolder(String),
    #[error("cannot read the weight file {0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("the weight file {0:?} is not a regular file")]
    NotAFile(String),
    #[error("the weight files are larger than {MAX_SIZE} bytes in total")]
    TooLarge,
}

impl Reason for ExternalError {
    fn is_damage(&self) -> bool {
        true
    }
}

/// The largest total size of the weight files of one model, in bytes.
const MAX_SIZE: u64 = 4 << 30;

/// The weight files of one model, each read once. Only files in the model's own directory are read:
/// a downloaded model must not be able to access other files.
pub(super) struct Folder {
    path: PathBuf,
    files: HashMap<PathBuf, Bytes>,
    /// Bytes that may still be read.
    left: u64,
}

impl Folder {
    /// The folder of the model at `model`.
    pub(crate) fn of(model: &Path) -> Self {
        let path = match model.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { path, files: HashMap::new(), left: MAX_SIZE }
    }

    /// Whether a weight file was read.
    pub(crate) fn is_used(&self) -> bool {
        !self.files.is_empty()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The contents of the weight files, sorted by file name.
    pub(crate) fn contents(&self) -> Vec<&Bytes> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(path, _)| *path);
        files.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The bytes that a tensor's `external_data` refers to.
    ///
    /// # Errors
    /// See [`ExternalError`].
    pub(crate) fn data(
        &mut self,
        entries: &[StringStringEntryProto],
    ) -> Result<Bytes, ExternalError> {
        let entry = |key| entries.iter().find(|entry| entry.key == key).map(|e| e.value.as_str());
        let number = |key| match entry(key) {
            None => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(ExternalError::Number { key, value: text.to_owned() }),
            },
        };
        let location = entry("location").ok_or(ExternalError::NoLocation)?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let file = self.file(location)?;
        let end = match length {
            Some(length) => offset.checked_add(length),
            None => Some(file.len()),
        };
        match end {
            Some(end) if offset <= end && end <= file.len() => Ok(file.slice(offset..end)),
            _ => Err(ExternalError::PastEnd { location: location.to_owned(), size: file.len() }),
        }
    }

    fn file(&mut self, location: &str) -> Result<Bytes, ExternalError> {
        let outside = || ExternalError::OutsideFolder(location.to_owned());
        let relative = Path::new(location);
        let is_inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !is_inside {
            return Err(outside());
        }
        if let Some(bytes) = self.files.get(relative) {
            return Ok(bytes.clone());
        }
        let path = self.path.join(relative);
        let io = |error| ExternalError::Io(path.clone(), error);
        let real = path.canonicalize().map_err(io)?;
        if !real.starts_with(self.path.canonicalize().map_err(io)?) {
            return Err(outside());
        }
        let meta = fs::metadata(&real).map_err(io)?;
        if !meta.is_file() {
            return Err(ExternalError::NotAFile(location.to_owned()));
        }
        self.left = self.left.checked_sub(meta.len()).ok_or(ExternalError::TooLarge)?;
        let bytes = Bytes::from(fs::read(&real).map_err(io)?);
        self.files.insert(relative.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

//! Weights that an `.onnx` file keeps in other files.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
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
    PastEnd { location: String, size: u64 },
    #[error("an external weight has {stated} bytes; its dimensions require {needed}")]
    Length { stated: u64, needed: u64 },
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

/// The weight files of one model. Only files in the model's own directory are read: a downloaded
/// model must not be able to access other files. Only the bytes that belong to weights are read.
pub(super) struct Folder {
    path: PathBuf,
    /// The weights that were read, in the order of the model.
    weights: Vec<Bytes>,
    /// Bytes that may still be read.
    left: u64,
}

impl Folder {
    /// The directory of the model at `model`.
    pub(crate) fn of(model: &Path) -> Self {
        let path = match model.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { path, weights: Vec::new(), left: MAX_SIZE }
    }

    /// The directory and the weights that were read from it, in the order of the model; `None` if
    /// there are none.
    pub(crate) fn into_weights(self) -> Option<(PathBuf, Vec<Bytes>)> {
        (!self.weights.is_empty()).then_some((self.path, self.weights))
    }

    /// The bytes that a tensor's `external_data` refers to. `size` is what the dimensions require,
    /// if the size of an element is known.
    ///
    /// # Errors
    /// See [`ExternalError`].
    pub(crate) fn data(
        &mut self,
        entries: &[StringStringEntryProto],
        size: Option<u64>,
    ) -> Result<Bytes, ExternalError> {
        let entry = |key| entries.iter().find(|entry| entry.key == key).map(|e| e.value.as_str());
        let number = |key| match entry(key) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(ExternalError::Number { key, value: text.to_owned() }),
            },
        };
        let location = entry("location").ok_or(ExternalError::NoLocation)?;
        let (offset, stated) = (number("offset")?.unwrap_or(0), number("length")?);
        if let (Some(stated), Some(needed)) = (stated, size)
            && stated != needed
        {
            return Err(ExternalError::Length { stated, needed });
        }
        let (path, file) = self.file(location)?;
        let io = |error| ExternalError::Io(path.clone(), error);
        let end = file.metadata().map_err(&io)?.len();
        let length = stated.or(size).unwrap_or(end.saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|last| last > end) {
            return Err(ExternalError::PastEnd { location: location.to_owned(), size: end });
        }
        let left = self.left.checked_sub(length).ok_or(ExternalError::TooLarge)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| ExternalError::TooLarge)?];
        file.read_exact_at(&mut bytes, offset).map_err(&io)?;
        self.left = left;
        let bytes = Bytes::from(bytes);
        self.weights.push(bytes.clone());
        Ok(bytes)
    }

    /// Opens the file `location`, and returns its path too.
    fn file(&self, location: &str) -> Result<(PathBuf, File), ExternalError> {
        let outside = || ExternalError::OutsideFolder(location.to_owned());
        let relative = Path::new(location);
        let is_inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !is_inside {
            return Err(outside());
        }
        let path = self.path.join(relative);
        let io = |error| ExternalError::Io(path.clone(), error);
        let real = path.canonicalize().map_err(io)?;
        if !real.starts_with(self.path.canonicalize().map_err(io)?) {
            return Err(outside());
        }
        // Opening a pipe would block until another process writes to it.
        if !fs::metadata(&real).map_err(io)?.is_file() {
            return Err(ExternalError::NotAFile(location.to_owned()));
        }
        let file = File::open(&real).map_err(io)?;
        Ok((path, file))
    }
}

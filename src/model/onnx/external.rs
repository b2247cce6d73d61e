//! Weights that an `.onnx` keeps in files beside it.

use std::{
    collections::HashMap,
    fs,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;

use super::proto::StringStringEntryProto;

/// The weight files of one model, each read once. Only files inside the model's own folder are
/// read: a downloaded model must not be able to name any other.
pub(super) struct Folder {
    path: PathBuf,
    files: HashMap<PathBuf, Bytes>,
    left: u64,
}

impl Folder {
    /// Of the model at `model`; all weight files together may have `limit` bytes.
    pub fn of(model: &Path, limit: u64) -> Self {
        let path = match model.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { path, files: HashMap::new(), left: limit }
    }

    /// Whether a weight file was read.
    pub fn used(&self) -> bool {
        !self.files.is_empty()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The weight files' bytes, in the order of their names.
    pub fn contents(&self) -> Vec<&Bytes> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(path, _)| *path);
        files.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The bytes that a tensor's `external_data` names.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence.
    pub fn data(&mut self, entries: &[StringStringEntryProto]) -> Result<Bytes, String> {
        let entry = |key| entries.iter().find(|entry| entry.key == key).map(|e| e.value.as_str());
        let number = |key| match entry(key) {
            None => Ok(None),
            Some(text) => text
                .parse::<usize>()
                .map(Some)
                .map_err(|_| format!("a weight's {key} is {text:?}, not a number")),
        };
        let location = entry("location").ok_or("a weight lies outside but no file is named")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let file = self.file(location)?;
        let end = match length {
            Some(length) => offset.checked_add(length),
            None => Some(file.len()),
        };
        match end {
            Some(end) if offset <= end && end <= file.len() => Ok(file.slice(offset..end)),
            _ => Err(format!("a weight lies outside of the {} bytes of {location}", file.len())),
        }
    }

    fn file(&mut self, location: &str) -> Result<Bytes, String> {
        let relative = Path::new(location);
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !inside {
            return Err(format!("its weight file {location:?} is not in the model's own folder"));
        }
        if let Some(bytes) = self.files.get(relative) {
            return Ok(bytes.clone());
        }
        let path = self.path.join(relative);
        let unreadable =
            |error| format!("its weight file {} could not be read: {error}", path.display());
        let real = path.canonicalize().map_err(unreadable)?;
        if !real.starts_with(self.path.canonicalize().map_err(unreadable)?) {
            return Err(format!(
                "its weight file {location:?} leads out of the model's own folder"
            ));
        }
        let meta = fs::metadata(&real).map_err(unreadable)?;
        if !meta.is_file() {
            return Err(format!("its weight file {location:?} is not a plain file"));
        }
        self.left = self.left.checked_sub(meta.len()).ok_or("its weight files are too large")?;
        let bytes = Bytes::from(fs::read(&real).map_err(unreadable)?);
        self.files.insert(relative.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

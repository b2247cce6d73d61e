//! The received part of a download.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use super::Error;

/// The file `TARGET.part`, locked against other processes and hashed as it grows.
pub struct Partial {
    path: PathBuf,
    file: File,
    hash: Sha256,
    length: u64,
}

impl Partial {
    /// Opens or creates the part of `target`, and its directory.
    ///
    /// # Errors
    /// [`Error::Busy`] if another process has it open; [`Error::File`].
    pub fn open(target: &Path) -> Result<Self, Error> {
        let mut path = target.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let failed = |source| Error::File { path: path.clone(), source };
        if let Some(directory) = target.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::Busy { path: target.into() },
            TryLockError::Error(error) => failed(error),
        })?;
        let mut hash = Sha256::new();
        let length = io::copy(&mut file, &mut hash).map_err(failed)?;
        Ok(Self { path, file, hash, length })
    }

    /// In bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The checksum of the content, in lower-case hexadecimal.
    pub fn sha256(&self) -> String {
        format!("{:x}", self.hash.clone().finalize())
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|error| self.failed(error))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Deletes the content.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn clear(&mut self) -> Result<(), Error> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|error| self.failed(error))?;
        self.hash = Sha256::new();
        self.length = 0;
        Ok(())
    }

    /// Deletes the file.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn delete(self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(|error| self.failed(error))
    }

    /// Writes the content to disk and renames the file to `target`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn rename(self, target: &Path) -> Result<(), Error> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, target))
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }
}

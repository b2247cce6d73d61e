//! The work folder `OUTPUT.remaster`: its file names, and writing files that are whole or absent.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file of the work folder could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} could not be written: {}", reason(.source))]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} could not be read: {}", reason(.source))]
    Read { path: PathBuf, source: io::Error },
    #[error("{0} is damaged; delete the folder that contains it and start again")]
    Damaged(PathBuf),
}

/// The reason without the path of a temporary file, which an error has that is not the system's own.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.to_string(),
        None => error.kind().to_string(),
    }
}

impl Error {
    /// Whether the disk, or the user's share of it, is full.
    pub fn is_full_disk(&self) -> bool {
        let Self::Write { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Why a folder is not reserved.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{0} is in use")]
    Locked(PathBuf),
    #[error(transparent)]
    Folder(#[from] Error),
}

/// A folder that is reserved. Dropping it removes a folder without a plan. When the process ends,
/// for whatever reason, the system releases the lock.
#[derive(Debug)]
pub struct Lock {
    folder: Folder,
    _file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.folder.plan().exists() {
            let _ = self.folder.remove();
        }
    }
}

/// The work folder of one output file.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder that belongs to `output`. It may not exist.
    pub fn of(output: &Path) -> Self {
        let mut name = OsString::from(output);
        name.push(".remaster");
        Self(name.into())
    }

    /// A folder that the user names.
    pub fn at(path: &Path) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The plan. It exists once the folder is complete.
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.json")
    }

    /// The frame table.
    pub fn frames(&self) -> PathBuf {
        self.0.join("frames.bin")
    }

    /// The picture of the watermark, which is the same on all machines.
    pub fn watermark(&self) -> PathBuf {
        self.0.join("watermark.png")
    }

    /// The encoded packets of a segment, one after the other.
    pub fn payload(&self, segment: usize) -> PathBuf {
        self.0.join(format!("segments/{segment:05}.payload"))
    }

    /// The record of a segment. The segment is done if and only if it exists.
    pub fn record(&self, segment: usize) -> PathBuf {
        self.0.join(format!("segments/{segment:05}.json"))
    }

    /// The claim of a worker on a segment.
    pub fn claim(&self, segment: usize) -> PathBuf {
        self.0.join(format!("claims/{segment:05}"))
    }

    /// Creates the folder if necessary, and reserves it for this run as the one that plans and
    /// finishes.
    ///
    /// # Errors
    /// [`LockError::Locked`] if another run on this machine has it, or [`LockError::Folder`].
    pub fn lock(&self) -> Result<Lock, LockError> {
        let path = self.0.join("lock");
        let failed = |source| Error::Write { path: path.clone(), source };
        loop {
            self.create()?;
            let file = File::create(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Locked(self.0.clone())),
                // This file system has no locks.
                Err(TryLockError::Error(_)) => {}
            }
            // The run that had it may have removed the folder meanwhile.
            if path.exists() {
                return Ok(Lock { folder: self.clone(), _file: file });
            }
        }
    }

    /// Creates the folder and the folders in it.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn create(&self) -> Result<(), Error> {
        for path in [self.0.join("segments"), self.0.join("claims")] {
            fs::create_dir_all(&path).map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    }

    /// Removes the folder and everything in it. A folder that does not exist is not an error.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn remove(&self) -> Result<(), Error> {
        // Without its plan, a folder that is only partly removed counts as absent.
        for removed in [fs::remove_file(self.plan()), fs::remove_dir_all(&self.0)] {
            match removed {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Write { path: self.0.clone(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes a file so that after a crash or power loss it is either complete or absent: the data is
/// written to a temporary file in the same folder, flushed to the disk and renamed.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, data: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(data)?;
        persist(file, path)
    };
    write().map_err(|source| Error::Write { path: path.into(), source })
}

/// Flushes `file` to the disk, renames it to `path`, and flushes the folder.
///
/// # Errors
/// Those of the file system.
pub fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// [`Error::Read`], or [`Error::Damaged`] if the file is longer or no plain file: a FIFO would be
/// read without end.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { path: path.into(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(Error::Damaged(path.into()));
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_next_to_the_output() {
        let folder = Folder::of(Path::new("a/film.mkv"));
        assert_eq!(folder.path(), Path::new("a/film.mkv.remaster"));
        assert_eq!(folder.record(3), Path::new("a/film.mkv.remaster/segments/00003.json"));
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(matches!(write(&path, b"new"), Err(Error::Write { .. })));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file_and_not_the_temporary_one() {
        let error = write(Path::new("/no/such/folder/file"), b"data").unwrap_err().to_string();
        assert_eq!(error, "/no/such/folder/file could not be written: entity not found");
    }

    #[test]
    fn writing_replaces_a_file_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"first").unwrap();
        write(&path, b"2nd").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"2nd");
        assert!(matches!(read(&path, 2), Err(Error::Damaged(_))));
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_folder_has_one_owner_and_does_not_stay_without_a_plan() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::of(&parent.path().join("film.mkv"));
        let lock = folder.lock().unwrap();
        assert!(matches!(folder.lock(), Err(LockError::Locked(_))));
        drop(lock);
        assert!(!folder.path().exists());
        let lock = folder.lock().unwrap();
        write(&folder.plan(), b"{}").unwrap();
        drop(lock);
        assert!(folder.plan().exists());
        folder.lock().unwrap();
    }

    #[test]
    fn only_plain_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [link.as_path(), folder.path()] {
            assert!(matches!(read(path, 1 << 20), Err(Error::Damaged(_))), "{}", path.display());
        }
    }

    #[test]
    fn removing_a_folder_twice_is_not_an_error() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::of(&parent.path().join("film.mkv"));
        folder.create().unwrap();
        write(&folder.plan(), b"{}").unwrap();
        folder.remove().unwrap();
        folder.remove().unwrap();
        assert!(!folder.path().exists());
    }
}

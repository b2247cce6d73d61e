//! Reading model files whose size is limited.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use bytes::Bytes;

use super::{Error, fault::Fault};

/// Fails unless `path` is a regular file: opening a pipe would block until another process writes
/// to it.
///
/// # Errors
/// [`Error::Unknown`] for another kind of file; [`Error::Io`].
pub(super) fn check_is_regular(path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.into(), source };
    let kind = fs::metadata(path).map_err(io)?.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let why = if kind.is_dir() { "it is a directory" } else { "it is a device or a pipe" };
    Err(Error::Unknown { path: path.into(), why: why.into() })
}

/// The content of the regular file at `path`, which has at most `max` bytes.
///
/// # Errors
/// [`Error::Damaged`] for a larger file; see [`check_is_regular`].
pub(super) fn read(path: &Path, max: u64) -> Result<Bytes, Error> {
    check_is_regular(path)?;
    let io = |source| Error::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(max)).unwrap_or(0));
    // The file may grow while it is read.
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > max {
        return Err(Fault::damaged(format!("the file is larger than {max} bytes")).at(path));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_have_as_many_bytes_as_the_limit_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(&path, b"seven..").unwrap();
        assert_eq!(read(&path, 7).unwrap(), Bytes::from_static(b"seven.."));
        assert!(matches!(read(&path, 6), Err(Error::Damaged { .. })));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path(), 7), Err(Error::Unknown { .. })));
        assert!(matches!(read(&folder.path().join("missing"), 7), Err(Error::Io { .. })));
    }
}

//! Files and directories that no other user can have changed.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Creates a directory for this user alone, and those around it.
///
/// # Errors
/// Those of the file system.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether only this user, or root, can write into the directory `folder`.
pub(crate) fn is_private(folder: &Path) -> bool {
    /// The group and all others may write.
    const SHARED: u32 = 0o022;
    fs::metadata(folder).is_ok_and(|metadata| {
        metadata.is_dir() && is_own(metadata.uid()) && metadata.mode() & SHARED == 0
    })
}

/// The content of a regular file of this user of at most `max_size` bytes. Links are not followed.
///
/// # Errors
/// Those of the file system; [`io::ErrorKind::InvalidData`] for any other file.
pub(crate) fn read(path: &Path, max_size: u64) -> io::Result<Vec<u8>> {
    // Opening a pipe must not wait for a writer.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || !is_own(metadata.uid()) || metadata.len() > max_size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = Vec::new();
    file.take(max_size).read_to_end(&mut content)?;
    Ok(content)
}

/// Whether a file of this owner is this user's, or root's.
fn is_own(owner: u32) -> bool {
    // SAFETY: `geteuid` takes no arguments and always succeeds.
    owner == 0 || owner == unsafe { libc::geteuid() }
}

//! An output that is there whole or not at all: what is written lies beside it until then, under
//! a name that no other file has, `clip.part.k3X9aQ.mp4` for `clip.mp4`.

use std::{
    ffi::OsString,
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, PersistError};

/// Why an output was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} is a folder: name a file, such as {example}", example = .0.join("NAME").display())]
    Folder(PathBuf),
    #[error("{path} cannot be written, as there is no folder {folder}: create that first")]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("{path} could not be written: {why}")]
    Write { path: PathBuf, why: io::ErrorKind },
    #[error("{path} could not be written ({why}): what was made lies in {kept}")]
    Kept { path: PathBuf, why: io::ErrorKind, kept: PathBuf },
}

/// Whether both are one and the same file, by whatever names.
pub fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether `output` can be a file: before any work is done for it.
///
/// # Errors
/// [`Error::Folder`] or [`Error::NoFolder`].
pub fn check(output: &Path) -> Result<(), Error> {
    if output.is_dir() {
        return Err(Error::Folder(output.into()));
    }
    let folder = folder(output);
    if !folder.is_dir() {
        return Err(Error::NoFolder { path: output.into(), folder: folder.into() });
    }
    Ok(())
}

/// The unfinished file: created by this process, open, and gone when this is dropped.
#[derive(Debug)]
pub struct PartFile {
    file: NamedTempFile,
    output: PathBuf,
}

impl PartFile {
    /// Creates it, empty. A file that is there already is neither opened nor followed.
    ///
    /// # Errors
    /// As [`check`], and [`Error::Write`].
    pub fn create(output: &Path) -> Result<Self, Error> {
        check(output)?;
        let mut prefix = output.file_stem().unwrap_or_default().to_owned();
        prefix.push(".part.");
        // As readable as any new file: temporary ones are private.
        let mode = Permissions::from_mode(0o666);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).permissions(mode);
        let suffix = suffix(output);
        // The error's own words name the temporary file.
        let file = builder
            .suffix(&suffix)
            .tempfile_in(folder(output))
            .map_err(|error| Error::Write { path: output.into(), why: error.kind() })?;
        Ok(Self { file, output: output.into() })
    }

    /// Open for writing, at its start.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Gives the file its name; `replace`: where another has it too.
    ///
    /// # Errors
    /// [`Error::Kept`].
    pub fn finish(self, replace: bool) -> Result<(), Error> {
        let Self { file, output } = self;
        let failed = match rename(file, &output, replace) {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        let why = failed.error.kind();
        let kept = Self { file: failed.file, output: output.clone() }.keep()?;
        Err(Error::Kept { path: output, why, kept })
    }

    /// Leaves what there is as `clip.part.mp4`, or under the name it has where another file has
    /// that one.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep(self) -> Result<PathBuf, Error> {
        let Self { file, output } = self;
        let name = name(&output);
        match rename(file, &name, false) {
            Ok(()) => Ok(name),
            Err(failed) => match failed.file.keep() {
                Ok((_, path)) => Ok(path),
                Err(error) => Err(Error::Write { path: name, why: error.error.kind() }),
            },
        }
    }
}

fn rename(file: NamedTempFile, to: &Path, replace: bool) -> Result<(), PersistError> {
    if replace {
        return file.persist(to).map(drop);
    }
    match file.persist_noclobber(to) {
        // Some file systems have no such call. They look for another file first.
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => {
            failed.file.persist(to).map(drop)
        }
        done => done.map(drop),
    }
}

fn folder(output: &Path) -> &Path {
    output.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// `clip.mp4` → `clip.part.mp4`: players still know what it is.
fn name(output: &Path) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push(".part");
    name.push(suffix(output));
    output.with_file_name(name)
}

/// The extension with its dot.
fn suffix(output: &Path) -> OsString {
    let mut suffix = OsString::new();
    if let Some(extension) = output.extension() {
        suffix.push(".");
        suffix.push(extension);
    }
    suffix
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::symlink};

    use super::*;

    fn written(output: &Path, text: &str) -> PartFile {
        let part = PartFile::create(output).unwrap();
        part.file().write_all(text.as_bytes()).unwrap();
        part
    }

    #[test]
    fn the_unfinished_file_lies_beside_the_output_and_keeps_its_extension() {
        assert_eq!(name(Path::new("a/b.c.mp4")), Path::new("a/b.c.part.mp4"));
        assert_eq!(name(Path::new("b")), Path::new("b.part"));
        let folder = tempfile::tempdir().unwrap();
        let part = PartFile::create(&folder.path().join("b.c.mp4")).unwrap();
        let name = part.file.path().strip_prefix(folder.path()).unwrap().to_str().unwrap();
        assert!(name.starts_with("b.c.part.") && name.ends_with(".mp4"), "{name}");
    }

    #[test]
    fn what_is_dropped_is_gone_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("clip.mp4");
        fs::write(name(&output), "earlier").unwrap();
        drop(written(&output, "this"));
        assert_eq!(fs::read_to_string(name(&output)).unwrap(), "earlier");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_is_kept_takes_no_other_files_name() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("clip.mp4");
        let (first, second) = (written(&output, "first"), written(&output, "second"));
        let link = written(&output, "third");
        assert_eq!(first.keep().unwrap(), name(&output));
        let other = second.keep().unwrap();
        assert_eq!(fs::read_to_string(name(&output)).unwrap(), "first");
        assert_eq!(fs::read_to_string(other).unwrap(), "second");
        fs::rename(name(&output), folder.path().join("input.mp4")).unwrap();
        symlink("input.mp4", name(&output)).unwrap();
        assert_ne!(link.keep().unwrap(), name(&output));
        assert_eq!(fs::read_to_string(name(&output)).unwrap(), "first");
    }

    #[test]
    fn an_output_that_came_meanwhile_is_replaced_only_where_asked() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("clip.mp4");
        let (first, second) = (written(&output, "first"), written(&output, "second"));
        written(&output, "other").finish(false).unwrap();
        let error = first.finish(false).unwrap_err().to_string();
        assert!(error.contains("clip.part.mp4"), "{error}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "other");
        assert_eq!(fs::read_to_string(name(&output)).unwrap(), "first");
        second.finish(true).unwrap();
        assert_eq!(fs::read_to_string(&output).unwrap(), "second");
    }

    #[test]
    fn an_output_that_can_be_no_file_is_told_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = PartFile::create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("name a file"), "{error}");
        let error = PartFile::create(&folder.path().join("no/clip.mp4")).unwrap_err().to_string();
        assert!(error.contains("no/clip.mp4") && error.contains("create that first"), "{error}");
        let long = folder.path().join("x".repeat(254));
        let error = PartFile::create(&long).unwrap_err().to_string();
        assert!(!error.contains(".part."), "{error}");
    }
}

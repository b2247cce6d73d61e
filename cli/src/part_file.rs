//! An output file that appears under its name only when it is complete, whatever ends the run. Until
//! then its content is in a file of a unique name in the same directory, for example
//! `clip.part.k3X9aQ.mp4` for `clip.mp4`.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::{NamedTempFile, PersistError};

/// Why an output file cannot be, or was not, written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{0} is a directory; name a file, for example {example}",
        example = .0.join("NAME").display()
    )]
    Directory(PathBuf),
    #[error("{path} cannot be written because there is no directory {directory}; create it first")]
    NoDirectory { path: PathBuf, directory: PathBuf },
    #[error("{0} is both input and output; use a different output file")]
    SameFile(PathBuf),
    #[error("{0} already exists; use --force to overwrite it")]
    Exists(PathBuf),
    #[error(
        "{path} cannot be written because no file can be created in the directory {directory} \
         ({why}); use another directory"
    )]
    Create { path: PathBuf, directory: PathBuf, why: io::ErrorKind },
    #[error("{path} could not be written: {why}")]
    Write { path: PathBuf, why: io::ErrorKind },
    #[error("{path} could not be written ({why}); the result is in {kept}")]
    Kept { path: PathBuf, why: io::ErrorKind, kept: PathBuf },
}

/// What to do if the output file exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    Fail,
    Overwrite,
}

/// The option `--force`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Force {
    /// Overwrite OUTPUT if it exists.
    #[arg(short, long)]
    force: bool,
}

impl Force {
    /// What the option says about an existing file.
    pub fn if_exists(self) -> IfExists {
        if self.force { IfExists::Overwrite } else { IfExists::Fail }
    }
}

/// Checks, before any work is done, that `output` can be written and is not `input`.
///
/// # Errors
/// [`Error::Directory`], [`Error::NoDirectory`], [`Error::SameFile`] or [`Error::Exists`].
pub fn check(input: &Path, output: &Path, if_exists: IfExists) -> Result<(), Error> {
    if is_same(input, output) {
        return Err(Error::SameFile(output.into()));
    }
    check_location(output)?;
    // A dangling link exists too.
    if if_exists == IfExists::Fail && output.symlink_metadata().is_ok() {
        return Err(Error::Exists(output.into()));
    }
    Ok(())
}

/// Whether both paths lead to the same file.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn check_location(output: &Path) -> Result<(), Error> {
    if output.is_dir() {
        return Err(Error::Directory(output.into()));
    }
    let directory = directory(output);
    if !directory.is_dir() {
        return Err(Error::NoDirectory { path: output.into(), directory: directory.into() });
    }
    Ok(())
}

/// The unfinished file, created and held open by this process. Dropping it deletes the file.
#[derive(Debug)]
pub struct PartFile {
    file: NamedTempFile,
    output: PathBuf,
}

impl PartFile {
    /// Creates an empty file. An existing file is never opened, nor a link followed.
    ///
    /// # Errors
    /// [`Error::Directory`], [`Error::NoDirectory`] or [`Error::Create`].
    pub fn create(output: &Path) -> Result<Self, Error> {
        check_location(output)?;
        let suffix = suffix(output);
        let mut prefix = short_stem(output, ".part.XXXXXX".len() + suffix.len());
        prefix.push(".part.");
        // Temporary files are private by default; this one has the mode of any new file.
        let mode = Permissions::from_mode(0o666);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).permissions(mode);
        // The error's own message names the temporary file.
        let directory = directory(output);
        let file = builder.suffix(&suffix).tempfile_in(directory).map_err(|error| {
            Error::Create { path: output.into(), directory: directory.into(), why: error.kind() }
        })?;
        Ok(Self { file, output: output.into() })
    }

    /// The open file, for writing.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Writes to the file once more. `complete` gets the open file.
    ///
    /// # Errors
    /// [`Error::Write`] if `complete` fails.
    pub fn complete<T>(&self, complete: impl FnOnce(&File) -> io::Result<T>) -> Result<T, Error> {
        complete(self.file())
            .map_err(|error| Error::Write { path: self.output.clone(), why: error.kind() })
    }

    /// Renames the file to the output's name.
    ///
    /// # Errors
    /// [`Error::Kept`].
    pub fn finish(self, if_exists: IfExists) -> Result<(), Error> {
        let Self { file, output } = self;
        let failed = match rename(file, &output, if_exists) {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        let why = failed.error.kind();
        let kept = Self { file: failed.file, output: output.clone() }.keep()?;
        Err(Error::Kept { path: output, why, kept })
    }

    /// Keeps the unfinished file as `clip.part.mp4`, or under its unique name if that exists.
    /// Returns its path.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep(self) -> Result<PathBuf, Error> {
        let Self { file, output } = self;
        let name = part_name(&output);
        match rename(file, &name, IfExists::Fail) {
            Ok(()) => Ok(name),
            Err(failed) => match failed.file.keep() {
                // Relative to the same directory as the output.
                Ok((_, path)) => Ok(output.with_file_name(path.file_name().unwrap_or_default())),
                Err(error) => Err(Error::Write { path: name, why: error.error.kind() }),
            },
        }
    }
}

fn rename(file: NamedTempFile, to: &Path, if_exists: IfExists) -> Result<(), PersistError> {
    if if_exists == IfExists::Overwrite {
        return file.persist(to).map(drop);
    }
    match file.persist_noclobber(to) {
        // Some file systems do not support this call. They report an existing file first.
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => {
            failed.file.persist(to).map(drop)
        }
        done => done.map(drop),
    }
}

fn directory(output: &Path) -> &Path {
    output.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// `clip.mp4` → `clip.part.mp4`. The extension stays, so that players recognise the format.
fn part_name(output: &Path) -> PathBuf {
    let suffix = suffix(output);
    let mut name = short_stem(output, ".part".len() + suffix.len());
    name.push(".part");
    name.push(suffix);
    output.with_file_name(name)
}

/// The longest name of a file on Linux, in bytes.
const MAX_NAME: usize = 255;

/// The name without its extension, cut so that `more` bytes can follow.
fn short_stem(output: &Path, more: usize) -> OsString {
    let stem = output.file_stem().unwrap_or_default();
    let mut bytes = stem.as_bytes();
    while bytes.len() + more > MAX_NAME {
        bytes = bytes.split_last().map_or(&[], |(_, rest)| rest);
        // Not within a character of UTF-8.
        while bytes.last().is_some_and(|it| *it >= 0x80) && str::from_utf8(bytes).is_err() {
            bytes = bytes.split_last().map_or(&[], |(_, rest)| rest);
        }
    }
    OsStr::from_bytes(bytes).to_owned()
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
    fn the_unfinished_file_is_next_to_the_output_and_keeps_its_extension() {
        assert_eq!(part_name(Path::new("a/b.c.mp4")), Path::new("a/b.c.part.mp4"));
        assert_eq!(part_name(Path::new("b")), Path::new("b.part"));
        let folder = tempfile::tempdir().unwrap();
        let part = PartFile::create(&folder.path().join("b.c.mp4")).unwrap();
        let name = part.file.path().strip_prefix(folder.path()).unwrap().to_str().unwrap();
        assert!(name.starts_with("b.c.part.") && name.ends_with(".mp4"), "{name}");
    }

    #[test]
    fn dropping_deletes_the_unfinished_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("clip.mp4");
        fs::write(part_name(&output), "earlier").unwrap();
        drop(written(&output, "this"));
        assert_eq!(fs::read_to_string(part_name(&output)).unwrap(), "earlier");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn keeping_the_unfinished_file_never_overwrites_another() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("clip.mp4");
        let (first, second) = (written(&output, "first"), written(&output, "second"));
        let link = written(&output, "third");
        assert_eq!(first.keep().unwrap(), part_name(&output));
        let other = second.keep().unwrap();
        assert_eq!(fs::read_to_string(part_name(&output)).unwrap(), "first");
        assert_eq!(fs::read_to_string(other).unwrap(), "second");
        fs::rename(part_name(&output), folder.path().join("input.mp4")).unwrap();
        symlink("input.mp4", part_name(&output)).unwrap();
        assert_ne!(link.keep().unwrap(), part_name(&output));
        assert_eq!(fs::read_to_string(part_name(&output)).unwrap(), "first");
    }

    #[test]
    fn the_path_of_a_kept_file_starts_like_that_of_the_output() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let name = Path::new(folder.path().file_name().unwrap());
        let output = name.join("clip.mp4");
        fs::write(part_name(&output), "earlier").unwrap();
        let kept = written(&output, "this").keep().unwrap();
        assert_eq!(kept.parent(), Some(name));
        assert_eq!(fs::read_to_string(kept).unwrap(), "this");
    }

    #[test]
    fn an_output_created_in_the_meantime_is_overwritten_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("clip.mp4");
        let (first, second) = (written(&output, "first"), written(&output, "second"));
        written(&output, "other").finish(IfExists::Fail).unwrap();
        let error = first.finish(IfExists::Fail).unwrap_err().to_string();
        assert!(error.contains("clip.part.mp4"), "{error}");
        assert_eq!(fs::read_to_string(&output).unwrap(), "other");
        assert_eq!(fs::read_to_string(part_name(&output)).unwrap(), "first");
        second.finish(IfExists::Overwrite).unwrap();
        assert_eq!(fs::read_to_string(&output).unwrap(), "second");
    }

    #[test]
    fn an_error_names_the_output_and_not_the_unfinished_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = PartFile::create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("name a file"), "{error}");
        let error = PartFile::create(&folder.path().join("no/clip.mp4")).unwrap_err().to_string();
        assert!(error.contains("no/clip.mp4") && error.contains("create it first"), "{error}");
        let long = folder.path().join("x".repeat(300)).join("clip.mp4");
        let error = PartFile::create(&long).unwrap_err().to_string();
        assert!(!error.contains(".part."), "{error}");
    }

    #[test]
    fn the_longest_name_of_a_file_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        for stem in ["x".repeat(251), "é".repeat(125)] {
            let output = folder.path().join(format!("{stem}.mkv"));
            written(&output, "kept").keep().unwrap();
            written(&output, "whole").finish(IfExists::Fail).unwrap();
            assert_eq!(fs::read_to_string(&output).unwrap(), "whole");
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 4);
    }
}

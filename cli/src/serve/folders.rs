//! The folders whose files can be enlarged by path.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Error as StartError;

/// A path cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("no folder is allowed; start the server with --allow DIR, or send the file instead")]
    None,
    // The same for files that exist and those that do not: it tells nothing about other folders.
    #[error("{0} is not a file in an allowed folder")]
    Outside(PathBuf),
}

/// Folders without links in their paths.
#[derive(Debug)]
pub struct Folders(Vec<PathBuf>);

/// The deepest folders that are listed, the largest number of files, and of entries that are looked at.
const MAX_DEPTH: usize = 4;
const MAX_FILES: usize = 500;
const MAX_ENTRIES: usize = 20_000;

impl Folders {
    /// # Errors
    /// [`StartError::Folder`] if one does not exist.
    pub fn open(folders: &[PathBuf]) -> Result<Self, StartError> {
        let open = |path: &PathBuf| {
            let folder = path.canonicalize().and_then(|folder| {
                match folder.to_str() {
                    _ if !folder.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
                    // The page gets and stores paths as text.
                    None => Err(io::Error::other("its path is not UTF-8")),
                    Some(_) => Ok(folder),
                }
            });
            folder.map_err(|source| StartError::Folder { path: path.clone(), source })
        };
        Ok(Self(folders.iter().map(open).collect::<Result<_, _>>()?))
    }

    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }

    /// The file that `path` leads to, without links. A relative path begins at the first folder that
    /// has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn file(&self, path: &Path) -> Result<PathBuf, Error> {
        if self.0.is_empty() {
            return Err(Error::None);
        }
        // An absolute path replaces the folder.
        let places = self.0.iter().filter_map(|folder| folder.join(path).canonicalize().ok());
        let is_allowed = |file: &PathBuf| {
            file.is_file()
                && file.to_str().is_some()
                && self.0.iter().any(|folder| file.starts_with(folder))
        };
        { places }.find(is_allowed).ok_or_else(|| Error::Outside(path.into()))
    }

    /// Files that may be films or pictures, for suggestions.
    pub fn files(&self, is_media: fn(&Path) -> bool) -> Vec<PathBuf> {
        let (mut found, mut left) = (Vec::new(), MAX_ENTRIES);
        for folder in &self.0 {
            list(folder, MAX_DEPTH, is_media, &mut found, &mut left);
        }
        found
    }
}

fn list(
    folder: &Path,
    depth: usize,
    is_media: fn(&Path) -> bool,
    found: &mut Vec<PathBuf>,
    left: &mut usize,
) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).take(*left).collect();
    *left -= paths.len();
    paths.sort();
    for path in paths {
        if found.len() == MAX_FILES {
            return;
        }
        // Links may lead in circles, or to other folders.
        match path.symlink_metadata() {
            Ok(data) if data.is_dir() && depth > 1 => list(&path, depth - 1, is_media, found, left),
            Ok(data) if data.is_file() && is_media(&path) && path.to_str().is_some() => {
                found.push(path);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt as _, fs::symlink},
    };

    use super::*;

    #[test]
    fn only_files_in_allowed_folders_are_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let films = root.join("films");
        fs::create_dir_all(films.join("sub")).unwrap();
        for name in ["films/a.mkv", "films/sub/b.mkv", "secret", "films-of-others"] {
            fs::write(root.join(name), "").unwrap();
        }
        symlink(root.join("secret"), films.join("link.mkv")).unwrap();
        symlink("a.mkv", films.join("inside.mkv")).unwrap();
        let folders = Folders::open(std::slice::from_ref(&films)).unwrap();
        let file = |path: &str| folders.file(Path::new(path));
        assert_eq!(file("a.mkv"), Ok(films.join("a.mkv")));
        assert_eq!(
            file(films.join("sub/../sub/b.mkv").to_str().unwrap()),
            Ok(films.join("sub/b.mkv"))
        );
        assert_eq!(file("inside.mkv"), Ok(films.join("a.mkv")));
        for path in [
            "",
            ".",
            "sub",
            "-",
            "../secret",
            "link.mkv",
            "missing.mkv",
            "/etc/passwd",
            "a.mkv/",
            "a\0b",
            "http://evil.example/a.mkv",
            "../films-of-others",
            "/dev/zero",
        ] {
            assert_eq!(file(path), Err(Error::Outside(path.into())), "{path}");
        }
        assert_eq!(folders.files(|_| true), [films.join("a.mkv"), films.join("sub/b.mkv")]);
        let unreadable = films.join(OsStr::from_bytes(b"caf\xe9.png"));
        fs::write(&unreadable, "").unwrap();
        assert_eq!(folders.files(|_| true).len(), 2, "names that are not UTF-8 are left out");
        assert!(folders.file(&unreadable).is_err());
        assert_eq!(Folders::open(&[]).unwrap().file(Path::new("a")), Err(Error::None));
        assert!(Folders::open(&[films.join("a.mkv")]).is_err());
    }
}

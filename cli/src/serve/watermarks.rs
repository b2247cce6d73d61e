//! Pictures for watermarks. They are sent once, named by their content, and copied to the jobs that show
//! them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The largest file, in bytes.
pub const MAX_BYTES: usize = 8_000_000;

/// The number of pictures that are kept.
const MAX_PICTURES: usize = 50;

/// The name of a picture: the SHA-256 of its file, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        let is_name = text.len() == 64 && text.bytes().all(is_digit);
        if is_name { Ok(Self(text)) } else { Err(Error::Unknown) }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// A picture cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the picture of the watermark is not here any more; choose it again")]
    Unknown,
    #[error("the watermark is no picture of a supported format; use PNG, JPEG or WebP")]
    NoPicture,
    #[error("the picture of the watermark is too large; at most {MAX_BYTES} bytes are accepted")]
    TooLarge,
    #[error("the picture of the watermark was not received")]
    Interrupted,
    #[error("the picture of the watermark could not be stored: {0}")]
    Store(io::ErrorKind),
}

/// The folder of the pictures.
#[derive(Debug)]
pub struct Watermarks(PathBuf);

impl Watermarks {
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Stores a picture. Removes the oldest ones if there are many. Nothing is decoded here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn add(&self, file: &[u8]) -> Result<Name, Error> {
        if image::guess_format(file).is_err() {
            return Err(Error::NoPicture);
        }
        let digest = Sha256::digest(file);
        let name = Name(digest.iter().map(|byte| format!("{byte:02x}")).collect());
        let store = || -> io::Result<()> {
            fs::create_dir_all(&self.0)?;
            let mut part = tempfile::NamedTempFile::new_in(&self.0)?;
            io::Write::write_all(&mut part, file)?;
            part.persist(self.path(&name))?;
            self.remove_old()
        };
        store().map_err(|error| Error::Store(error.kind()))?;
        Ok(name)
    }

    /// Copies a picture.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Store`].
    pub fn copy(&self, name: &Name, to: &Path) -> Result<(), Error> {
        match fs::copy(self.path(name), to) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Unknown),
            Err(error) => Err(Error::Store(error.kind())),
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.0.join(&name.0)
    }

    fn remove_old(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let surplus = files.len().saturating_sub(MAX_PICTURES);
        files.into_iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    #[test]
    fn a_picture_is_found_by_the_name_that_its_content_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let watermarks = Watermarks::at(folder.path().join("watermarks"));
        let name = watermarks.add(PNG).unwrap();
        assert_eq!(watermarks.add(PNG).unwrap(), name);
        let copy = folder.path().join("copy");
        watermarks.copy(&name, &copy).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), PNG);
        let other = Name::try_from("0".repeat(64)).unwrap();
        assert_eq!(watermarks.copy(&other, &copy), Err(Error::Unknown));
        assert_eq!(watermarks.add(b"<svg/>"), Err(Error::NoPicture));
        for index in 0..60_u8 {
            watermarks.add(&[PNG, &[index]].concat()).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path().join("watermarks")).unwrap().count(), MAX_PICTURES);
    }

    #[test]
    fn a_name_is_no_path() {
        for text in ["", "..", "../../../../etc/passwd", &"A".repeat(64), &"/".repeat(64)] {
            assert!(Name::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}

//! From the name of a model to the path of its file.

use std::path::{Path, PathBuf};

use super::{Error, catalogue, fault::Fault};

/// The file that `name` refers to: a path, or the downloaded file of a catalogue entry.
///
/// # Errors
/// [`Error::NotFetched`] for an entry that is not downloaded; [`Error::Unsuitable`] for a built-in
/// model, which has no file.
pub(super) fn locate(name: &str) -> Result<PathBuf, Error> {
    // An existing file takes precedence over a catalogue entry of the same name.
    match catalogue::find(name) {
        Some(entry) if entry.url.is_none() => {
            let why = "a built-in model cannot be part of a pair; specify two files";
            Err(Fault::unsuitable(why).at(Path::new(name)))
        }
        Some(entry) if !Path::new(name).is_file() => match entry.path() {
            Some(path) if path.is_file() => Ok(path),
            _ => Err(Error::NotFetched { name: entry.name.clone() }),
        },
        _ => Ok(name.into()),
    }
}

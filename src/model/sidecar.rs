//! The `.toml` file next to a model file, with the settings that the model file cannot store.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::fault::Reason;

/// The largest sidecar file, in bytes.
const MAX_SIZE: u64 = 1 << 16;

/// Why a sidecar file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SidecarError {
    #[error("{0} is not a file of at most {MAX_SIZE} bytes")]
    Size(PathBuf),
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("cannot parse {0}: {message}", message = .1.message())]
    Toml(PathBuf, toml::de::Error),
}

impl Reason for SidecarError {
    fn is_damage(&self) -> bool {
        false
    }
}

/// Reads `NAME.ext.toml`, or else `NAME.toml`, next to `path`; `None` if neither exists.
///
/// # Errors
/// See [`SidecarError`].
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, SidecarError> {
    let mut longer = path.as_os_str().to_owned();
    longer.push(".toml");
    for sidecar in [PathBuf::from(longer), path.with_extension("toml")] {
        let Ok(meta) = std::fs::metadata(&sidecar) else { continue };
        if !meta.is_file() || meta.len() > MAX_SIZE {
            return Err(SidecarError::Size(sidecar));
        }
        return match std::fs::read_to_string(&sidecar) {
            Ok(text) => {
                toml::from_str(&text).map(Some).map_err(|error| SidecarError::Toml(sidecar, error))
            }
            Err(error) => Err(SidecarError::Io(sidecar, error)),
        };
    }
    Ok(None)
}

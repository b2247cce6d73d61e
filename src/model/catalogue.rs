//! Models with a name: `models/catalogue.toml`, compiled into the library.
//!
//! ```
//! use gstupscale::model::catalogue;
//!
//! let entry = catalogue::find("RealESRGAN_x4plus").unwrap();
//! assert_eq!(entry.factor, 4);
//! ```

use std::{path::PathBuf, sync::OnceLock};

use bytes::Bytes;
use serde::Deserialize;

/// The content that a model was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Photographs and live-action video.
    Photo,
    /// Drawn and animated content.
    Anime,
    /// Any content.
    General,
    /// Removing artefacts, without enlarging.
    Restoration,
}

/// One entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name that [`Model::open`](super::Model::open) accepts.
    pub name: String,
    /// The name of the network, such as `SRVGGNetCompact`.
    pub architecture: String,
    /// Output size over input size.
    pub factor: u32,
    /// The content that the model was trained for.
    pub purpose: Purpose,
    /// A short description.
    pub about: String,
    /// The licence of the weights, an SPDX expression.
    pub licence: String,
    /// The size of the file in bytes, if known.
    pub size: Option<u64>,
    /// The lower-case hexadecimal SHA-256 of the file; `None` for built-in models.
    pub sha256: Option<String>,
    /// The address of the official release; `None` for built-in models.
    pub url: Option<String>,
}

impl Entry {
    /// The name of the downloaded file; `None` for built-in models.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        let name = self.url.as_deref()?.rsplit('/').next()?;
        (!matches!(name, "" | "." | "..")).then_some(name)
    }

    /// The path of the downloaded file; `None` for built-in models, or if there is no data folder.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        Some(folder()?.join(self.file_name()?))
    }

    /// Whether the model can be opened: it is built in, or its file is downloaded.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.url.is_none() || self.path().is_some_and(|path| path.is_file())
    }
}

/// All entries, in the order of the file.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    // A test checks that the text is valid.
    ENTRIES.get_or_init(|| parse(include_str!("../../models/catalogue.toml")).unwrap_or_default())
}

/// The entries of a catalogue.
///
/// # Errors
/// The text is no catalogue.
#[doc(hidden)]
pub fn parse(text: &str) -> Result<Vec<Entry>, toml::de::Error> {
    #[derive(Deserialize)]
    struct Catalogue {
        model: Vec<Entry>,
    }
    toml::from_str(text).map(|catalogue: Catalogue| catalogue.model)
}

/// The entry of this name, ignoring case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// All names, separated by commas, for messages.
#[must_use]
pub fn names() -> String {
    entries().iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The folder of downloaded models: `gst-upscale/models` in the user's XDG data folder. `None` if
/// the user has no data folder.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    dirs::data_dir().map(|data| data.join("gst-upscale/models"))
}

/// The content of a built-in model's file; `None` if there is no built-in model of this name.
pub(super) fn built_in(name: &str) -> Option<Bytes> {
    let bytes: &'static [u8] = match name {
        "builtin" => include_bytes!("../../models/builtin.onnx"),
        "builtin-quality" => include_bytes!("../../models/builtin-quality.onnx"),
        _ => return None,
    };
    Some(Bytes::from_static(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_valid() {
        assert!(entries().len() >= 8);
        for entry in entries() {
            match (&entry.url, &entry.sha256) {
                (None, None) => assert!(built_in(&entry.name).is_some(), "{}", entry.name),
                (Some(url), Some(sum)) => {
                    assert!(url.starts_with("https://"), "{url}");
                    assert!(sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()));
                }
                _ => panic!("{}: expected both url and sha256, or neither", entry.name),
            }
        }
    }

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        assert_eq!(find("realesrgan_X4plus").map(|entry| entry.factor), Some(4));
        for entry in entries() {
            assert_eq!(find(&entry.name), Some(entry));
        }
    }
}

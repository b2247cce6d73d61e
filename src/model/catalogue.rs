//! Models that are known by name: `models/catalogue.toml`, built into the library.

use std::{path::PathBuf, sync::OnceLock};

use bytes::Bytes;
use serde::Deserialize;

/// What a model was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Photo,
    Anime,
    General,
    /// Cleaning rather than enlarging.
    Restoration,
}

/// One model of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What `model=` takes.
    pub name: String,
    pub architecture: String,
    /// Output size over input size.
    pub factor: u32,
    pub purpose: Purpose,
    /// What it is good for, in a few words.
    pub about: String,
    /// An SPDX expression.
    pub licence: String,
    /// Bytes of the file, where that is known.
    pub size: Option<u64>,
    /// Lower-case hexadecimal SHA-256 of the file; none for built-in models.
    pub sha256: Option<String>,
    /// Where the official release has it; none for built-in models.
    pub url: Option<String>,
}

impl Entry {
    /// The name of the file that is fetched; none for built-in models.
    pub fn file_name(&self) -> Option<&str> {
        self.url.as_deref().and_then(|url| url.rsplit('/').next())
    }

    /// Where a fetched file lies; none for built-in models, or where there is no data folder.
    pub fn path(&self) -> Option<PathBuf> {
        Some(folder()?.join(self.file_name()?))
    }

    /// Whether the file was fetched (or needs not be).
    pub fn is_here(&self) -> bool {
        self.url.is_none() || self.path().is_some_and(|path| path.is_file())
    }
}

/// Every entry, in the order of the file.
pub fn entries() -> &'static [Entry] {
    #[derive(Deserialize)]
    struct Catalogue {
        model: Vec<Entry>,
    }
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    // A test holds that the built-in text is sound.
    ENTRIES.get_or_init(|| {
        let text = include_str!("../../models/catalogue.toml");
        toml::from_str(text).map_or_else(|_| Vec::new(), |catalogue: Catalogue| catalogue.model)
    })
}

/// The entry of this name; letters may be of either case.
pub fn find(name: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// Every name, for messages.
pub fn names() -> String {
    entries().iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Where fetched models lie: `gst-upscale/models` in the user's XDG data folder.
pub fn folder() -> Option<PathBuf> {
    dirs::data_dir().map(|data| data.join("gst-upscale/models"))
}

/// The file of a model that is part of the library.
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
    fn the_catalogue_is_sound() {
        assert!(entries().len() >= 8);
        for entry in entries() {
            match (&entry.url, &entry.sha256) {
                (None, None) => assert!(built_in(&entry.name).is_some(), "{}", entry.name),
                (Some(url), Some(sum)) => {
                    assert!(url.starts_with("https://"), "{url}");
                    assert!(sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()));
                }
                _ => panic!("{}: an address without a checksum, or the other way", entry.name),
            }
        }
    }

    #[test]
    fn names_are_found_in_either_case_and_only_once() {
        assert_eq!(find("realesrgan_X4plus").map(|entry| entry.factor), Some(4));
        for entry in entries() {
            assert_eq!(find(&entry.name), Some(entry));
        }
    }
}

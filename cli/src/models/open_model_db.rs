//! A local copy of the index of OpenModelDB (<https://openmodeldb.info>, `src/lib/schema.ts` of its
//! repository): `models.json` of its API, or the folder `data/models` of its repository.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The largest file in bytes; `models.json` has 3 MB.
const MAX_SIZE: u64 = 64 << 20;

/// The folder of models in a checkout of the repository.
const FOLDER: &str = "data/models";

/// The architectures, by OpenModelDB's names in lower case, whose weights this program reads.
const READ: [&str; 35] = [
    "atd",
    "compact",
    "cugan",
    "dat",
    "dctlsa",
    "ditn",
    "dncnn",
    "drct",
    "drunet",
    "edsr",
    "esrgan",
    "esrgan+",
    "fbcnn",
    "fdat",
    "hat",
    "moesr",
    "mosr",
    "mosrv2",
    "nafnet",
    "omnisr",
    "plksr",
    "rcan",
    "real-cugan",
    "realplksr",
    "realplksr-dysample",
    "rgt",
    "rtmosr",
    "safmn",
    "scunet",
    "span",
    "spanplus",
    "srformer",
    "swift-srgan",
    "swin2sr",
    "swinir",
];

/// Why an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("{0} is larger than {MAX_SIZE} bytes")]
    Size(PathBuf),
    #[error("{0} is not an index of OpenModelDB: {1}")]
    Json(PathBuf, serde_json::Error),
    #[error("{0} has no model; expected models.json or the folder data/models of OpenModelDB")]
    Empty(PathBuf),
}

/// A model of the index.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub name: String,
    #[serde(default)]
    author: OneOrMany,
    /// An SPDX expression, if the author states one.
    #[serde(default)]
    pub license: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub description: String,
    /// The day of publication, yyyy-mm-dd.
    #[serde(default)]
    pub date: String,
    #[serde(default)]
    pub architecture: String,
    /// Output size over input size.
    #[serde(default)]
    pub scale: u32,
    #[serde(default)]
    pub resources: Vec<Resource>,
}

/// A file of a model.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Resource {
    /// `pth`, `safetensors` or `onnx`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    #[serde(default)]
    pub sha256: Option<String>,
    #[serde(default)]
    pub urls: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Entry {
    /// The authors, separated by commas.
    pub fn authors(&self) -> String {
        match &self.author {
            OneOrMany::One(name) => name.clone(),
            OneOrMany::Many(names) => names.join(", "),
        }
    }

    /// Whether this program reads a file of the model.
    pub fn opens(&self) -> bool {
        let architecture = self.architecture.to_ascii_lowercase();
        READ.contains(&architecture.as_str())
            || self.resources.iter().any(|file| file.kind == "onnx")
    }

    /// Whether each of the words is in the identifier, the name, the authors, the tags, the
    /// architecture or the description, in any case.
    pub fn matches(&self, id: &str, words: &[String]) -> bool {
        let texts = [id, &self.name, &self.authors(), &self.architecture, &self.description];
        let all = [&texts.join("\n"), &self.tags.join("\n")].map(|text| text.to_lowercase());
        words.iter().all(|word| {
            let word = word.to_lowercase();
            all.iter().any(|text| text.contains(&word))
        })
    }
}

/// The models of the index at `path`, by identifier, and the files of a folder that are not models.
///
/// # Errors
/// See [`Error`].
pub fn read(path: &Path) -> Result<(BTreeMap<String, Entry>, Vec<Error>), Error> {
    let mut models = BTreeMap::new();
    let mut failed = Vec::new();
    if path.is_dir() {
        let inner = path.join(FOLDER);
        let folder = if inner.is_dir() { inner } else { path.to_owned() };
        let io = |error| Error::Io(folder.clone(), error);
        for file in fs::read_dir(&folder).map_err(io)? {
            let file = file.map_err(io)?.path();
            let stem = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            let (Some(id), true) = (stem, file.extension().is_some_and(|end| end == "json")) else {
                continue;
            };
            match parse(&file) {
                Ok(entry) => drop(models.insert(id, entry)),
                Err(error) => failed.push(error),
            }
        }
    } else {
        models = parse(path)?;
    }
    if models.is_empty() {
        return Err(failed.pop().unwrap_or_else(|| Error::Empty(path.to_owned())));
    }
    Ok((models, failed))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let io = |error| Error::Io(path.to_owned(), error);
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(Error::Size(path.to_owned()));
    }
    serde_json::from_slice(&bytes).map_err(|error| Error::Json(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"{"name": "DeH264", "author": ["a", "b"], "license": null,
        "tags": ["compression-removal"], "description": "Removes H264 artefacts.",
        "date": "2024-08-08", "architecture": "RealPLKSR", "size": null, "scale": 1,
        "inputChannels": 3, "outputChannels": 3, "images": [],
        "resources": [{"platform": "pytorch", "type": "pth", "size": 29559554,
                       "sha256": null, "urls": ["https://example.org/a.pth"]}]}"#;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_file_and_a_folder_of_the_repository_hold_the_same_models() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("models.json");
        fs::write(&file, format!(r#"{{"1x-DeH264": {MODEL}}}"#)).unwrap();
        let (from_file, _) = read(&file).unwrap();
        let inner = folder.path().join(FOLDER);
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("1x-DeH264.json"), MODEL).unwrap();
        fs::write(inner.join("1x-Damaged.json"), "{").unwrap();
        let (from_folder, failed) = read(folder.path()).unwrap();
        assert_eq!(from_file, from_folder);
        assert_eq!(failed.len(), 1, "{failed:?}");
        let entry = &from_file["1x-DeH264"];
        assert_eq!((entry.authors().as_str(), entry.scale, entry.opens()), ("a, b", 1, true));
    }

    #[test]
    fn every_word_must_be_in_an_entry() {
        let entry: Entry = serde_json::from_str(MODEL).unwrap();
        assert!(entry.matches("1x-DeH264", &words("h264 COMPRESSION realplksr")));
        assert!(!entry.matches("1x-DeH264", &words("h264 anime")));
        assert!(entry.matches("1x-DeH264", &[]));
    }

    #[test]
    fn what_is_no_index_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(Error::Empty(_))));
        let file = folder.path().join("models.json");
        fs::write(&file, "[1]").unwrap();
        assert!(matches!(read(&file), Err(Error::Json(..))));
        assert!(matches!(read(&folder.path().join("missing")), Err(Error::Io(..))));
    }
}

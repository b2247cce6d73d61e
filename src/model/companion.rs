//! The `.toml` beside a model's file, which tells what the file cannot.

use std::path::Path;

use serde::de::DeserializeOwned;

/// A companion file of more than this is none.
const LIMIT: u64 = 1 << 16;

/// What `NAME.ext.toml`, else `NAME.toml`, beside `path` tells; `None` where there is neither.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let mut longer = path.as_os_str().to_owned();
    longer.push(".toml");
    for companion in [Path::new(&longer), &path.with_extension("toml")] {
        let Ok(meta) = std::fs::metadata(companion) else { continue };
        let say = |why: &str| format!("{} beside it is not understood: {why}", companion.display());
        if !meta.is_file() || meta.len() > LIMIT {
            return Err(say("it is too large"));
        }
        let text = std::fs::read_to_string(companion).map_err(|error| say(&error.to_string()))?;
        return toml::from_str(&text).map(Some).map_err(|error| say(error.message()));
    }
    Ok(None)
}

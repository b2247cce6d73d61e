//! What the tests share.

use std::path::PathBuf;

/// The folder of pictures, models and videos beside the checkout, where there is one. A test
/// that finds none is skipped and says so.
pub fn test_data() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no test data at {}", folder.display());
    None
}

//! The folder of test data.

use std::path::{Path, PathBuf};

/// The root of the checkout, whichever package the test belongs to.
pub fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("kernels").is_dir());
    root.expect("the package is part of a checkout")
}

/// The folder of pictures, models and videos next to the checkout. `None`, with a message that the
/// test is skipped, if it does not exist.
pub fn test_data() -> Option<PathBuf> {
    let folder = checkout().join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no test data at {}", folder.display());
    None
}

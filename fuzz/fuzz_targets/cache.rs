//! Reads a stored measurement of every kind. The input is the file; if it does not start with `{`, it is
//! the value in a file with the right key and build.
#![no_main]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use gstupscale::backend::internals::{BUILD, stored_path, use_stored};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "key";

fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = upscale_fuzz::folder().join("results");
        fs::create_dir_all(&folder).expect("the temporary directory is writable");
        folder
    })
}

fuzz_target!(|data: &[u8]| {
    let file = match data.first() {
        Some(b'{') => data.to_vec(),
        _ => {
            let start = format!(r#"{{"build":"{BUILD}","key":"{KEY}","value":"#);
            [start.as_bytes(), data, b"}"].concat()
        }
    };
    fs::write(stored_path(folder(), KEY), file).expect("the temporary directory is writable");
    use_stored(folder(), KEY);
});

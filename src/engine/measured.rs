//! Results of measurements, stored between runs of the program.
//!
//! Each result is a small JSON file named after its key. A file that cannot be read or has another
//! key is ignored, and a result that cannot be written is measured again.
//!
//! A stored result decides what pictures look like. It is believed only if this user alone can have
//! written it, and its reader must check its range.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    interrupt::Interrupt,
    private::{self, is_private},
};
use crate::model::sha256_hex;

/// Larger files are ignored. The largest results have tens of kilobytes.
const MAX_SIZE: u64 = 1 << 20;

/// Results of other builds are ignored.
pub(crate) const BUILD: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    build: String,
    key: String,
    value: T,
}

fn file_name(key: &str) -> String {
    let mut name = sha256_hex([key]);
    name.truncate(32);
    name + ".json"
}

/// Where the value of `key` is stored.
pub(crate) fn path(folder: &Path, key: &str) -> PathBuf {
    folder.join(file_name(key))
}

/// The value stored under `key`; `None` if it is missing, damaged, or not private to this user.
pub(crate) fn read<T: DeserializeOwned>(folder: &Path, key: &str) -> Option<T> {
    if !is_private(folder) || !folder.parent().is_some_and(is_private) {
        return None;
    }
    let text = private::read(&path(folder, key), MAX_SIZE).ok()?;
    let entry: Entry<T> = serde_json::from_slice(&text).ok()?;
    (entry.build == BUILD && entry.key == key).then_some(entry.value)
}

/// Stores `value` under `key`, atomically because another process may read it. What was measured
/// while the current [`Interrupt`] was raised is not stored: some of it may have been cut short.
pub(crate) fn write<T: Serialize>(folder: &Path, key: &str, value: T) {
    if Interrupt::current().is_raised() {
        return;
    }
    let entry = Entry { build: BUILD.to_owned(), key: key.to_owned(), value };
    let _ = private::create(folder).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&entry)?)?;
        file.persist(path(folder, key))?;
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::unix::fs::PermissionsExt as _,
    };

    use super::*;

    #[test]
    fn a_stored_result_is_read_back_and_a_damaged_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not/there/yet");
        assert_eq!(read::<u32>(&folder, "key"), None);
        write(&folder, "key", 7);
        assert_eq!(read(&folder, "key"), Some(7));
        assert_eq!(read::<u32>(&folder, "another key"), None);

        fs::write(folder.join(file_name("key")), b"{\"key\":\"key\",\"val").unwrap();
        assert_eq!(read::<u32>(&folder, "key"), None);
        write(&folder, "key", 8);
        assert_eq!(read(&folder, "key"), Some(8));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_not_an_error() {
        write(Path::new("/dev/null/cache"), "key", 1);
        assert_eq!(read::<u32>(Path::new("/dev/null/cache"), "key"), None);
    }

    /// A directory that holds a directory with the value 7 under "key", and the path of the latter.
    fn stored() -> (tempfile::TempDir, PathBuf) {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("results");
        write(&folder, "key", 7);
        (around, folder)
    }

    #[test]
    fn what_another_user_may_have_written_is_ignored() {
        let (around, folder) = stored();
        for changed in [folder.as_path(), around.path()] {
            for (mode, value) in [(0o777, None), (0o770, None), (0o755, Some(7)), (0o700, Some(7))]
            {
                fs::set_permissions(changed, fs::Permissions::from_mode(mode)).unwrap();
                assert_eq!(read(&folder, "key"), value, "{mode:o} {}", changed.display());
            }
        }
    }

    #[test]
    fn only_plain_files_of_a_bounded_size_are_read_and_others_are_replaced() {
        let (_around, folder) = stored();
        let file = folder.join(file_name("key"));
        let copy = folder.join("copy");
        fs::copy(&file, &copy).unwrap();
        let replace: [&dyn Fn(); 5] = [
            &|| std::os::unix::fs::symlink(&copy, &file).unwrap(),
            &|| std::os::unix::fs::symlink("/dev/zero", &file).unwrap(),
            &|| {
                let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
                // SAFETY: `path` is a valid string.
                assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
            },
            &|| File::create(&file).unwrap().set_len(6 << 30).unwrap(),
            &|| fs::write(&file, r#"{"build":"0.0.1","key":"key","value":7}"#).unwrap(),
        ];
        for replace in replace {
            fs::remove_file(&file).unwrap();
            replace();
            assert_eq!(read::<u32>(&folder, "key"), None);
            write(&folder, "key", 8);
            assert_eq!(read(&folder, "key"), Some(8));
        }
        let text = fs::read_to_string(copy).unwrap();
        assert!(text.contains("\"value\": 7"), "a link is replaced, not followed: {text}");
    }
}

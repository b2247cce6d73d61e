//! Results of measurements, stored between runs of the program.
//!
//! Each result is a small JSON file named after its key. A file that cannot be read or has another
//! key is ignored, and a result that cannot be written is measured again.

use std::{fs, io::Write as _, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::interrupt::Interrupt;
use crate::model::sha256_hex;

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    key: String,
    value: T,
}

fn file_name(key: &str) -> String {
    let mut name = sha256_hex([key]);
    name.truncate(32);
    name + ".json"
}

/// The value stored under `key`; `None` if it is missing or damaged.
pub(crate) fn read<T: DeserializeOwned>(folder: &Path, key: &str) -> Option<T> {
    let text = fs::read(folder.join(file_name(key))).ok()?;
    let entry: Entry<T> = serde_json::from_slice(&text).ok()?;
    (entry.key == key).then_some(entry.value)
}

/// Stores `value` under `key`, atomically because another process may read it. What was measured
/// while the current [`Interrupt`] was raised is not stored: some of it may have been cut short.
pub(crate) fn write<T: Serialize>(folder: &Path, key: &str, value: T) {
    if Interrupt::current().is_raised() {
        return;
    }
    let entry = Entry { key: key.to_owned(), value };
    let _ = fs::create_dir_all(folder).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&entry)?)?;
        file.persist(folder.join(file_name(key)))?;
        Ok(())
    });
}

#[cfg(test)]
mod tests {
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
}

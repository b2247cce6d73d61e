//! Reads a catalogue of models.
#![no_main]

use gstupscale::model::catalogue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for entry in catalogue::parse(text).unwrap_or_default() {
        let (Some(path), Some(folder)) = (entry.path(), catalogue::folder()) else { continue };
        assert_eq!(path.parent(), Some(folder.as_path()), "{entry:?}");
    }
});

//! The length of AVI files (RIFF, OpenDML). `avidemux` of GStreamer 1.22 reads a file that was cut off
//! without a word.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// A sentence about what is missing at the end of an AVI file; `None` if nothing is, or if it is
/// another file.
pub fn truncation(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let end = end(&mut file)?;
    (end > length).then(|| format!("its header says {end} bytes, but it has {length}"))
}

/// Where the last chunk of the file ends, according to its header.
fn end(file: &mut File) -> Option<u64> {
    let mut end = None;
    loop {
        let at = end.unwrap_or_default();
        let mut header = [0; 12];
        file.seek(SeekFrom::Start(at)).ok()?;
        if file.read_exact(&mut header).is_err() {
            return end;
        }
        let [b'R', b'I', b'F', b'F', a, b, c, d, b'A', b'V', b'I', b' ' | b'X'] = header else {
            return end;
        };
        match u32::from_le_bytes([a, b, c, d]) {
            // The length was not known when the header was written.
            0 | u32::MAX => return end,
            size => end = Some(at + 8 + u64::from(size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_shorter_than_its_header_says_is_truncated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.avi");
        let chunk =
            |kind: &[u8], size: u32| [b"RIFF", &size.to_le_bytes()[..], kind, &[0; 20]].concat();
        for (content, is_truncated) in [
            (chunk(b"AVI ", 24), false),
            ([chunk(b"AVI ", 24), chunk(b"AVIX", 25)].concat(), true),
            (chunk(b"AVI ", 99), true),
            (chunk(b"AVI ", 0), false),
            (chunk(b"WAVE", 99), false),
            (vec![], false),
        ] {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(truncation(&path).is_some(), is_truncated, "{content:?}");
        }
    }
}

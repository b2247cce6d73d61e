//! The record of a finished segment: what its payload holds and how to mux it.

use serde::{Deserialize, Serialize};

use super::{
    folder::{self, Error, Folder},
    plan::sha256,
};

/// One encoded packet of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Size in bytes.
    pub size: u64,
    /// Presentation time in nanoseconds from the start of the film.
    pub pts: i64,
    /// Decoding time in nanoseconds from the start of the film. Can be negative.
    pub dts: i64,
    /// In nanoseconds.
    pub duration: u64,
    /// Whether decoding can start here.
    pub key: bool,
}

/// A segment is done if its record exists and its payload matches the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The caps of the packets, in GStreamer's notation.
    pub caps: String,
    /// SHA-256 of the payload.
    pub sha256: String,
    pub packets: Vec<Packet>,
    /// The number of input frames.
    pub frames: usize,
    /// The device that computed it and its wall-clock time in seconds, for the user.
    pub device: String,
    pub seconds: f64,
}

/// The largest record and payload that are read, in bytes.
const MAX_RECORD: u64 = 1 << 26;
const MAX_PAYLOAD: u64 = 1 << 36;

/// The state of a segment on the disk.
#[derive(Debug, PartialEq)]
pub enum State {
    /// It is not done.
    Missing,
    /// Its record and payload do not belong together, or one of them cannot be read.
    Damaged,
    Done(Record),
}

impl Record {
    /// Writes the payload, then the record.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, folder: &Folder, segment: usize, payload: &[u8]) -> Result<(), Error> {
        folder::write(&folder.payload(segment), payload)?;
        let path = folder.record(segment);
        let data = serde_json::to_vec(self).map_err(std::io::Error::other);
        let data = data.map_err(|source| Error::Write { path: path.clone(), source })?;
        folder::write(&path, &data)
    }
}

/// Reads a segment's record, and its payload to check the digest.
pub fn check(folder: &Folder, segment: usize) -> State {
    match read(folder, segment) {
        Some(Ok((record, _))) => State::Done(record),
        Some(Err(_)) => State::Damaged,
        None => State::Missing,
    }
}

/// Reads a segment. `None` if it has no record.
///
/// # Errors
/// [`Error::Read`], or [`Error::Damaged`] if record and payload do not belong together.
pub fn read(folder: &Folder, segment: usize) -> Option<Result<(Record, Vec<u8>), Error>> {
    let path = folder.record(segment);
    path.symlink_metadata().ok()?;
    let read = || {
        let data = folder::read(&path, MAX_RECORD)?;
        let record: Record =
            serde_json::from_slice(&data).map_err(|_| Error::Damaged(path.clone()))?;
        let payload_path = folder.payload(segment);
        let payload = folder::read(&payload_path, MAX_PAYLOAD)?;
        let sizes = record.packets.iter().try_fold(0_u64, |sum, it| sum.checked_add(it.size));
        if sizes != Some(payload.len() as u64) || sha256(&payload) != record.sha256 {
            return Err(Error::Damaged(payload_path));
        }
        Ok((record, payload))
    };
    Some(read())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(payload: &[u8]) -> Record {
        let packet = Packet { size: payload.len() as u64, pts: 0, dts: -1, duration: 1, key: true };
        Record {
            caps: "video/x-h264".into(),
            sha256: sha256(payload),
            packets: vec![packet],
            frames: 1,
            device: "cpu".into(),
            seconds: 0.5,
        }
    }

    #[test]
    fn a_segment_is_done_only_if_its_payload_matches_its_record() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::of(&parent.path().join("new.mkv"));
        folder.create().unwrap();
        assert_eq!(check(&folder, 0), State::Missing);
        fs::write(folder.payload(0), "payload").unwrap();
        assert_eq!(check(&folder, 0), State::Missing);
        record(b"payload").write(&folder, 0, b"payload").unwrap();
        assert_eq!(check(&folder, 0), State::Done(record(b"payload")));
        for damage in ["Payload", "payloa"] {
            fs::write(folder.payload(0), damage).unwrap();
            assert_eq!(check(&folder, 0), State::Damaged);
        }
        fs::remove_file(folder.payload(0)).unwrap();
        assert_eq!(check(&folder, 0), State::Damaged);
        fs::write(folder.record(0), "").unwrap();
        assert_eq!(check(&folder, 0), State::Damaged);
    }
}

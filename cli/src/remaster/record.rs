//! The record of a finished segment: what its payload holds and how to mux it.

use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::{
    digest::sha256,
    folder::{self, Error, Folder},
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
    /// Size of the payload. `None` if no payload can be that large.
    fn bytes(&self) -> Option<u64> {
        self.packets.iter().try_fold(0_u64, |sum, packet| sum.checked_add(packet.size))
    }

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

/// How thoroughly a segment is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The payload has the size that the record says.
    Size,
    /// It has the digest that the record says. All of it is read.
    Digest,
}

/// The state of a segment.
pub fn check(folder: &Folder, segment: usize, check: Check) -> State {
    let Some(record) = read_record(folder, segment) else { return State::Missing };
    let checked = record.and_then(|record| {
        if check == Check::Digest {
            read_payload(folder, segment, &record)?;
        } else if fs::metadata(folder.payload(segment)).ok().map(|it| it.len()) != record.bytes() {
            return Err(Error::Damaged(folder.payload(segment)));
        }
        Ok(record)
    });
    checked.map_or(State::Damaged, State::Done)
}

/// Reads the record of a segment. `None` if it has none.
fn read_record(folder: &Folder, segment: usize) -> Option<Result<Record, Error>> {
    let path = folder.record(segment);
    path.symlink_metadata().ok()?;
    let data = folder::read(&path, MAX_RECORD);
    Some(data.and_then(|data| serde_json::from_slice(&data).map_err(|_| Error::Damaged(path))))
}

/// Reads the payload of a segment with this record.
///
/// # Errors
/// [`Error::Read`], or [`Error::Damaged`] if record and payload do not belong together.
pub fn read_payload(folder: &Folder, segment: usize, record: &Record) -> Result<Vec<u8>, Error> {
    let path = folder.payload(segment);
    let payload = folder::read(&path, MAX_PAYLOAD)?;
    if record.bytes() != Some(payload.len() as u64) || sha256(&payload) != record.sha256 {
        return Err(Error::Damaged(path));
    }
    Ok(payload)
}

/// Removes a segment, so that it is not done.
///
/// # Errors
/// [`Error::Write`].
pub fn remove(folder: &Folder, segment: usize) -> Result<(), Error> {
    let path = folder.record(segment);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Write { path, source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn record(payload: &[u8]) -> Record {
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
        let state = || check(&folder, 0, Check::Digest);
        assert_eq!(state(), State::Missing);
        fs::write(folder.payload(0), "payload").unwrap();
        assert_eq!(state(), State::Missing);
        record(b"payload").write(&folder, 0, b"payload").unwrap();
        assert_eq!(state(), State::Done(record(b"payload")));
        for damage in ["Payload", "payloa"] {
            fs::write(folder.payload(0), damage).unwrap();
            assert_eq!(state(), State::Damaged);
        }
        assert_eq!(check(&folder, 0, Check::Size), State::Damaged);
        fs::remove_file(folder.payload(0)).unwrap();
        assert_eq!(state(), State::Damaged);
        fs::write(folder.record(0), "").unwrap();
        assert_eq!(state(), State::Damaged);
        remove(&folder, 0).unwrap();
        remove(&folder, 0).unwrap();
        assert_eq!(state(), State::Missing);
    }
}

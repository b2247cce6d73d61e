//! Random damage to the files of a work folder. `UPSCALE_CASES` sets the number of cases.

use std::fs;

use super::{
    Folder,
    frame_table::{self, Frame, Locator, SegmentLength},
    plan::{self, Plan},
    record::{self, Check},
};

/// The number of cases of each test.
fn cases() -> usize {
    std::env::var("UPSCALE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

/// A work folder in a temporary directory.
fn folder() -> (tempfile::TempDir, Folder) {
    let parent = tempfile::tempdir().unwrap();
    let folder = Folder::of(&parent.path().join("film.mkv"));
    folder.create().unwrap();
    (parent, folder)
}

/// Overwrites, inserts, repeats, removes or cuts a few bytes. Digits mostly become other digits, so that text
/// stays readable.
fn damage(good: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..random.usize(1..5) {
        let at = random.usize(0..=bytes.len());
        let end = (at + random.usize(0..20)).min(bytes.len());
        match random.u8(0..8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, random.u8(..)),
            3 => drop(bytes.splice(at..at, good.get(at..end).unwrap_or_default().to_vec())),
            4 => drop(bytes.splice(at..end, *b"18446744073709551615")),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte =
                        if byte.is_ascii_digit() { random.u8(b'0'..=b'9') } else { random.u8(..) };
                }
            }
        }
    }
    bytes
}

#[test]
fn a_damaged_plan_is_refused_or_consistent() {
    let (_parent, folder) = folder();
    plan::tests::plan().write(&folder).unwrap();
    let good = fs::read(folder.plan()).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let mut read = 0;
    for _ in 0..cases() {
        fs::write(folder.plan(), damage(&good, &mut random)).unwrap();
        let Ok(plan) = Plan::read(&folder) else { continue };
        read += 1;
        assert!(plan.difference(&plan.request, &plan.versions).is_none());
        assert!(plan.segments.iter().all(|segment| segment.end <= plan.frames()));
        assert!(plan.input.check().is_err(), "the input does not exist");
    }
    assert!(read > 0, "no damaged plan can be read");
}

#[test]
fn a_damaged_record_is_not_done_unless_it_describes_the_payload() {
    let (_parent, folder) = folder();
    let payload = b"the packets of a segment";
    record::tests::record(payload).write(&folder, 0, payload).unwrap();
    let good = fs::read(folder.record(0)).unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..cases() {
        fs::write(folder.record(0), damage(&good, &mut random)).unwrap();
        if let record::State::Done(record) = record::check(&folder, 0, Check::Digest) {
            let sizes: u64 = record.packets.iter().map(|packet| packet.size).sum();
            assert_eq!(sizes, payload.len() as u64);
        }
    }
}

#[test]
fn a_damaged_frame_table_is_refused_or_divided_without_gaps() {
    let (_parent, folder) = folder();
    let mut random = fastrand::Rng::with_seed(3);
    let frame = |number: u64| Frame {
        pts: number * 41_708_333,
        duration: 41_708_333,
        hash: number / 3,
        change: (number * 7919 % 1000) as u16,
        key: number.is_multiple_of(25),
    };
    frame_table::write(&folder.frames(), &(0..200).map(frame).collect::<Vec<_>>()).unwrap();
    let good = fs::read(folder.frames()).unwrap();
    let mut read = 0;
    for _ in 0..cases() {
        fs::write(folder.frames(), damage(&good, &mut random)).unwrap();
        let Ok(frames) = frame_table::read(&folder.frames()) else { continue };
        read += 1;
        let mut next = 0;
        for segment in frame_table::segments(&frames, SegmentLength::about(2.0)) {
            assert!(segment.start == next && !segment.is_empty(), "{segment:?} after {next}");
            next = segment.end;
        }
        assert_eq!(next, frames.len());
        let mut locator = Locator::default();
        for (number, frame) in frames.iter().enumerate() {
            let found = locator.push(&frames, frame.hash, frame.pts);
            assert!(found.is_some_and(|found| frames[found].hash == frame.hash), "{number}");
        }
    }
    assert!(read > 0, "no damaged table can be read");
}

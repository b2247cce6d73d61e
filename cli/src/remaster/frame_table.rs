//! The frame table: timestamp and hash of every decoded frame of the input.

use std::{ops::Range, path::Path};

use serde::{Deserialize, Serialize};

use super::folder::{self, Error};

/// One decoded frame of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Presentation time in nanoseconds from the start of the film.
    pub pts: u64,
    /// In nanoseconds.
    pub duration: u64,
    /// Hash of the visible samples of all planes.
    pub hash: u64,
    /// Mean absolute difference of the luma from the frame before, in 1/16 of an 8-bit step.
    pub change: u16,
    /// Whether decoding can start at this frame.
    pub key: bool,
}

/// The times and durations of frames, in nanoseconds.
pub fn times(frames: &[Frame]) -> Vec<(u64, u64)> {
    frames.iter().map(|frame| (frame.pts, frame.duration)).collect()
}

/// First bytes of the file; the last one is the version of the format.
const MAGIC: &[u8; 8] = b"GSUFRAM\x01";
/// Bytes of a frame in the file: pts, duration, hash, change, key, all little-endian.
const FRAME_BYTES: usize = 27;
/// The longest film: 100 hours at 120 frames per second.
const MAX_FRAMES: u64 = 100 * 3600 * 120;

/// Writes the table.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, frames: &[Frame]) -> Result<(), Error> {
    let mut data = MAGIC.to_vec();
    for frame in frames {
        data.extend(frame.pts.to_le_bytes());
        data.extend(frame.duration.to_le_bytes());
        data.extend(frame.hash.to_le_bytes());
        data.extend(frame.change.to_le_bytes());
        data.push(frame.key.into());
    }
    folder::write(path, &data)
}

/// Reads the table.
///
/// # Errors
/// [`Error::Read`] or [`Error::Damaged`].
pub fn read(path: &Path) -> Result<Vec<Frame>, Error> {
    let damaged = || Error::Damaged(path.into());
    let data = folder::read(path, MAGIC.len() as u64 + MAX_FRAMES * FRAME_BYTES as u64)?;
    let frames = data.strip_prefix(MAGIC).ok_or_else(damaged)?.chunks(FRAME_BYTES);
    frames.map(|bytes| parse(bytes).ok_or_else(damaged)).collect()
}

fn parse(bytes: &[u8]) -> Option<Frame> {
    let (pts, bytes) = bytes.split_first_chunk()?;
    let (duration, bytes) = bytes.split_first_chunk()?;
    let (hash, bytes) = bytes.split_first_chunk()?;
    let (change, bytes) = bytes.split_first_chunk()?;
    Some(Frame {
        pts: u64::from_le_bytes(*pts),
        duration: u64::from_le_bytes(*duration),
        hash: u64::from_le_bytes(*hash),
        change: u16::from_le_bytes(*change),
        key: match bytes {
            [0] => false,
            [1] => true,
            _ => return None,
        },
    })
}

/// Finds where a decoder is in the film after a seek, by the hashes of the frames it puts out.
/// Timestamps after a seek are not reliable; they only decide between equal pictures.
#[derive(Debug, Default)]
pub struct Locator {
    /// Numbers of the frames that the last decoded frame can be.
    candidates: Vec<usize>,
}

impl Locator {
    /// Adds the next decoded frame. Returns its number in `frames`, the film, if it is there.
    ///
    /// After a run of equal pictures, the number is the one whose timestamp is closest to `pts`.
    pub fn push(&mut self, frames: &[Frame], hash: u64, pts: u64) -> Option<usize> {
        let matches = |&number: &usize| frames.get(number).is_some_and(|it| it.hash == hash);
        let mut next: Vec<_> = self.candidates.iter().map(|number| number + 1).collect();
        next.retain(matches);
        if next.is_empty() {
            next = (0..frames.len()).filter(matches).collect();
        }
        self.candidates = next;
        let distance =
            |&&number: &&usize| frames.get(number).map_or(u64::MAX, |it| it.pts.abs_diff(pts));
        self.candidates.iter().min_by_key(distance).copied()
    }
}

/// The shortest and longest segment in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentLength {
    pub min: u64,
    pub max: u64,
}

impl SegmentLength {
    /// Segments of about `seconds`: from 2/3 to 5/3 of it.
    pub fn about(seconds: f64) -> Self {
        let nanoseconds = |factor: f64| (seconds * factor * 1e9) as u64;
        Self { min: nanoseconds(2.0 / 3.0), max: nanoseconds(5.0 / 3.0) }
    }
}

/// A change of the luma from which a frame counts as a scene cut, in 1/16 of an 8-bit step.
pub const SCENE_CUT: u16 = 20 * 16;

/// Divides the film into segments. A segment starts at a scene cut if there is one, since an
/// encoder starts anew there anyway; otherwise at a key frame, which a decoder reaches without
/// decoding others first.
pub fn segments(frames: &[Frame], length: SegmentLength) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut first = 0;
    while let Some(cut) = next_cut(frames, first, length) {
        segments.push(first..cut);
        first = cut;
    }
    if first < frames.len() {
        segments.push(first..frames.len());
    }
    segments
}

/// The first frame of the segment after the one that starts at `first`.
fn next_cut(frames: &[Frame], first: usize, length: SegmentLength) -> Option<usize> {
    let rest = frames.get(first..)?;
    let (start, end) = (rest.first()?.pts, rest.last()?);
    if end.pts.saturating_add(end.duration).saturating_sub(start) <= length.max {
        return None;
    }
    let age = |frame: &Frame| frame.pts.saturating_sub(start);
    let within = rest.iter().position(|it| age(it) > length.max).unwrap_or(rest.len());
    let window = || {
        let window = rest.iter().enumerate().take(within).skip(1);
        window.filter(|(_, frame)| age(frame) >= length.min)
    };
    let scene_cut =
        window().filter(|(_, it)| it.change >= SCENE_CUT).max_by_key(|(_, it)| it.change);
    let best = scene_cut.or_else(|| window().rfind(|(_, frame)| frame.key));
    // A stream whose times jump still gets a cut.
    let at = best.map_or_else(|| within.saturating_sub(1).max(1), |(at, _)| at);
    (first + at < frames.len()).then_some(first + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame per second.
    fn frames(hashes: &[u64]) -> Vec<Frame> {
        let frame = |(number, &hash): (usize, &u64)| Frame {
            pts: number as u64 * 1_000_000_000,
            duration: 1_000_000_000,
            hash,
            change: 0,
            key: false,
        };
        hashes.iter().enumerate().map(frame).collect()
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.bin");
        let mut table = frames(&[7, u64::MAX, 0]);
        table[1].key = true;
        table[2].change = u16::MAX;
        write(&path, &table).unwrap();
        assert_eq!(read(&path).unwrap(), table);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.bin");
        write(&path, &frames(&[7, 8])).unwrap();
        let good = std::fs::read(&path).unwrap();
        let mut no_flag = good.clone();
        *no_flag.last_mut().unwrap() = 2;
        for bad in [&good[..good.len() - 1], &good[..5], &good[1..], &no_flag] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(read(&path), Err(Error::Damaged(_))));
        }
    }

    #[test]
    fn a_frame_is_found_by_its_picture_whatever_its_timestamp() {
        let table = frames(&[1, 2, 3, 4]);
        let mut locator = Locator::default();
        assert_eq!(locator.push(&table, 3, 0), Some(2));
        assert_eq!(locator.push(&table, 4, 0), Some(3));
    }

    #[test]
    fn equal_pictures_are_told_apart_by_the_frames_between_them() {
        let table = frames(&[5, 1, 5, 2, 5, 3]);
        let mut locator = Locator::default();
        assert_eq!(locator.push(&table, 5, 0), Some(0));
        // The next picture shows that the one before was number 2.
        assert_eq!(locator.push(&table, 2, 0), Some(3));
        assert_eq!(locator.push(&table, 5, 0), Some(4));
    }

    #[test]
    fn equal_pictures_in_a_row_are_told_apart_by_their_times() {
        let table = frames(&[1, 5, 5, 5, 2]);
        let mut locator = Locator::default();
        assert_eq!(locator.push(&table, 5, 2_100_000_000), Some(2));
        assert_eq!(locator.push(&table, 5, 3_100_000_000), Some(3));
        assert_eq!(locator.push(&table, 2, 4_100_000_000), Some(4));
    }

    #[test]
    fn frames_that_a_decoder_damages_after_a_seek_are_skipped() {
        let table = frames(&[1, 2, 3]);
        let mut locator = Locator::default();
        assert_eq!(locator.push(&table, 99, 0), None);
        assert_eq!(locator.push(&table, 2, 0), Some(1));
    }

    const LENGTH: SegmentLength = SegmentLength { min: 8_000_000_000, max: 20_000_000_000 };

    #[test]
    fn segments_cover_the_film_without_gaps_and_keep_their_limits() {
        for count in [0, 1, 7, 20, 21, 22, 100] {
            let segments = segments(&frames(&vec![0; count]), LENGTH);
            let covered: Vec<_> = segments.iter().cloned().flatten().collect();
            assert_eq!(covered, (0..count).collect::<Vec<_>>());
            assert!(segments.iter().all(|it| (1..=20).contains(&it.len())), "{segments:?}");
            assert_eq!(segments.len() <= 1, count <= 20);
        }
    }

    #[test]
    fn a_segment_starts_at_the_strongest_scene_cut() {
        let mut table = frames(&[0; 40]);
        for (number, change) in [(3, 900), (10, 400), (15, 500), (25, 900)] {
            table[number].change = change;
        }
        table[12].key = true;
        assert_eq!(segments(&table, LENGTH), [0..15, 15..25, 25..40]);
    }

    #[test]
    fn a_segment_starts_at_the_last_key_frame_where_there_is_no_scene_cut() {
        let mut table = frames(&[0; 40]);
        for number in [2, 9, 17, 30] {
            table[number].key = true;
        }
        assert_eq!(segments(&table, LENGTH), [0..17, 17..30, 30..40]);
    }

    #[test]
    fn times_that_jump_still_give_segments() {
        let mut table = frames(&[0; 30]);
        for frame in &mut table[15..] {
            frame.pts += 1_000_000_000_000;
        }
        let segments = segments(&table, LENGTH);
        assert_eq!(segments.iter().map(Range::len).sum::<usize>(), 30);
        assert!(segments.iter().all(|it| !it.is_empty()));
    }
}

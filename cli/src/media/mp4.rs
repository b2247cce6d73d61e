//! The header of MP4 and QuickTime files (ISO/IEC 14496-12, QuickTime File Format), as far as `qtdemux`
//! of GStreamer 1.22 reads it wrongly.
//!
//! It ends a trimmed sound track where its media time reaches the duration of the film, although the
//! film begins later in the media: most of the sound is lost. It is therefore given a longer duration of
//! the film. The edit list itself still ends the track.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use gst::prelude::*;

/// The parts of the header that need a correction.
#[derive(Debug, Default, PartialEq)]
pub struct Mp4Header {
    movie: Option<Movie>,
    /// The latest time in its media at which a sound track begins, in seconds.
    latest_start: f64,
    /// Numbers of the tracks with little-endian samples.
    little_endian: Vec<u32>,
    /// Numbers of the tracks without an edit list.
    unedited: Vec<u32>,
    has_time_code: bool,
}

/// The `mvhd` box.
#[derive(Debug, PartialEq, Eq)]
struct Movie {
    /// Ticks per second, at least 1.
    timescale: u64,
    /// In ticks.
    duration: u64,
    /// Position of the duration in the file, and its size in bytes.
    duration_at: u64,
    duration_size: usize,
}

/// A box, without its header.
struct Mp4Box {
    name: [u8; 4],
    content: Range<u64>,
}

/// No box that is read here as a whole is longer.
const LONGEST: u64 = 1 << 16;
/// A bound on the number of boxes on one level.
const MOST: usize = 1 << 16;

impl Mp4Header {
    /// Reads the header; there is none in a file of another format.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn read(file: &File) -> io::Result<Self> {
        let end = file.metadata()?.len();
        let mut reader = io::BufReader::with_capacity(512, file);
        let mut header = Self::default();
        let top = boxes(&mut reader, 0..end)?;
        let is_mp4 = top.first().is_some_and(|first| {
            [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"].contains(&&first.name)
        });
        for movie in top.iter().filter(|it| is_mp4 && it.name == *b"moov") {
            let parts = boxes(&mut reader, movie.content.clone())?;
            let Some(film) = parts.iter().find(|it| it.name == *b"mvhd") else { continue };
            header.movie = movie_header(&content(&mut reader, film)?, film.content.start);
            for track in parts.iter().filter(|it| it.name == *b"trak") {
                header.read_track(&mut reader, track)?;
            }
        }
        Ok(header)
    }

    fn read_track(&mut self, reader: &mut (impl Read + Seek), track: &Mp4Box) -> io::Result<()> {
        let (mut starts, mut is_edited) = (Vec::new(), false);
        let (mut handler, mut timescale, mut id, mut is_little) = (None, None, None, false);
        for part in boxes(reader, track.content.clone())? {
            if part.name == *b"tkhd" {
                id = track_id(&content(reader, &part)?);
            }
            if ![b"edts", b"mdia"].contains(&&part.name) {
                continue;
            }
            for part in boxes(reader, part.content.clone())? {
                match &part.name {
                    b"minf" => is_little = has_little_endian_samples(reader, &part)?,
                    b"elst" => {
                        is_edited = true;
                        starts = media_times(&content(reader, &part)?);
                    }
                    b"hdlr" => handler = content(reader, &part)?.get(8..12).map(Vec::from),
                    b"mdhd" => {
                        timescale =
                            movie_header(&content(reader, &part)?, 0).map(|it| it.timescale);
                    }
                    _ => {}
                }
            }
        }
        self.has_time_code |= handler.as_deref() == Some(b"tmcd");
        if handler.as_deref() == Some(b"soun")
            && let (Some(timescale), Some(start)) = (timescale, starts.into_iter().max())
        {
            self.latest_start = self.latest_start.max(start as f64 / timescale as f64);
        }
        self.little_endian.extend(id.filter(|_| is_little));
        self.unedited.extend(id.filter(|_| !is_edited));
        Ok(())
    }

    /// Whether the file has a track of time codes.
    pub fn has_time_code(&self) -> bool {
        self.has_time_code
    }

    /// The duration of the film; `None` if it is in fragments, whose header names none.
    pub fn duration(&self) -> Option<Duration> {
        let movie = self.movie.as_ref().filter(|movie| movie.duration > 0)?;
        Some(Duration::from_secs_f64(movie.duration as f64 / movie.timescale as f64))
    }

    /// Lengthens the film for the element that reads from `source`, in pull mode.
    pub fn correct(self: &Arc<Self>, source: &gst::Pad) {
        if self.latest_start == 0.0 || self.duration().is_none() {
            return;
        }
        let header = self.clone();
        source.add_probe(gst::PadProbeType::PULL | gst::PadProbeType::BUFFER, move |_, info| {
            let offset = info.offset;
            if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data {
                header.correct_in(offset, buffer);
            }
            gst::PadProbeReturn::Ok
        });
    }

    /// Whether the samples of this track are little-endian.
    pub fn is_little_endian(&self, track: u32) -> bool {
        self.little_endian.contains(&track)
    }

    /// Whether this track has no edit list.
    pub fn is_unedited(&self, track: u32) -> bool {
        self.unedited.contains(&track)
    }

    fn correct_in(&self, offset: u64, buffer: &mut gst::Buffer) {
        let Some(movie) = &self.movie else { return };
        let at = movie.duration_at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
        let Some(at) = at.filter(|at| *at < buffer.size()) else { return };
        let longer = movie.duration as f64 + self.latest_start * movie.timescale as f64;
        let bytes = (longer.ceil() as u64).to_be_bytes();
        let bytes = bytes.get(bytes.len() - movie.duration_size..).unwrap_or_default();
        if let Ok(mut map) = buffer.make_mut().map_writable() {
            for (to, from) in map.iter_mut().skip(at).zip(bytes) {
                *to = *from;
            }
        }
    }
}

/// The boxes in a range of the file. A box that is longer than the rest ends the range.
fn boxes(reader: &mut (impl Read + Seek), range: Range<u64>) -> io::Result<Vec<Mp4Box>> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at.saturating_add(8) <= range.end && found.len() < MOST {
        reader.seek(SeekFrom::Start(at))?;
        let mut header = [0; 16];
        let (short, long) = header.split_at_mut(8);
        reader.read_exact(short)?;
        let [a, b, c, d, name @ ..] = short else { break };
        let name = <[u8; 4]>::try_from(&*name).unwrap_or_default();
        let (size, start) = match u32::from_be_bytes([*a, *b, *c, *d]) {
            0 => (range.end - at, 8),
            1 => {
                reader.read_exact(long)?;
                (<[u8; 8]>::try_from(&*long).map_or(0, u64::from_be_bytes), 16)
            }
            size => (u64::from(size), 8),
        };
        let end = at.saturating_add(size).min(range.end);
        if size < start {
            break;
        }
        found.push(Mp4Box { name, content: (at + start).min(end)..end });
        at = end;
    }
    Ok(found)
}

fn content(reader: &mut (impl Read + Seek), it: &Mp4Box) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(it.content.start))?;
    let mut bytes = Vec::new();
    reader.take((it.content.end - it.content.start).min(LONGEST)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// An `mvhd` or `mdhd` box, which begin alike, whose content is at this position.
fn movie_header(header: &[u8], position: u64) -> Option<Movie> {
    let (at, size) = if *header.first()? == 1 { (20, 8) } else { (12, 4) };
    Some(Movie {
        timescale: number(header, at, 4).filter(|scale| *scale > 0)?,
        duration: number(header, at + 4, size)?,
        duration_at: position + at as u64 + 4,
        duration_size: size,
    })
}

/// The number of a track, from its `tkhd` box.
fn track_id(header: &[u8]) -> Option<u32> {
    let at = if *header.first()? == 1 { 20 } else { 12 };
    number(header, at, 4).and_then(|id| u32::try_from(id).ok())
}

/// Whether the sample description in a `minf` box says that samples are little-endian.
fn has_little_endian_samples(
    reader: &mut (impl Read + Seek),
    information: &Mp4Box,
) -> io::Result<bool> {
    for table in boxes(reader, information.content.clone())? {
        if table.name != *b"stbl" {
            continue;
        }
        for part in boxes(reader, table.content.clone())? {
            if part.name == *b"stsd" {
                let text = content(reader, &part)?;
                // The box `enda` is inside the description, at a place that depends on its version.
                return Ok(text.windows(6).any(|it| it == b"enda\0\x01"));
            }
        }
    }
    Ok(false)
}

/// Where the edits of an `elst` box begin in the media, in ticks, except for pauses.
fn media_times(list: &[u8]) -> Vec<i64> {
    let wide = list.first() == Some(&1);
    let (size, half) = if wide { (20, 8) } else { (12, 4) };
    let count = number(list, 4, 4).map_or(0, |count| usize::try_from(count).unwrap_or_default());
    let times = (0..count.min(MOST)).map_while(|entry| {
        let time = number(list, 8 + entry * size + half, half)?;
        Some(if wide { time as i64 } else { i64::from(time as u32 as i32) })
    });
    times.filter(|time| *time >= 0).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = (content.len() as u32 + 8).to_be_bytes();
        [&size[..], name, content].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A film of 10 s whose sound begins 7.5 s into its media.
    fn trimmed() -> Vec<u8> {
        let edits = boxed(b"elst", &words(&[0, 1, 10_000, 360_000, 1 << 16]));
        let handler = [words(&[0, 0]), b"soun".to_vec()].concat();
        let media =
            [boxed(b"mdhd", &words(&[0, 0, 0, 48_000, 0])), boxed(b"hdlr", &handler)].concat();
        let header = boxed(b"tkhd", &words(&[0, 0, 0, 2]));
        let track = [header, boxed(b"edts", &edits), boxed(b"mdia", &media)].concat();
        let movie =
            [boxed(b"mvhd", &words(&[0, 0, 0, 1000, 10_000])), boxed(b"trak", &track)].concat();
        [boxed(b"ftyp", b"isom"), boxed(b"moov", &movie)].concat()
    }

    fn read(bytes: &[u8]) -> Mp4Header {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Mp4Header::read(&file).unwrap_or_default()
    }

    #[test]
    fn the_film_is_lengthened_by_what_is_trimmed_from_the_sound() {
        let bytes = trimmed();
        let header = read(&bytes);
        assert_eq!((header.latest_start, header.duration()), (7.5, Some(Duration::from_secs(10))));

        gst::init().unwrap();
        let mut buffer = gst::Buffer::from_slice(bytes[20..].to_vec());
        header.correct_in(20, &mut buffer);
        let map = buffer.map_readable().unwrap();
        let at = map.windows(4).position(|name| name == b"mvhd").unwrap();
        assert_eq!(map[at + 20..at + 24], 17_500u32.to_be_bytes());
    }

    #[test]
    fn pauses_are_no_media() {
        let list = words(&[0, 2, 3000, u32::MAX, 1 << 16, 5000, 77, 1 << 16]);
        assert_eq!(media_times(&list), [77]);
        assert_eq!(media_times(&list[..20]), [0i64; 0]);
    }

    #[test]
    fn damaged_and_other_files_have_no_lists() {
        let bytes = trimmed();
        for end in 0..bytes.len() {
            read(&bytes[..end]);
        }
        assert_eq!(read(&[0xff; 64]), Mp4Header::default());
        assert_eq!(read(b"RIFF0000AVI LIST"), Mp4Header::default());
    }
}

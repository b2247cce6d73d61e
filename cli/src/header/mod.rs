//! Writes chapters, attachments, names, flags and HDR10 metadata into a finished file. The muxers of
//! GStreamer 1.22 lose or change these:
//!
//! - `matroskamux` makes every track the default one, forgets forced ones, invents names, loses
//!   attachments and chapters of MP4 files, divides the luminance of HDR10 by 5, and rounds the pixel
//!   aspect ratio.
//! - `mp4mux` loses chapters, names, flags and HDR10 metadata.

mod ebml;
mod matroska;
mod mp4;
mod video;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

pub use matroska::RESERVE;
pub use video::Facts;

use ebml::Element;

use crate::range::TimeRange;

/// What a file contains apart from packets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub title: Option<String>,
    /// Names (as Matroska has them) and values, for the whole film.
    pub tags: Vec<(String, String)>,
    pub chapters: Vec<Chapter>,
    pub attachments: Vec<Attachment>,
    pub tracks: Vec<Track>,
    /// `Chapters`, `Attachments` and `Tags` of a Matroska file as they are.
    elements: Vec<Element>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// In nanoseconds.
    pub start: u64,
    pub title: String,
}

/// A font, a cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub name: String,
    /// Media type.
    pub media: String,
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Number of the track in the container.
    pub number: u64,
    pub name: Option<String>,
    pub is_default: bool,
    pub is_forced: bool,
    /// How R′G′B′ becomes Y′CbCr: the matrix coefficients of ITU-T H.273, if the container names them.
    pub matrix: Option<u64>,
    /// Elements of a Matroska track that describe it to the user, and its identifier.
    elements: Vec<Element>,
}

/// Completes the head of `file`, which a muxer wrote, with what the input at `path` says; `None` if
/// the input can be read only once. See [`Head::complete`].
///
/// # Errors
/// Those of the file system.
pub fn transfer(
    path: Option<&Path>,
    range: TimeRange,
    file: &File,
    streams: &[Written],
) -> io::Result<Vec<String>> {
    let mut head = path.map_or_else(|| Ok(Head::default()), Head::read)?;
    if !range.is_whole() {
        head.cut(range);
    }
    head.complete(&mut file.try_clone()?, streams)
}

/// How a track of a Matroska file is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codec {
    /// The number of the track.
    pub track: u64,
    /// For example `A_TTA1`.
    pub name: String,
    /// In nanoseconds, if the tags give it.
    pub duration: Option<u64>,
}

/// The codecs of the tracks of a Matroska file; none of another file.
///
/// # Errors
/// Those of the file system.
pub fn codecs(path: &Path) -> io::Result<Vec<Codec>> {
    matroska::codecs(&mut File::open(path)?)
}

/// A stream of the output.
#[derive(Clone, Debug)]
pub struct Written {
    /// The number of its track in the input.
    pub track: Option<u64>,
    pub caps: Option<gst::Caps>,
}

impl Head {
    /// Reads the head of a Matroska or MP4 file; that of another format is empty.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut start = [0; 12];
        let found = file.read(&mut start)?;
        file.seek(SeekFrom::Start(0))?;
        match start.get(..found).unwrap_or_default() {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska::read(&mut file),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4::read(&mut file),
            _ => Ok(Self::default()),
        }
    }

    /// Completes the head of `file`, which a muxer wrote. `streams` are its tracks, in order, the
    /// video first. Returns sentences about what the format cannot hold.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn complete(&self, file: &mut File, streams: &[Written]) -> io::Result<Vec<String>> {
        let facts = streams.first().and_then(|video| Facts::of(video.caps.as_ref()?));
        let facts = facts.unwrap_or_default();
        let mut start = [0; 12];
        file.seek(SeekFrom::Start(0))?;
        file.read_exact(&mut start)?;
        match start {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska::complete(self, file, streams, &facts),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4::complete(self, file, streams, &facts),
            _ => Ok(Vec::new()),
        }
    }

    /// Leaves the chapters of a part of the film, in whose time they are.
    fn cut(&mut self, range: TimeRange) {
        let started =
            |time: u64| range.within(time).is_none() && time < range.start().unsigned_abs();
        // The part begins in the chapter before it.
        let first = self.chapters.iter().rfind(|chapter| started(chapter.start));
        let first = first.map(|chapter| Chapter { start: 0, ..chapter.clone() });
        let inside = self.chapters.iter().filter_map(|chapter| {
            Some(Chapter { start: range.within(chapter.start)?, ..chapter.clone() })
        });
        let inside: Vec<_> = inside.collect();
        let first = first.filter(|_| inside.first().is_none_or(|chapter| chapter.start > 0));
        self.chapters = first.into_iter().chain(inside).collect();
        matroska::replace_chapters(&mut self.elements, &self.chapters);
    }

    /// Whether something is known about the tags of the input.
    fn has_tags(&self) -> bool {
        !self.tags.is_empty() || !self.elements.is_empty()
    }

    /// The track of the input that a stream of the output comes from.
    fn track(&self, written: &Written) -> Option<&Track> {
        let number = written.track?;
        self.tracks.iter().find(|track| track.number == number)
    }
}

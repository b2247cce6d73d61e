//! Reads and writes the head of MP4 and QuickTime files (ISO/IEC 14496-12 and 14496-15, QuickTime File Format).

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

use super::{Attachment, Chapter, Facts, Head, Track, Written};

type Kind = [u8; 4];

/// A box, without its header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mp4Box {
    kind: Kind,
    data: Vec<u8>,
}

/// The largest `moov` that is read.
const MAX_MOVIE: u64 = 1 << 30;

/// The most that may follow a `moov` that is written again.
const MAX_REST: u64 = 1 << 24;

/// Nanoseconds of a unit of `chpl`.
const CHAPTER_UNIT: u64 = 100;

impl Mp4Box {
    fn new(kind: &Kind, data: impl Into<Vec<u8>>) -> Self {
        Self { kind: *kind, data: data.into() }
    }

    fn write(&self, to: &mut Vec<u8>) {
        let size = self.data.len() as u64 + 8;
        match u32::try_from(size) {
            Ok(size) => {
                to.extend(size.to_be_bytes());
                to.extend(self.kind);
            }
            Err(_) => {
                to.extend(1_u32.to_be_bytes());
                to.extend(self.kind);
                to.extend((size + 8).to_be_bytes());
            }
        }
        to.extend_from_slice(&self.data);
    }

    /// The boxes in this one, after `skipped` bytes of its own.
    fn children(&self, skipped: usize) -> Vec<Self> {
        let mut children = Vec::new();
        let mut rest = self.data.get(skipped..).unwrap_or_default();
        while let Some((size, kind, header)) = head(rest) {
            let end = usize::try_from(size).ok().filter(|end| *end >= header);
            let Some(data) = end.and_then(|end| rest.get(header..end)) else { break };
            children.push(Self { kind, data: data.to_vec() });
            rest = rest.get(header + data.len()..).unwrap_or_default();
        }
        children
    }

    fn find(&self, path: &[&Kind]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self.clone()) };
        let skipped = own_bytes(&self.kind);
        let children = self.children(skipped);
        children.iter().filter(|child| child.kind == **first).find_map(|child| child.find(rest))
    }

    /// The box with its children after `change`.
    fn changed(&self, skipped: usize, change: impl FnOnce(&mut Vec<Self>)) -> Self {
        let mut children = self.children(skipped);
        change(&mut children);
        let mut data = self.data.get(..skipped).unwrap_or_default().to_vec();
        children.iter().for_each(|child| child.write(&mut data));
        Self { kind: self.kind, data }
    }

    /// The box in which the one at `path` was replaced by what `change` makes of it. One that does
    /// not exist begins empty.
    fn changed_at(&self, path: &[&Kind], change: &dyn Fn(&Self) -> Self) -> Self {
        let Some((first, rest)) = path.split_first() else { return change(self) };
        self.changed(own_bytes(&self.kind), |children| {
            if !children.iter().any(|child| child.kind == **first) {
                let own = vec![0; own_bytes(first)];
                children.push(Self { kind: **first, data: own });
            }
            if let Some(child) = children.iter_mut().find(|child| child.kind == **first) {
                *child = child.changed_at(rest, change);
            }
        })
    }

    /// Replaces the children of these kinds by other ones.
    fn with(&self, removed: &[&Kind], added: Vec<Self>) -> Self {
        self.changed(own_bytes(&self.kind), |children| {
            children.retain(|child| !removed.contains(&&child.kind));
            children.extend(added);
        })
    }

    fn number_at(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.data.get(at..)?.first_chunk()?))
    }
}

/// Bytes of a box before the boxes in it: version and flags, the number of entries, the fields of a
/// visual sample entry.
fn own_bytes(kind: &Kind) -> usize {
    match kind {
        b"meta" => 4,
        b"stsd" => 8,
        b"Opus" => 28,
        b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"vp09" | b"av01" => 78,
        _ => 0,
    }
}

/// Size with header, kind, and length of the header.
fn head(bytes: &[u8]) -> Option<(u64, Kind, usize)> {
    let (size, rest) = bytes.split_first_chunk()?;
    let (kind, rest) = rest.split_first_chunk()?;
    Some(match u32::from_be_bytes(*size) {
        0 => (bytes.len() as u64, *kind, 8),
        1 => (u64::from_be_bytes(*rest.first_chunk()?), *kind, 16),
        size => (size.into(), *kind, 8),
    })
}

/// The `moov` box of a file.
struct Movie {
    content: Mp4Box,
    /// Where its header begins.
    at: u64,
    /// Where the box that follows it begins.
    end: u64,
}

fn movie(file: &mut File) -> io::Result<Option<Movie>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = 0;
    while at < end {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        (&*file).take(16).read_to_end(&mut bytes)?;
        let Some((size, kind, header)) = head(&bytes) else { break };
        let is_rest = bytes.get(..4) == Some(&[0; 4]);
        let size = if is_rest { end - at } else { size };
        let Some(next) = at.checked_add(size).filter(|next| *next <= end && size >= 8) else {
            break;
        };
        if kind == *b"moov" && size <= MAX_MOVIE {
            let mut data = Vec::new();
            file.seek(SeekFrom::Start(at + header as u64))?;
            (&*file).take(size - header as u64).read_to_end(&mut data)?;
            return Ok(Some(Movie { content: Mp4Box { kind, data }, at, end: next }));
        }
        at = next;
    }
    Ok(None)
}

pub fn read(file: &mut File) -> io::Result<Head> {
    let Some(Movie { content: movie, .. }) = movie(file)? else { return Ok(Head::default()) };
    let mut head = Head {
        chapters: movie.find(&[b"udta", b"chpl"]).map(|it| chapters(&it)).unwrap_or_default(),
        ..Head::default()
    };
    let traks = movie.children(0).into_iter().filter(|it| it.kind == *b"trak");
    head.tracks = traks.filter_map(|trak| track(&trak)).collect();
    let Some(list) = movie.find(&[b"udta", b"meta", b"ilst"]) else { return Ok(head) };
    for item in list.children(0) {
        let Some(data) = item.children(0).into_iter().find(|it| it.kind == *b"data") else {
            continue;
        };
        let value = data.data.get(8..).unwrap_or_default();
        if item.kind == *b"covr" {
            // The types of ISO/IEC 14496-12 for pictures: 13 for JPEG, 14 for PNG.
            let (name, media) = match data.number_at(0) {
                Some(14) => ("cover.png", "image/png"),
                _ => ("cover.jpg", "image/jpeg"),
            };
            let (name, media) = (name.to_owned(), media.to_owned());
            head.attachments.push(Attachment { name, media, data: value.to_vec() });
        } else if let Some((_, name)) = TAGS.iter().find(|(kind, _)| item.kind == **kind) {
            let text = String::from_utf8_lossy(value).into_owned();
            if *name == "TITLE" {
                head.title = Some(text);
            } else {
                head.tags.push(((*name).to_owned(), text));
            }
        }
    }
    Ok(head)
}

/// Tags of MP4 files and what Matroska calls them.
const TAGS: [(&Kind, &str); 10] = [
    (b"\xa9nam", "TITLE"),
    (b"\xa9ART", "ARTIST"),
    (b"\xa9alb", "ALBUM"),
    (b"\xa9day", "DATE_RELEASED"),
    (b"\xa9gen", "GENRE"),
    (b"\xa9cmt", "COMMENT"),
    (b"\xa9wrt", "COMPOSER"),
    (b"desc", "DESCRIPTION"),
    (b"ldes", "SYNOPSIS"),
    (b"cprt", "COPYRIGHT"),
];

fn track(trak: &Mp4Box) -> Option<Track> {
    let header = trak.find(&[b"tkhd"])?;
    let flags = header.number_at(0)?;
    // Version 1 has times of 8 bytes.
    let number = header.number_at(if flags >> 24 == 1 { 20 } else { 12 })?;
    let name = trak.find(&[b"udta", b"name"]).map(|it| it.data).filter(|it| !it.is_empty());
    Some(Track {
        number: number.into(),
        name: name.map(|name| String::from_utf8_lossy(&name).into_owned()),
        is_default: flags & 1 == 1,
        matrix: matrix(trak),
        ..Track::default()
    })
}

/// Corrects the header of Opus: `mp4mux` of GStreamer 1.22 writes little-endian numbers into it (Encapsulation
/// of Opus in ISO Base Media File Format, 4.3.2), so that players skip 0.3 s.
fn with_opus_header(trak: &Mp4Box) -> Mp4Box {
    let path: [&Kind; 6] = [b"mdia", b"minf", b"stbl", b"stsd", b"Opus", b"dOps"];
    let Some(header) = trak.find(&path) else { return trak.clone() };
    // Version, channels, then the samples to skip, the sample rate and the gain.
    let [_, _, skip_1, skip_2, rate_1, rate_2, rate_3, rate_4, gain_1, gain_2, ..] = *header.data
    else {
        return trak.clone();
    };
    if u32::from_be_bytes([rate_1, rate_2, rate_3, rate_4]) <= MAX_SAMPLE_RATE {
        return trak.clone();
    }
    let numbers = [skip_2, skip_1, rate_4, rate_3, rate_2, rate_1, gain_2, gain_1];
    trak.changed_at(&path, &|header| {
        let mut data = header.data.clone();
        if let Some(place) = data.get_mut(2..10) {
            place.copy_from_slice(&numbers);
        }
        Mp4Box::new(b"dOps", data)
    })
}

/// A larger sample rate is a number in the wrong byte order.
const MAX_SAMPLE_RATE: u32 = 768_000;

/// The matrix coefficients in the `colr` box of a video track.
fn matrix(trak: &Mp4Box) -> Option<u64> {
    let descriptions = trak.find(&[b"mdia", b"minf", b"stbl", b"stsd"])?;
    let entry = descriptions.children(own_bytes(b"stsd")).into_iter().next()?;
    let boxes = entry.children(own_bytes(b"avc1"));
    let colour = boxes.iter().filter(|it| it.kind == *b"colr").map(|it| it.data.as_slice());
    let named = |data: &[u8]| match data {
        [b'n', b'c', b'l', b'c' | b'x', _, _, _, _, high, low, ..] => {
            Some(u16::from_be_bytes([*high, *low]).into())
        }
        _ => None,
    };
    { colour }.find_map(named)
}

fn chapters(list: &Mp4Box) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    // Version 1 has 4 reserved bytes.
    let skipped = if list.data.first() == Some(&1) { 9 } else { 5 };
    let mut rest = list.data.get(skipped..).unwrap_or_default();
    while let Some((start, more)) = rest.split_first_chunk() {
        let Some((length, more)) = more.split_first() else { break };
        let Some((title, more)) = more.split_at_checked((*length).into()) else { break };
        chapters.push(Chapter {
            start: u64::from_be_bytes(*start).saturating_mul(CHAPTER_UNIT),
            title: String::from_utf8_lossy(title).into_owned(),
        });
        rest = more;
    }
    chapters
}

fn chapter_list(chapters: &[Chapter]) -> Mp4Box {
    let count = chapters.len().min(255);
    let mut data = vec![1, 0, 0, 0, 0, 0, 0, 0, u8::try_from(count).unwrap_or(u8::MAX)];
    for chapter in chapters.iter().take(count) {
        let mut end = chapter.title.len().min(255);
        while !chapter.title.is_char_boundary(end) {
            end -= 1;
        }
        let title = chapter.title.get(..end).unwrap_or_default();
        data.extend((chapter.start / CHAPTER_UNIT).to_be_bytes());
        data.push(u8::try_from(title.len()).unwrap_or_default());
        data.extend(title.as_bytes());
    }
    Mp4Box::new(b"chpl", data)
}

pub fn complete(
    head: &Head,
    file: &mut File,
    streams: &[Written],
    facts: &Facts,
) -> io::Result<Vec<String>> {
    let mut losses = Vec::new();
    let (covers, files): (Vec<_>, Vec<_>) =
        head.attachments.iter().partition(|file| file.media.starts_with("image/"));
    for file in files {
        losses.push(format!(
            "the attachment {} is not in the output: use a .mkv file to keep it",
            file.name
        ));
    }
    let Some(Movie { content: movie, at, end }) = movie(file)? else { return Ok(losses) };
    // The muxer writes a description of the film behind it, and the samples before it.
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    (&*file).take(MAX_REST + 1).read_to_end(&mut rest)?;
    if rest.len() as u64 > MAX_REST {
        losses.push("chapters, names and flags of the tracks are not in the output".into());
        return Ok(losses);
    }
    if head.chapters.len() > 255 {
        losses.push("only the first 255 chapters are in the output".into());
    }
    let forced = head.tracks.iter().filter(|track| track.is_forced).count();
    if forced > 0 {
        losses.push(format!(
            "that {forced} of the tracks are forced is not in the output: use a .mkv file to keep it"
        ));
    }
    let mut number = 0;
    let mut movie = movie.changed(0, |children| {
        for trak in children.iter_mut().filter(|child| child.kind == *b"trak") {
            let stream = streams.get(number);
            if let Some(track) = stream.and_then(|stream| head.track(stream)) {
                *trak = described(trak, track, number == 0);
            }
            if number == 0 {
                *trak = with_facts(trak, facts);
            }
            *trak = with_opus_header(trak);
            number += 1;
        }
    });
    if !head.chapters.is_empty() {
        let list = chapter_list(&head.chapters);
        movie = movie.changed_at(&[b"udta"], &|udta| udta.with(&[b"chpl"], vec![list.clone()]));
    }
    let has_cover = movie.find(&[b"udta", b"meta", b"ilst", b"covr"]).is_some();
    if let Some(cover) = covers.first().filter(|_| !has_cover)
        && movie.find(&[b"udta", b"meta", b"ilst"]).is_some()
    {
        let kind: u32 = if cover.media.ends_with("png") { 14 } else { 13 };
        let mut value = kind.to_be_bytes().to_vec();
        value.extend([0; 4]);
        value.extend_from_slice(&cover.data);
        let mut data = Vec::new();
        Mp4Box::new(b"data", value).write(&mut data);
        let item = Mp4Box::new(b"covr", data);
        let add = |list: &Mp4Box| list.with(&[], vec![item.clone()]);
        movie = movie.changed_at(&[b"udta", b"meta", b"ilst"], &add);
    }
    let mut bytes = Vec::new();
    movie.write(&mut bytes);
    file.seek(SeekFrom::Start(at))?;
    bytes.extend(rest);
    file.write_all(&bytes)?;
    file.set_len(at + bytes.len() as u64)?;
    Ok(losses)
}

/// The track with its name, and enabled if it is a default one.
fn described(trak: &Mp4Box, track: &Track, is_video: bool) -> Mp4Box {
    let enabled = u8::from(track.is_default || is_video);
    let trak = trak.changed_at(&[b"tkhd"], &|header| {
        let mut header = header.clone();
        if let Some(flags) = header.data.get_mut(3) {
            *flags = *flags & !1 | enabled;
        }
        header
    });
    match &track.name {
        Some(name) => trak.changed_at(&[b"udta"], &|udta| {
            udta.with(&[b"name"], vec![Mp4Box::new(b"name", name.as_bytes())])
        }),
        None => trak,
    }
}

/// The video with its HDR10 metadata.
fn with_facts(trak: &Mp4Box, facts: &Facts) -> Mp4Box {
    let mut added = Vec::new();
    if let Some([red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y, max, min]) =
        facts.mastering
    {
        let points = [green_x, green_y, blue_x, blue_y, red_x, red_y, white_x, white_y];
        let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
        let mut data: Vec<u8> = points.into_iter().flat_map(short).collect();
        data.extend(max.to_be_bytes());
        data.extend(min.to_be_bytes());
        added.push(Mp4Box::new(b"mdcv", data));
    }
    if let Some(light) = facts.light {
        let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes();
        added.push(Mp4Box::new(b"clli", light.into_iter().flat_map(short).collect::<Vec<_>>()));
    }
    if added.is_empty() {
        return trak.clone();
    }
    trak.changed_at(&[b"mdia", b"minf", b"stbl", b"stsd"], &|list| {
        list.changed(own_bytes(b"stsd"), |entries| {
            for entry in entries.iter_mut().filter(|entry| own_bytes(&entry.kind) == 78) {
                *entry = entry.with(&[b"mdcv", b"clli"], added.clone());
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_are_read_as_they_were_written() {
        let chapter = |start, title: &str| Chapter { start, title: title.into() };
        let long = "é".repeat(200);
        let written = [chapter(0, "Beginning"), chapter(2_000_000_000, &long)];
        let read = chapters(&chapter_list(&written));
        assert_eq!(read[0], written[0]);
        assert_eq!(read[1].start, 2_000_000_000);
        assert_eq!(read[1].title, "é".repeat(127));
    }

    #[test]
    fn a_box_that_is_changed_keeps_the_others() {
        let mut data = Vec::new();
        for kind in [b"mvhd", b"trak", b"udta"] {
            Mp4Box::new(kind, *b"").write(&mut data);
        }
        let movie = Mp4Box::new(b"moov", data);
        let add = |list: &Mp4Box| list.with(&[], vec![Mp4Box::new(b"covr", *b"x")]);
        let changed = movie.changed_at(&[b"udta", b"meta", b"ilst"], &add);
        assert!(changed.find(&[b"udta", b"meta", b"ilst", b"covr"]).is_some());
        let kinds: Vec<_> = changed.children(0).iter().map(|child| child.kind).collect();
        assert_eq!(kinds, [*b"mvhd", *b"trak", *b"udta"]);
    }

    #[test]
    fn damaged_boxes_end_the_list() {
        let damaged = Mp4Box::new(b"moov", [0, 0, 0, 99, b't', b'r', b'a', b'k']);
        assert!(damaged.children(0).is_empty());
        let tiny = Mp4Box::new(b"moov", [0, 0, 0, 3, b't', b'r', b'a', b'k']);
        assert!(tiny.children(0).is_empty());
    }
}

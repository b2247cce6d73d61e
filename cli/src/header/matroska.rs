//! Reads and writes the head of Matroska files (RFC 9559).

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

use super::{
    Attachment, Chapter, Codec, Facts, Head, Track, Written,
    ebml::{self, Element, Id},
};

const EBML: Id = 0x1a45_dfa3;
const SEGMENT: Id = 0x1853_8067;
const SEEK_HEAD: Id = 0x114d_9b74;
const SEEK: Id = 0x4dbb;
const SEEK_ID: Id = 0x53ab;
const SEEK_POSITION: Id = 0x53ac;
const INFO: Id = 0x1549_a966;
const TITLE: Id = 0x7ba9;
const WRITING_APP: Id = 0x5741;
const TRACKS: Id = 0x1654_ae6b;
const TRACK_ENTRY: Id = 0xae;
const TRACK_NUMBER: Id = 0xd7;
const TRACK_UID: Id = 0x73c5;
const FLAG_DEFAULT: Id = 0x88;
const FLAG_FORCED: Id = 0x55aa;
const CODEC_ID: Id = 0x86;
const NAME: Id = 0x536e;
const LANGUAGE: Id = 0x22_b59c;
const LANGUAGE_BCP47: Id = 0x22_b59d;
const VIDEO: Id = 0xe0;
const DISPLAY_WIDTH: Id = 0x54b0;
const DISPLAY_HEIGHT: Id = 0x54ba;
const DISPLAY_UNIT: Id = 0x54b2;
const COLOUR: Id = 0x55b0;
const MATRIX: Id = 0x55b1;
const MASTERING: Id = 0x55d0;
const MAX_CLL: Id = 0x55bc;
const MAX_FALL: Id = 0x55bd;
const CLUSTER: Id = 0x1f43_b675;
const CUES: Id = 0x1c53_bb6b;
const ATTACHMENTS: Id = 0x1941_a469;
const ATTACHED_FILE: Id = 0x61a7;
const FILE_NAME: Id = 0x466e;
const FILE_MEDIA: Id = 0x4660;
const FILE_DATA: Id = 0x465c;
const FILE_UID: Id = 0x46ae;
const CHAPTERS: Id = 0x1043_a770;
const EDITION: Id = 0x45b9;
const CHAPTER: Id = 0xb6;
const CHAPTER_UID: Id = 0x73c4;
const CHAPTER_START: Id = 0x91;
const CHAPTER_DISPLAY: Id = 0x80;
const CHAPTER_TITLE: Id = 0x85;
const CHAPTER_LANGUAGE: Id = 0x437c;
const TAGS: Id = 0x1254_c367;
const TAG: Id = 0x7373;
const TARGETS: Id = 0x63c0;
const TARGET_TRACK: Id = 0x63c5;
const SIMPLE_TAG: Id = 0x67c8;
const TAG_NAME: Id = 0x45a3;
const TAG_STRING: Id = 0x4487;

/// What describes a track to the user: names, languages, and the flags default, forced, hearing
/// impaired, visual impaired, text descriptions, original and commentary.
const DESCRIPTION: [Id; 11] = [
    TRACK_UID,
    NAME,
    LANGUAGE,
    LANGUAGE_BCP47,
    FLAG_DEFAULT,
    FLAG_FORCED,
    0x55ab,
    0x55ac,
    0x55ad,
    0x55ae,
    0x55af,
];

/// Tags about the packets of a track, which other packets make wrong.
const STATISTICS: [&str; 6] =
    ["BPS", "DURATION", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "SOURCE_ID", "ENCODER"];

/// Bytes that a muxer is made to reserve in the head, as the name of the application.
pub const RESERVE: usize = 1 << 14;

/// The largest element that is read.
const MAX_ELEMENT: u64 = 1 << 30;

/// An element in a file.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: Id,
    /// Of the header.
    at: u64,
    /// Of the data.
    data: u64,
    /// `None` if the size is not known.
    end: Option<u64>,
}

/// The element whose header begins at `at`.
fn place(file: &mut File, at: u64) -> io::Result<Option<Place>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    (&*file).take(ebml::MAX_HEAD as u64).read_to_end(&mut bytes)?;
    Ok(ebml::Head::parse(&bytes).map(|head| {
        let data = at + head.length as u64;
        Place { id: head.id, at, data, end: head.size.and_then(|size| data.checked_add(size)) }
    }))
}

/// The segment and the elements in it, up to one of unknown size.
fn layout(file: &mut File) -> io::Result<Option<(Place, Vec<Place>)>> {
    let Some(Place { id: EBML, end: Some(end), .. }) = place(file, 0)? else { return Ok(None) };
    let Some(segment) = place(file, end)?.filter(|it| it.id == SEGMENT) else { return Ok(None) };
    let file_end = file.seek(SeekFrom::End(0))?;
    let end = segment.end.unwrap_or(file_end).min(file_end);
    let (mut places, mut at) = (Vec::new(), segment.data);
    while at < end {
        let Some(found) = place(file, at)? else { break };
        let Some(next) = found.end.filter(|next| *next <= end) else { break };
        places.push(found);
        at = next;
    }
    Ok(Some((segment, places)))
}

fn load(file: &mut File, place: Place) -> io::Result<Element> {
    let size = place.end.unwrap_or(place.data).saturating_sub(place.data);
    let mut data = Vec::new();
    if size <= MAX_ELEMENT {
        file.seek(SeekFrom::Start(place.data))?;
        (&*file).take(size).read_to_end(&mut data)?;
    }
    Ok(Element { id: place.id, data })
}

pub fn read(file: &mut File) -> io::Result<Head> {
    let mut head = Head::default();
    let Some((_, places)) = layout(file)? else { return Ok(head) };
    for place in places {
        match place.id {
            INFO => {
                let title = load(file, place)?.child(TITLE).map(|title| title.to_text());
                head.title = title.filter(|title| !title.is_empty());
            }
            TRACKS => {
                head.tracks = load(file, place)?.children().iter().filter_map(track).collect()
            }
            CHAPTERS | ATTACHMENTS | TAGS => head.elements.push(load(file, place)?),
            _ => {}
        }
    }
    for element in head.elements.clone() {
        match element.id {
            CHAPTERS => head.chapters = chapters(&element),
            ATTACHMENTS => head.attachments = attachments(&element),
            _ => head.tags.extend(film_tags(&element)),
        }
    }
    Ok(head)
}

pub fn codecs(file: &mut File) -> io::Result<Vec<Codec>> {
    let (mut codecs, mut uids, mut durations) = (Vec::new(), Vec::new(), Vec::new());
    let Some((_, places)) = layout(file)? else { return Ok(codecs) };
    for place in places.into_iter().filter(|place| [TRACKS, TAGS].contains(&place.id)) {
        for entry in load(file, place)?.children() {
            let text = |id: Id| entry.child(id).map(|text| text.to_text());
            let number = |id: Id| entry.child(id).and_then(|number| number.to_unsigned());
            match entry.id {
                TRACK_ENTRY => {
                    let Some(track) = number(TRACK_NUMBER) else { continue };
                    let name = text(CODEC_ID).unwrap_or_default();
                    codecs.push(Codec { track, name, duration: None });
                    uids.push(number(TRACK_UID));
                }
                TAG => durations.extend(duration(&entry)),
                _ => {}
            }
        }
    }
    for (codec, uid) in codecs.iter_mut().zip(uids) {
        let mut own = durations.iter().filter(|(track, _)| Some(*track) == uid);
        codec.duration = own.next().map(|(_, duration)| *duration);
    }
    Ok(codecs)
}

/// The identifier of a track and its duration in nanoseconds, if the tag gives that.
fn duration(tag: &Element) -> Option<(u64, u64)> {
    let uid = tag.child(TARGETS)?.child(TARGET_TRACK)?.to_unsigned()?;
    let parts = tag.children();
    let is_duration =
        |part: &&Element| part.child(TAG_NAME).is_some_and(|name| name.to_text() == "DURATION");
    let text = parts.iter().find(is_duration)?.child(TAG_STRING)?.to_text();
    Some((uid, parse_time(&text)?))
}

/// The nanoseconds of `HH:MM:SS.nnnnnnnnn`.
fn parse_time(text: &str) -> Option<u64> {
    let (text, fraction) = text.trim_end_matches('\0').split_once('.')?;
    let fraction = format!("{fraction:0<9}").get(..9)?.parse::<u64>().ok()?;
    let seconds = text
        .split(':')
        .try_fold(0u64, |seconds, part| seconds.checked_mul(60)?.checked_add(part.parse().ok()?))?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

fn track(entry: &Element) -> Option<Track> {
    if entry.id != TRACK_ENTRY {
        return None;
    }
    let mut elements = entry.children();
    let flag = |id: Id| entry.child(id).and_then(|flag| flag.to_unsigned()).map(|flag| flag == 1);
    let colour = entry.child(VIDEO).and_then(|video| video.child(COLOUR));
    let track = Track {
        number: entry.child(TRACK_NUMBER)?.to_unsigned()?,
        name: entry.child(NAME).map(|name| name.to_text()),
        is_default: flag(FLAG_DEFAULT).unwrap_or(true),
        is_forced: flag(FLAG_FORCED).unwrap_or(false),
        matrix: colour.and_then(|colour| colour.child(MATRIX)?.to_unsigned()),
        elements: Vec::new(),
    };
    elements.retain(|element| DESCRIPTION.contains(&element.id));
    Some(Track { elements, ..track })
}

/// The chapters of the first edition.
fn chapters(element: &Element) -> Vec<Chapter> {
    let Some(edition) = element.child(EDITION) else { return Vec::new() };
    let atoms = edition.children().into_iter().filter(|atom| atom.id == CHAPTER);
    let chapter = |atom: Element| {
        let title = atom.child(CHAPTER_DISPLAY).and_then(|display| display.child(CHAPTER_TITLE));
        Some(Chapter {
            start: atom.child(CHAPTER_START)?.to_unsigned()?,
            title: title.map(|title| title.to_text()).unwrap_or_default(),
        })
    };
    atoms.filter_map(chapter).collect()
}

fn attachments(element: &Element) -> Vec<Attachment> {
    let attachment = |file: Element| {
        let text = |id| file.child(id).map(|text| text.to_text()).unwrap_or_default();
        let data = file.child(FILE_DATA)?.data;
        Some(Attachment { name: text(FILE_NAME), media: text(FILE_MEDIA), data })
    };
    let files = element.children().into_iter().filter(|file| file.id == ATTACHED_FILE);
    files.filter_map(attachment).collect()
}

/// Tags of the whole film.
fn film_tags(element: &Element) -> Vec<(String, String)> {
    let is_film = |tag: &Element| {
        let targets = tag.child(TARGETS).map(|targets| targets.children()).unwrap_or_default();
        tag.id == TAG && !targets.iter().any(|target| [TARGET_TRACK].contains(&target.id))
    };
    let tags = element.children().into_iter().filter(is_film);
    let pair = |tag: &Element| {
        let text = |id| tag.child(id).map(|text| text.to_text());
        (tag.id == SIMPLE_TAG).then(|| Some((text(TAG_NAME)?, text(TAG_STRING)?)))?
    };
    tags.flat_map(|tag| tag.children().iter().filter_map(pair).collect::<Vec<_>>()).collect()
}

pub fn complete(
    head: &Head,
    file: &mut File,
    streams: &[Written],
    facts: &Facts,
) -> io::Result<Vec<String>> {
    let mut losses = Vec::new();
    let Some((segment, places)) = layout(file)? else { return Ok(losses) };
    let find = |id: Id| places.iter().find(|place| place.id == id).copied();
    let (Some(info), Some(tracks), Some(cluster)) = (find(INFO), find(TRACKS), find(CLUSTER))
    else {
        return Ok(losses);
    };
    let info = new_info(head, &load(file, info)?);
    let tracks = new_tracks(head, &load(file, tracks)?, streams, facts);

    // Behind the clusters: the muxer's tags are replaced, everything else stays.
    let mut end = places.last().and_then(|last| last.end).unwrap_or(segment.data);
    let mut elements = level_1(head, streams);
    if is_webm(file)? && elements.iter().any(|element| element.id == ATTACHMENTS) {
        elements.retain(|element| element.id != ATTACHMENTS);
        losses.push("the attachments are not in the output: use a .mkv file to keep them".into());
    }
    let mut seeks: Vec<(Id, u64)> = Vec::new();
    if let Some(last) = places.last().filter(|last| last.id == TAGS) {
        if head.has_tags() {
            end = last.at;
        } else {
            seeks.push((TAGS, last.at));
        }
    }
    let mut appended = Vec::new();
    for element in elements {
        seeks.push((element.id, end + appended.len() as u64));
        element.write(&mut appended);
    }
    seeks.extend(places.iter().filter(|place| place.id == CUES).map(|cues| (CUES, cues.at)));

    // Before the first cluster.
    let room = usize::try_from(cluster.at - segment.data).unwrap_or_default();
    let Some(block) = head_block(&info, &tracks, &seeks, segment.data, room) else {
        losses.push(
            "names and flags of the tracks are not in the output: they are too long".to_owned(),
        );
        return Ok(losses);
    };
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&appended)?;
    let end = end + appended.len() as u64;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(segment.data))?;
    file.write_all(&block)?;
    // The muxer gives the size 8 bytes.
    if segment.data - segment.at == 12 {
        file.seek(SeekFrom::Start(segment.at + 4))?;
        file.write_all(&((end - segment.data) | 1 << 56).to_be_bytes())?;
    }
    Ok(losses)
}

fn is_webm(file: &mut File) -> io::Result<bool> {
    const DOC_TYPE: Id = 0x4282;
    let Some(header) = place(file, 0)? else { return Ok(false) };
    Ok(load(file, header)?.child(DOC_TYPE).is_some_and(|kind| kind.to_text() == "webm"))
}

/// `SeekHead`, `Info` and `Tracks` in exactly `room` bytes, which begin at `base`. `None` if they do
/// not fit.
fn head_block(
    info: &Element,
    tracks: &Element,
    seeks: &[(Id, u64)],
    base: u64,
    room: usize,
) -> Option<Vec<u8>> {
    let (info, tracks) = (info.to_bytes(), tracks.to_bytes());
    let seek_head = |first: u64| {
        let own = [(INFO, base + first), (TRACKS, base + first + info.len() as u64)];
        let entries = own.iter().chain(seeks).map(|(id, at)| {
            let id = Element::new(SEEK_ID, id.to_be_bytes());
            // 8 bytes, so that the size of the list does not depend on the positions.
            let at = Element::new(SEEK_POSITION, (at - base).to_be_bytes());
            Element::parent(SEEK, &[id, at])
        });
        Element::parent(SEEK_HEAD, &entries.collect::<Vec<_>>()).to_bytes()
    };
    let length = seek_head(0).len() as u64;
    let mut block = seek_head(length);
    block.extend(info);
    block.extend(tracks);
    let rest = room.checked_sub(block.len())?;
    if rest > 0 {
        block.extend(Element::void(rest)?);
    }
    Some(block)
}

fn new_info(head: &Head, info: &Element) -> Element {
    let mut added =
        vec![Element::text(WRITING_APP, &format!("gst-upscale {}", env!("CARGO_PKG_VERSION")))];
    added.extend(head.title.as_ref().map(|title| Element::text(TITLE, title)));
    info.with(&[WRITING_APP, TITLE], &added)
}

fn new_tracks(head: &Head, tracks: &Element, streams: &[Written], facts: &Facts) -> Element {
    let mut entries = tracks.children();
    let found = entries.iter_mut().filter(|entry| entry.id == TRACK_ENTRY);
    for (number, entry) in found.enumerate() {
        let track = streams.get(number).and_then(|stream| head.track(stream));
        let mut removed = vec![NAME, FLAG_DEFAULT, FLAG_FORCED];
        let mut added = Vec::new();
        match track {
            Some(track) if !track.elements.is_empty() => {
                removed.extend(DESCRIPTION);
                added.extend_from_slice(&track.elements);
            }
            Some(track) => {
                added.extend(track.name.as_ref().map(|name| Element::text(NAME, name)));
                added.push(Element::unsigned(FLAG_DEFAULT, track.is_default.into()));
                added.push(Element::unsigned(FLAG_FORCED, track.is_forced.into()));
            }
            None => {}
        }
        // Without this element the language is English.
        let languages = [LANGUAGE, LANGUAGE_BCP47];
        if track.is_none_or(|track| track.elements.is_empty())
            && !languages.iter().any(|id| entry.child(*id).is_some())
        {
            added.push(Element::text(LANGUAGE, "und"));
        }
        *entry = entry.with(&removed, &added);
        if number == 0 {
            *entry = with_facts(entry, facts);
        }
    }
    Element::parent(TRACKS, &entries)
}

fn with_facts(entry: &Element, facts: &Facts) -> Element {
    let Some(mut video) = entry.child(VIDEO) else { return entry.clone() };
    if let Some((x, y)) = facts.aspect {
        // The unit 3 means that these are only a ratio.
        let display = [(DISPLAY_WIDTH, x), (DISPLAY_HEIGHT, y), (DISPLAY_UNIT, 3)];
        let display = display.map(|(id, number)| Element::unsigned(id, number));
        video = video.with(&[DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT], &display);
    }
    let mut added = Vec::new();
    if let Some(values) = facts.mastering {
        let scale = |at: usize| if at < 8 { 50_000.0 } else { 10_000.0 };
        let values = values.iter().zip(MASTERING + 1..).enumerate();
        let values =
            values.map(|(at, (value, id))| Element::float(id, f64::from(*value) / scale(at)));
        added.push(Element::parent(MASTERING, &values.collect::<Vec<_>>()));
    }
    if let Some([largest, mean]) = facts.light {
        added.push(Element::unsigned(MAX_CLL, largest.into()));
        added.push(Element::unsigned(MAX_FALL, mean.into()));
    }
    if !added.is_empty() {
        let colour = video.child(COLOUR).unwrap_or_else(|| Element::parent(COLOUR, &[]));
        let colour = colour.with(&[MASTERING, MAX_CLL, MAX_FALL], &added);
        video = video.with(&[COLOUR], &[colour]);
    }
    entry.with(&[VIDEO], &[video])
}

/// `Chapters`, `Attachments` and `Tags` for the output.
fn level_1(head: &Head, streams: &[Written]) -> Vec<Element> {
    if !head.elements.is_empty() {
        let video = streams.first().and_then(|video| head.track(video)).and_then(|track| {
            let uid = track.elements.iter().find(|element| element.id == TRACK_UID)?;
            uid.to_unsigned()
        });
        let copied = |element: &Element| match element.id {
            TAGS => without_statistics(element, video),
            _ => element.clone(),
        };
        return head.elements.iter().map(copied).collect();
    }
    let mut elements = Vec::new();
    replace_chapters(&mut elements, &head.chapters);
    if !head.attachments.is_empty() {
        let files = head.attachments.iter().zip(1..).map(|(file, uid)| {
            let parts = [
                Element::text(FILE_NAME, &file.name),
                Element::text(FILE_MEDIA, &file.media),
                Element::new(FILE_DATA, file.data.as_slice()),
                Element::unsigned(FILE_UID, uid),
            ];
            Element::parent(ATTACHED_FILE, &parts)
        });
        elements.push(Element::parent(ATTACHMENTS, &files.collect::<Vec<_>>()));
    }
    if !head.tags.is_empty() {
        let tags = head.tags.iter().map(|(name, value)| {
            let parts = [Element::text(TAG_NAME, name), Element::text(TAG_STRING, value)];
            Element::parent(SIMPLE_TAG, &parts)
        });
        let mut parts = vec![Element::parent(TARGETS, &[])];
        parts.extend(tags);
        elements.push(Element::parent(TAGS, &[Element::parent(TAG, &parts)]));
    }
    elements
}

/// Replaces `Chapters` by an element for these chapters.
pub fn replace_chapters(elements: &mut Vec<Element>, chapters: &[Chapter]) {
    elements.retain(|element| element.id != CHAPTERS);
    if chapters.is_empty() {
        return;
    }
    let atoms = chapters.iter().zip(1..).map(|(chapter, uid)| {
        let title =
            [Element::text(CHAPTER_TITLE, &chapter.title), Element::text(CHAPTER_LANGUAGE, "und")];
        let parts = [
            Element::unsigned(CHAPTER_UID, uid),
            Element::unsigned(CHAPTER_START, chapter.start),
            Element::parent(CHAPTER_DISPLAY, &title),
        ];
        Element::parent(CHAPTER, &parts)
    });
    let edition = Element::parent(EDITION, &atoms.collect::<Vec<_>>());
    elements.push(Element::parent(CHAPTERS, &[edition]));
}

/// Tags without those about the packets of the video, which are other ones now.
fn without_statistics(tags: &Element, video: Option<u64>) -> Element {
    let mut all = tags.children();
    for tag in &mut all {
        let targets = tag.child(TARGETS).map(|targets| targets.children()).unwrap_or_default();
        let concerns_video = targets.iter().any(|target| {
            target.id == TARGET_TRACK && video.is_some() && target.to_unsigned() == video
        });
        if concerns_video {
            let mut parts = tag.children();
            parts.retain(|part| {
                let name = part.child(TAG_NAME).map(|name| name.to_text()).unwrap_or_default();
                !STATISTICS.contains(&name.as_str()) && !name.starts_with("_STATISTICS")
            });
            *tag = Element::parent(TAG, &parts);
        }
    }
    // A tag must say something.
    all.retain(|tag| tag.id != TAG || tag.child(SIMPLE_TAG).is_some());
    Element::parent(TAGS, &all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_tags_have_hours_and_up_to_nine_decimals() {
        assert_eq!(parse_time("00:00:02.500000000\0\0"), Some(2_500_000_000));
        assert_eq!(parse_time("01:02:03.04"), Some(3_723_040_000_000));
        assert_eq!(parse_time("99999999999999:00:00.0"), None);
        assert_eq!(parse_time("2.x"), None);
    }
}

//! WebVTT subtitles in Matroska and WebM files, which `matroskademux` of GStreamer 1.22 does not
//! recognise and muxers do not write. They become plain text.

use gst::prelude::*;

/// A field of caps: the text was WebVTT.
pub const FORMER: &str = "former-web-vtt";

/// Tags of WebVTT that players of plain subtitles know as well.
const KNOWN_TAGS: [&str; 3] = ["b", "i", "u"];

/// How a block of a file holds a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    /// The text alone (`S_TEXT/WEBVTT`).
    Text,
    /// Identifier, settings and text, separated by line feeds (`D_WEBVTT/…` of WebM).
    Cue,
}

impl Storage {
    fn of(codec: &str) -> Option<Self> {
        match codec {
            "S_TEXT/WEBVTT" => Some(Self::Text),
            "D_WEBVTT/SUBTITLES" | "D_WEBVTT/CAPTIONS" => Some(Self::Cue),
            _ => None,
        }
    }
}

/// Makes plain text of what leaves `pad` of `matroskademux`. Returns the caps of the text; `None` if
/// `codec`, as the file calls it, is not WebVTT.
pub fn make_plain(pad: &gst::Pad, codec: &str) -> Option<gst::Caps> {
    let storage = Storage::of(codec)?;
    let caps = gst::Caps::builder("text/x-raw").field("format", "utf8").field(FORMER, true).build();
    let text = caps.clone();
    let types = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(types, move |_, info| {
        match &mut info.data {
            Some(gst::PadProbeData::Event(event)) if event.type_() == gst::EventType::Caps => {
                *event = gst::event::Caps::builder(&text).seqnum(event.seqnum()).build();
            }
            Some(gst::PadProbeData::Buffer(buffer)) => {
                if let Some(plain) = plain_buffer(buffer, storage) {
                    *buffer = plain;
                }
            }
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
    Some(caps)
}

fn plain_buffer(buffer: &gst::BufferRef, storage: Storage) -> Option<gst::Buffer> {
    let block = buffer.map_readable().ok()?;
    let block = String::from_utf8_lossy(&block);
    let cue = match storage {
        Storage::Text => &block,
        Storage::Cue => block.splitn(3, '\n').nth(2)?,
    };
    let mut plain = gst::Buffer::from_slice(plain_text(cue).into_bytes());
    buffer.copy_into(plain.get_mut()?, gst::BUFFER_COPY_METADATA, ..).ok()?;
    Some(plain)
}

/// The text of a cue without voices, classes, times and other tags, with its character references
/// resolved (WebVTT, section 4.2.2).
fn plain_text(cue: &str) -> String {
    let mut text = String::with_capacity(cue.len());
    let mut rest = cue.trim_matches(['\r', '\n', '\0']);
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        text.push_str(before);
        let Some((tag, after)) = tag.split_once('>') else {
            rest = tag;
            break;
        };
        let name = tag.trim_start_matches(['<', '/']).split(['.', ' ']).next().unwrap_or_default();
        if KNOWN_TAGS.contains(&name) {
            let end = if tag.starts_with("</") { "/" } else { "" };
            text.push_str(&format!("<{end}{name}>"));
        }
        rest = after;
    }
    text.push_str(rest);
    for (reference, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", "\u{a0}"),
        ("&lrm;", "\u{200e}"),
        ("&rlm;", "\u{200f}"),
        ("&amp;", "&"),
    ] {
        text = text.replace(reference, character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_only_web_vtt_has_are_left_out() {
        for (cue, expected) in [
            ("<v Bob>Hello <i.loud>there</i>\nsecond", "Hello <i>there</i>\nsecond"),
            ("<c.yellow>Bye &amp; so</c>\r\n", "Bye & so"),
            ("a <00:01.500>word &lt;b&gt;", "a word <b>"),
            ("1 < 2", "1 < 2"),
            ("", ""),
        ] {
            assert_eq!(plain_text(cue), expected);
        }
    }

    #[test]
    fn both_ways_of_storing_a_cue_are_read() {
        gst::init().unwrap();
        let text = |storage, block: &'static str| {
            let mut buffer = gst::Buffer::from_slice(block);
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::SECOND);
            let plain = plain_buffer(&buffer, storage)?;
            assert_eq!(plain.pts(), Some(gst::ClockTime::SECOND));
            Some(String::from_utf8(plain.map_readable().unwrap().to_vec()).unwrap())
        };
        assert_eq!(text(Storage::Text, "a\nb").as_deref(), Some("a\nb"));
        assert_eq!(text(Storage::Cue, "1\nline:10%\na\nb").as_deref(), Some("a\nb"));
        assert_eq!(text(Storage::Cue, "broken"), None);
        assert_eq!(Storage::of("S_TEXT/UTF8"), None);
    }
}

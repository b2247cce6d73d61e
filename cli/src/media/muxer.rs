//! Which streams a muxer takes as they are, and what the others need.

use gst::prelude::*;

/// The muxer's template for a pad that takes streams of these caps.
pub fn pad_template(muxer: &gst::Element, caps: &gst::Caps) -> Option<gst::PadTemplate> {
    let mut caps = caps.clone();
    // These describe the framing, which the codec's parser changes.
    for media in caps.make_mut().iter_mut() {
        media.remove_fields(["stream-format", "framed", "parsed", "alignment"]);
    }
    muxer.pad_template_list().into_iter().find(|template| {
        template.direction() == gst::PadDirection::Sink && template.caps().can_intersect(&caps)
    })
}

/// Whether a stream is to be taken from the demuxer as it is: subtitles, whose style a parser
/// would drop, and sound in whole frames, which `parsebin` drops if no decoder is installed.
pub fn needs_no_parser(caps: &gst::Caps) -> bool {
    let is_set = |media: &gst::StructureRef, field: &str| media.get(field) == Ok(true);
    caps.iter().any(|media| {
        let name = media.name().as_str();
        name.starts_with("application/x-subtitle")
            || ["application/x-ass", "application/x-ssa"].contains(&name)
            || (name.starts_with("audio/") && (is_set(media, "framed") || is_set(media, "parsed")))
    })
}

/// Whether the sound is AAC, the only codec here whose framing differs between containers.
pub fn is_aac(caps: &gst::Caps) -> bool {
    let versions = gst::List::new([2, 4]);
    let aac = gst::Caps::builder("audio/mpeg").field("mpegversion", versions).build();
    caps.can_intersect(&aac)
}

/// Whether the sound is AAC in the framing of digital television (ISO/IEC 14496-3, 1.7).
pub fn is_loas(caps: &gst::Caps) -> bool {
    caps.iter().any(|media| media.get("stream-format") == Ok("loas"))
}

/// Whether sound of the first caps may go on with the other ones under the first caps, because each
/// packet says how many channels it has and at which rate.
pub fn is_self_describing(first: &gst::Caps, other: &gst::Caps) -> bool {
    let (Some(first), Some(other)) = (first.structure(0), other.structure(0)) else { return false };
    let text = |media: &gst::StructureRef, field: &str| {
        media.value(field).ok().and_then(|value| value.serialize().ok())
    };
    let same = |field: &str| text(first, field) == text(other, field);
    let name = first.name().as_str();
    let is_mpeg_1 = first.get("mpegversion") == Ok(1) && same("mpegversion") && same("layer");
    first.name() == other.name()
        && (["audio/x-ac3", "audio/x-eac3", "audio/x-dts"].contains(&name) || is_mpeg_1)
        && same("rate")
}

/// The caps that the encoder `factory` outputs.
pub fn encoder_caps(factory: &gst::ElementFactory) -> gst::Caps {
    let templates = factory.static_pad_templates().into_iter();
    let mut sources = templates.filter(|pad| pad.direction() == gst::PadDirection::Src);
    sources.next().map_or_else(gst::Caps::new_any, |pad| pad.caps())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        text.parse().unwrap()
    }

    #[test]
    fn whole_frames_of_sound_and_styled_subtitles_need_no_parser() {
        for text in ["audio/mpeg,framed=true", "audio/x-ac3,parsed=true", "application/x-ass"] {
            assert!(needs_no_parser(&caps(text)), "{text}");
        }
        for text in ["audio/mpeg,framed=false", "audio/x-ac3", "video/x-h264,parsed=true"] {
            assert!(!needs_no_parser(&caps(text)), "{text}");
        }
    }

    #[test]
    fn a_muxer_takes_a_codec_in_any_framing() {
        let h264 = caps("video/x-h264,stream-format=byte-stream,alignment=nal,width=64,height=64");
        let muxer = gst::ElementFactory::make("matroskamux").build().unwrap();
        assert!(pad_template(&muxer, &h264).is_some_and(|pad| pad.name().starts_with("video")));
        assert!(pad_template(&muxer, &caps("application/x-unknown")).is_none());
    }

    #[test]
    fn only_packets_that_describe_themselves_may_change_their_channels() {
        let goes_on = |a: &str, b: &str| is_self_describing(&caps(a), &caps(b));
        let ac3 = |channels: u32, rate: u32| {
            format!("audio/x-ac3,channels=(int){channels},rate=(int){rate}")
        };
        assert!(goes_on(&ac3(6, 48_000), &ac3(1, 48_000)));
        assert!(!goes_on(&ac3(6, 48_000), &ac3(6, 44_100)));
        assert!(!goes_on("audio/x-ac3", "audio/x-eac3"));
        assert!(!goes_on("audio/mpeg,mpegversion=4", "audio/mpeg,mpegversion=4"));
        assert!(goes_on("audio/mpeg,mpegversion=1,layer=2", "audio/mpeg,mpegversion=1,layer=2"));
    }

    #[test]
    fn mp3_is_not_aac() {
        assert!(is_aac(&caps("audio/mpeg,mpegversion=4")));
        assert!(!is_aac(&caps("audio/mpeg,mpegversion=1")));
    }
}

//! The header of Y4M files (`yuv4mpeg(5)` of MJPEG Tools; FFmpeg's names for more than 8 bits). The
//! elements of GStreamer 1.22 support 8 bits only.

use gst_video::{
    VideoChromaSite, VideoColorMatrix, VideoColorRange, VideoFieldOrder, VideoFormat, VideoInfo,
    VideoInterlaceMode,
};

/// The header cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the Y4M header is damaged: {0}")]
    Damaged(String),
    #[error("Y4M with the chroma format {name} is not supported; expected one of: {known}")]
    Chroma { name: String, known: String },
}

/// The first word of a file, and of each frame.
pub const MAGIC: &str = "YUV4MPEG2";
pub const FRAME: &str = "FRAME";

/// No header is longer.
pub const LONGEST_LINE: usize = 4096;

/// The names of chroma formats, the preferred one of a format first.
const FORMATS: &[(&str, VideoFormat)] = &[
    ("420mpeg2", VideoFormat::I420),
    ("420jpeg", VideoFormat::I420),
    ("420paldv", VideoFormat::I420),
    ("420", VideoFormat::I420),
    ("411", VideoFormat::Y41b),
    ("422", VideoFormat::Y42b),
    ("444", VideoFormat::Y444),
    ("mono", VideoFormat::Gray8),
    ("mono16", VideoFormat::Gray16Le),
    ("420p10", VideoFormat::I42010le),
    ("422p10", VideoFormat::I42210le),
    ("444p10", VideoFormat::Y44410le),
    ("420p12", VideoFormat::I42012le),
    ("422p12", VideoFormat::I42212le),
    ("444p12", VideoFormat::Y44412le),
    ("444p16", VideoFormat::Y44416le),
];

/// The formats that files can have, as a list for caps.
pub fn formats() -> String {
    let mut formats: Vec<_> = FORMATS.iter().map(|(_, format)| format.to_str().as_str()).collect();
    formats.dedup();
    // GStreamer converts to the first one of those that lose nothing.
    formats.join(",")
}

/// The frames that follow a header, without its line end.
///
/// # Errors
/// The header is damaged, or the format is not supported.
pub fn parse(header: &str) -> Result<VideoInfo, Error> {
    let damaged = || Error::Damaged(header.into());
    let mut words = header.split(' ');
    if words.next() != Some(MAGIC) {
        return Err(damaged());
    }
    let (mut width, mut height) = (None, None);
    let (mut rate, mut aspect) = (gst::Fraction::new(25, 1), gst::Fraction::new(1, 1));
    let (mut chroma, mut range, mut field_order) = ("420", None, None);
    for word in words.filter(|word| !word.is_empty()) {
        let (name, value) = word.split_at_checked(1).ok_or_else(damaged)?;
        match name {
            "W" => width = value.parse().ok(),
            "H" => height = value.parse().ok(),
            "F" => rate = fraction(value).unwrap_or(rate),
            "A" => aspect = fraction(value).unwrap_or(aspect),
            "C" => chroma = value,
            "I" if value == "t" => field_order = Some(VideoFieldOrder::TopFieldFirst),
            "I" if value == "b" => field_order = Some(VideoFieldOrder::BottomFieldFirst),
            "X" if value == "COLORRANGE=FULL" => range = Some(VideoColorRange::Range0_255),
            "X" if value == "COLORRANGE=LIMITED" => range = Some(VideoColorRange::Range16_235),
            _ => {}
        }
    }
    let known = || FORMATS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let unknown = || Error::Chroma { name: chroma.into(), known: known() };
    let (_, format) = FORMATS.iter().find(|(name, _)| *name == chroma).ok_or_else(unknown)?;
    let (width, height) = (width.ok_or_else(damaged)?, height.ok_or_else(damaged)?);
    let mut builder = VideoInfo::builder(*format, width, height).fps(rate).par(aspect);
    let default = VideoInfo::builder(*format, width, height).build().map_err(|_| damaged())?;
    let colour = default.colorimetry();
    let colour = range.map(|range| {
        let (transfer, primaries) = (colour.transfer(), colour.primaries());
        gst_video::VideoColorimetry::new(range, colour.matrix(), transfer, primaries)
    });
    if let Some(colour) = &colour {
        builder = builder.colorimetry(colour);
    }
    if let Some(site) = chroma_site(chroma) {
        builder = builder.chroma_site(site);
    }
    if let Some(order) = field_order {
        builder = builder.interlace_mode(VideoInterlaceMode::Interleaved).field_order(order);
    }
    builder.build().map_err(|_| damaged())
}

/// The header for frames, with its line end. Y4M has no colour matrix.
pub fn header(info: &VideoInfo) -> String {
    let named = |(_, format): &&(&str, VideoFormat)| *format == info.format();
    let site = |(name, _): &&(&str, VideoFormat)| chroma_site(name) == Some(info.chroma_site());
    let mut names = FORMATS.iter().filter(named);
    let first = names.clone().next();
    let chroma = names.find(site).or(first).map_or("420", |(name, _)| name);
    // A frame rate that varies.
    let rate = if info.fps().numer() > 0 { info.fps() } else { gst::Fraction::new(25, 1) };
    let range = match info.colorimetry().range() {
        VideoColorRange::Range0_255 => " XCOLORRANGE=FULL",
        VideoColorRange::Range16_235 => " XCOLORRANGE=LIMITED",
        _ => "",
    };
    format!(
        "{MAGIC} W{} H{} F{}:{} Ip A{}:{} C{chroma}{range}\n",
        info.width(),
        info.height(),
        rate.numer(),
        rate.denom(),
        info.par().numer(),
        info.par().denom()
    )
}

/// Whether players assume another colour matrix than the frames have: that of their height.
pub fn loses_matrix(info: &VideoInfo) -> bool {
    let assumed =
        if info.height() > 576 { VideoColorMatrix::Bt709 } else { VideoColorMatrix::Bt601 };
    info.is_yuv() && info.colorimetry().matrix() != assumed
}

fn fraction(text: &str) -> Option<gst::Fraction> {
    let (numerator, denominator) = text.split_once(':')?;
    let (numerator, denominator): (i32, i32) = (numerator.parse().ok()?, denominator.parse().ok()?);
    (numerator > 0 && denominator > 0).then(|| gst::Fraction::new(numerator, denominator))
}

fn chroma_site(chroma: &str) -> Option<VideoChromaSite> {
    match chroma {
        "420jpeg" | "420" => Some(VideoChromaSite::JPEG),
        "420mpeg2" => Some(VideoChromaSite::MPEG2),
        "420paldv" => Some(VideoChromaSite::COSITED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_same_there_and_back() {
        gst::init().unwrap();
        for text in [
            "YUV4MPEG2 W64 H48 F30000:1001 Ip A12:11 C420jpeg XCOLORRANGE=FULL",
            "YUV4MPEG2 W63 H47 F25:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED",
            "YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420paldv XCOLORRANGE=LIMITED",
            "YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C422p10 XCOLORRANGE=LIMITED",
            "YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C444p16 XCOLORRANGE=LIMITED",
        ] {
            assert_eq!(header(&parse(text).unwrap()).trim_end(), text);
        }
    }

    #[test]
    fn aspect_and_rate_can_be_unknown() {
        gst::init().unwrap();
        let info = parse("YUV4MPEG2 W64 H48 F0:0 It A0:0").unwrap();
        assert_eq!((info.fps(), info.par()), (gst::Fraction::new(25, 1), gst::Fraction::new(1, 1)));
        assert_eq!(info.interlace_mode(), VideoInterlaceMode::Interleaved);
        assert_eq!(info.chroma_site(), VideoChromaSite::JPEG);
    }

    #[test]
    fn a_damaged_header_and_an_unknown_format_are_errors() {
        gst::init().unwrap();
        for text in
            ["", "YUV4MPEG2", "YUV4MPEG2 W64", "RIFF W1 H1", "YUV4MPEG2 W0 H0", "YUV4MPEG2 Wé"]
        {
            assert!(matches!(parse(text), Err(Error::Damaged(_))), "{text}");
        }
        let error = parse("YUV4MPEG2 W64 H48 C444alpha").unwrap_err().to_string();
        assert!(error.contains("444alpha") && error.contains("420p10"), "{error}");
    }

    #[test]
    fn only_another_matrix_than_that_of_the_height_is_lost() {
        gst::init().unwrap();
        let info = |height, colour: &str| {
            let colour = colour.parse().unwrap();
            let builder = VideoInfo::builder(VideoFormat::I420, 64, height);
            builder.colorimetry(&colour).build().unwrap()
        };
        assert!(!loses_matrix(&info(360, "bt601")) && loses_matrix(&info(720, "bt601")));
        assert!(!loses_matrix(&info(720, "bt709")) && loses_matrix(&info(720, "bt2020")));
    }
}

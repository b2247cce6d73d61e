//! Colorimetry that caps describe incompletely: unknown parts are filled in from the known ones and
//! from the size of the frame.
//!
//! GStreamer replaces a colorimetry without a matrix by a default that depends on the height of the
//! frame (`validate_colorimetry` in `video-info.c`). The enlarged frame has another height, and the
//! default also replaces the range. Every part is therefore resolved once, for the input.

use std::str::FromStr as _;

use gst_video::{
    VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoInfo,
    VideoTransferFunction,
};

/// `caps` with a complete colorimetry: range, matrix, transfer function and primaries. Caps that
/// are not fixed, or have no colorimetry at all, stay as they are.
#[must_use]
pub(super) fn complete(caps: &gst::CapsRef) -> gst::Caps {
    with(caps, named(caps).and_then(|known| completed(caps, &known)))
}

/// Like `complete`, but Y′CbCr without any colorimetry gets the one of its height.
///
/// Encoders write no colour into the stream where the caps name none, and players then take the one
/// of the enlarged height.
#[must_use]
pub fn explicit(caps: &gst::CapsRef) -> gst::Caps {
    if named(caps).is_none() && VideoInfo::from_caps(caps).is_ok_and(|info| info.is_yuv()) {
        return with(caps, completed(caps, &unknown()));
    }
    complete(caps)
}

/// `caps` with `colorimetry`, if there is one.
fn with(caps: &gst::CapsRef, colorimetry: Option<VideoColorimetry>) -> gst::Caps {
    let mut caps = caps.to_owned();
    if let (Some(colorimetry), Some(structure)) = (colorimetry, caps.make_mut().structure_mut(0)) {
        structure.set("colorimetry", colorimetry.to_string());
    }
    caps
}

/// The complete colorimetry of `caps`, whose known parts are `known`. `None` if nothing is missing.
fn completed(caps: &gst::CapsRef, known: &VideoColorimetry) -> Option<VideoColorimetry> {
    if is_complete(known) {
        return None;
    }
    let mut unnamed = caps.to_owned();
    unnamed.make_mut().structure_mut(0)?.remove_field("colorimetry");
    let info = VideoInfo::from_caps(&unnamed).ok().filter(VideoInfo::is_valid)?;
    Some(fill_in(known, &default(&info)))
}

/// The colorimetry of frames without one: GStreamer's default, with the primaries of the 625-line
/// system where the height is one of that system's.
fn default(info: &VideoInfo) -> VideoColorimetry {
    let default = info.colorimetry();
    if default.matrix() == VideoColorMatrix::Bt601
        && info.is_yuv()
        && [288, 576].contains(&info.height())
    {
        let primaries = VideoColorPrimaries::Bt470bg;
        return VideoColorimetry::new(
            default.range(),
            default.matrix(),
            default.transfer(),
            primaries,
        );
    }
    default
}

/// Whether the planes of `caps` hold G, B and R although their format is Y′CbCr: the identity matrix
/// of ITU-T H.273.
pub(super) fn is_identity(caps: &gst::CapsRef) -> bool {
    named(caps).is_some_and(|known| known.matrix() == VideoColorMatrix::Rgb)
        && VideoInfo::from_caps(caps).is_ok_and(|info| !info.is_rgb())
}

/// The colorimetry that `caps` name, with its unknown parts.
fn named(caps: &gst::CapsRef) -> Option<VideoColorimetry> {
    let text = caps.structure(0)?.get::<&str>("colorimetry").ok()?;
    Some(VideoColorimetry::from_str(text).unwrap_or_else(|_| unknown()))
}

fn unknown() -> VideoColorimetry {
    VideoColorimetry::new(
        VideoColorRange::Unknown,
        VideoColorMatrix::Unknown,
        VideoTransferFunction::Unknown,
        VideoColorPrimaries::Unknown,
    )
}

fn is_complete(colorimetry: &VideoColorimetry) -> bool {
    colorimetry.range() != VideoColorRange::Unknown
        && colorimetry.matrix() != VideoColorMatrix::Unknown
        && colorimetry.transfer() != VideoTransferFunction::Unknown
        && colorimetry.primaries() != VideoColorPrimaries::Unknown
}

/// `known` with its unknown parts from the standard that the known ones belong to, otherwise from
/// `default`.
fn fill_in(known: &VideoColorimetry, default: &VideoColorimetry) -> VideoColorimetry {
    let matrix = match (known.matrix(), known.primaries()) {
        (VideoColorMatrix::Unknown, VideoColorPrimaries::Bt2020) => VideoColorMatrix::Bt2020,
        (VideoColorMatrix::Unknown, _) => default.matrix(),
        (matrix, _) => matrix,
    };
    // The default of grey frames names no primaries and no transfer function.
    let standard = match standard_of(matrix) {
        Some(standard) if matrix != default.matrix() || !is_complete(default) => standard,
        _ => *default,
    };
    let range = match known.range() {
        VideoColorRange::Unknown => default.range(),
        range => range,
    };
    let transfer = match known.transfer() {
        VideoTransferFunction::Unknown => standard.transfer(),
        transfer => transfer,
    };
    let primaries = match known.primaries() {
        VideoColorPrimaries::Unknown => standard.primaries(),
        primaries => primaries,
    };
    VideoColorimetry::new(range, matrix, transfer, primaries)
}

/// The colorimetry of the standard that defines the matrix.
fn standard_of(matrix: VideoColorMatrix) -> Option<VideoColorimetry> {
    let name = match matrix {
        VideoColorMatrix::Bt709 => "bt709",
        VideoColorMatrix::Bt2020 => "bt2020-10",
        VideoColorMatrix::Smpte240m => "smpte240m",
        VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc => "bt601",
        _ => return None,
    };
    VideoColorimetry::from_str(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colorimetry of `text` in frames of this format and height, as
    /// `range:matrix:transfer:primaries`.
    fn resolved(text: &str, format: &str, height: i32) -> String {
        gst::init().unwrap();
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", format)
            .field("width", 640)
            .field("height", height)
            .field("colorimetry", text)
            .build();
        let complete = complete(&caps);
        let text = complete.structure(0).unwrap().get::<&str>("colorimetry").unwrap();
        let found = VideoColorimetry::from_str(text).unwrap();
        assert!(is_complete(&found), "{text}");
        text.to_owned()
    }

    #[test]
    fn an_unknown_matrix_is_that_of_the_height_and_the_range_is_kept() {
        assert_eq!(resolved("2:0:0:0", "I420", 360), "bt601");
        assert_eq!(resolved("1:0:0:0", "I420", 360), "1:4:16:4");
        assert_eq!(resolved("0:0:0:0", "I420", 720), "bt709");
        assert_eq!(resolved("1:0:0:0", "I420", 720), "1:3:5:1");
        assert_eq!(resolved("nonsense", "I420", 720), "bt709");
    }

    #[test]
    fn known_parts_are_kept_and_select_the_others() {
        assert_eq!(resolved("2:3:0:0", "I420", 360), "bt709");
        assert_eq!(resolved("0:5:0:0", "I420", 360), "smpte240m");
        assert_eq!(resolved("2:0:14:7", "I420_10LE", 360), "bt2100-pq");
        assert_eq!(resolved("0:3:7:1", "I420", 360), "2:3:7:1");
    }

    #[test]
    fn the_625_line_system_has_primaries_of_its_own() {
        assert_eq!(resolved("2:0:0:0", "I420", 576), "2:4:16:3");
        assert_eq!(resolved("2:4:0:0", "I420", 288), "2:4:16:3");
        assert_eq!(resolved("2:0:0:0", "I420", 480), "bt601");
        assert_eq!(resolved("2:3:0:0", "I420", 576), "bt709");
    }

    #[test]
    fn frames_without_colorimetry_can_get_the_one_of_their_height() {
        gst::init().unwrap();
        let explicit = |caps: &str| {
            let caps = explicit(&caps.parse::<gst::Caps>().unwrap());
            let structure = caps.structure(0).unwrap();
            structure.get::<String>("colorimetry").ok()
        };
        let of = |format: &str, height| {
            explicit(&format!("video/x-raw,format={format},width=720,height={height}"))
        };
        assert_eq!(of("I420", 480).as_deref(), Some("bt601"));
        assert_eq!(of("NV12", 576).as_deref(), Some("2:4:16:3"));
        assert_eq!(of("I420", 1080).as_deref(), Some("bt709"));
        assert_eq!(of("RGB", 480), None);
        assert_eq!(of("GRAY8", 480), None);
        assert_eq!(explicit("video/x-raw"), None);
        let tagged = "video/x-raw,format=I420,width=64,height=36,colorimetry=bt709";
        assert_eq!(explicit(tagged).as_deref(), Some("bt709"));
    }

    #[test]
    fn rgb_and_grey_have_defaults_of_their_own() {
        assert_eq!(resolved("0:0:0:0", "RGB", 360), "sRGB");
        assert!(resolved("1:0:0:0", "GRAY8", 360).starts_with("1:"));
    }

    #[test]
    fn a_complete_colorimetry_and_none_at_all_stay_as_they_are() {
        gst::init().unwrap();
        for text in [
            "video/x-raw,format=I420,width=64,height=36,colorimetry=bt2100-hlg",
            "video/x-raw,format=I420,width=64,height=36",
            "video/x-raw",
        ] {
            let caps: gst::Caps = text.parse().unwrap();
            assert_eq!(complete(&caps), caps);
        }
    }

    #[test]
    fn an_identity_matrix_is_recognised_except_in_rgb() {
        gst::init().unwrap();
        let is_identity = |format: &str| {
            let caps =
                format!("video/x-raw,format={format},width=64,height=36,colorimetry=1:1:7:1");
            super::is_identity(&caps.parse::<gst::Caps>().unwrap())
        };
        assert!(is_identity("Y444"));
        assert!(!is_identity("GBR") && !is_identity("RGB"));
    }
}

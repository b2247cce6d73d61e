//! Caps negotiation: the pad templates, and how caps of one pad become caps of the other.

use gst_video::{VideoFormat, VideoInfo};

use super::{
    colour,
    sizes::{self, Allowed, Lengths, ONE, Ratio, Ratios, Shape, TooLarge, ratio},
};
use crate::frame::{FrameInfo, PixelFormat};

const MAX_SIDE: i32 = FrameInfo::MAX_SIDE as i32;

/// The templates of both pads.
pub(super) fn pad_templates() -> Vec<gst::PadTemplate> {
    [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
        .into_iter()
        .filter_map(|(name, direction)| {
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &template()).ok()
        })
        .collect()
}

/// The caps of both pads: every format in system memory, with and without overlay compositions.
///
/// Interlaced caps are included on purpose: they must reach the element for its error message,
/// which recommends `deinterlace`.
fn template() -> gst::Caps {
    let formats = PixelFormat::ALL.iter().map(|format| format.name());
    let structure = gst::Structure::builder("video/x-raw")
        .field("format", gst::List::new(formats))
        .field("width", gst::IntRange::new(1, MAX_SIDE))
        .field("height", gst::IntRange::new(1, MAX_SIDE))
        .field(
            "framerate",
            gst::FractionRange::new(gst::Fraction::new(0, 1), gst::Fraction::new(i32::MAX, 1)),
        )
        .build();
    let overlay = gst_video::CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION;
    let memory = gst::CAPS_FEATURE_MEMORY_SYSTEM_MEMORY;
    gst::Caps::builder_full()
        .structure(structure.clone())
        // Elements use either notation, and the two do not intersect.
        .structure_with_features(structure.clone(), gst::CapsFeatures::new([memory, overlay]))
        .structure_with_features(structure, gst::CapsFeatures::new([overlay]))
        .build()
}

/// The caps that the other pad can have: any size, any pixel aspect ratio, otherwise the same. The
/// output has a complete colorimetry.
pub(super) fn transform(
    direction: gst::PadDirection,
    caps: &gst::Caps,
    filter: Option<&gst::Caps>,
) -> gst::Caps {
    let mut other = gst::Caps::new_empty();
    let resolved = (direction == gst::PadDirection::Sink).then(|| colour::complete(caps));
    let caps = resolved.as_ref().unwrap_or(caps);
    for (structure, features) in caps.iter_with_features() {
        let mut structure = structure.to_owned();
        structure.set("width", gst::IntRange::new(1, MAX_SIDE));
        structure.set("height", gst::IntRange::new(1, MAX_SIDE));
        if structure.has_field("pixel-aspect-ratio") {
            structure.set("pixel-aspect-ratio", any_aspect());
        }
        // See `template`: interlaced input is accepted here, but the output is never interlaced.
        structure.remove_field("field-order");
        if direction == gst::PadDirection::Src {
            structure.remove_field("interlace-mode");
        } else if structure.has_field("interlace-mode") {
            structure.set("interlace-mode", "progressive");
        }
        other.merge_structure_full(structure, Some(features.to_owned()));
    }
    match filter {
        Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
        None => other,
    }
}

fn any_aspect() -> gst::FractionRange {
    gst::FractionRange::new(gst::Fraction::new(1, i32::MAX), gst::Fraction::new(i32::MAX, 1))
}

/// Whether frames of these caps are interlaced.
pub(super) fn is_interlaced(caps: &gst::CapsRef) -> bool {
    caps.structure(0)
        .and_then(|structure| structure.get::<&str>("interlace-mode").ok())
        .is_some_and(|mode| mode != "progressive")
}

/// Chooses caps among `others` for the other pad. `caps` are fixed and belong to the pad with
/// this `direction`. The output is `scale` times as large as the input if `others` leave a
/// choice.
///
/// # Errors
/// Returns [`TooLarge`] if a frame cannot have the size.
pub(super) fn fixate(
    direction: gst::PadDirection,
    caps: &gst::CapsRef,
    mut others: gst::Caps,
    scale: f64,
) -> Result<gst::Caps, TooLarge> {
    others.truncate();
    let Some(from) = caps.structure(0).and_then(shape) else {
        others.fixate();
        return Ok(others);
    };
    let Some(structure) = others.make_mut().structure_mut(0) else {
        return Ok(others);
    };
    // As in videoscale: a missing pixel aspect ratio can be chosen freely downstream, and is
    // 1/1 upstream.
    let missing_aspects = match direction {
        gst::PadDirection::Sink => Ratios::any(),
        _ => Ratios(vec![(ONE, ONE)]),
    };
    let allowed = Allowed {
        widths: structure.value("width").map_or_else(|_| Lengths::any(), lengths),
        heights: structure.value("height").map_or_else(|_| Lengths::any(), lengths),
        pixel_aspects: structure.value("pixel-aspect-ratio").map_or(missing_aspects, ratios),
    };
    let scale = if direction == gst::PadDirection::Sink { scale } else { scale.recip() };
    let to = sizes::choose(&from, sizes::scaled(&from, scale), &allowed)?;

    structure.set("width", to.width as i32);
    structure.set("height", to.height as i32);
    if structure.has_field("pixel-aspect-ratio") || to.pixel_aspect != ONE {
        let (numerator, denominator) = to.pixel_aspect.into_raw();
        structure
            .set("pixel-aspect-ratio", gst::Fraction::new(numerator as i32, denominator as i32));
    }
    others.fixate();
    keep_colour(caps, &mut others);
    Ok(others)
}

/// Sets colorimetry and chroma siting in `to` if they would change otherwise: caps without these
/// fields imply values that depend on the height of the frame.
fn keep_colour(from: &gst::CapsRef, to: &mut gst::Caps) {
    let from = VideoInfo::from_caps(&colour::complete(from));
    let (Ok(from), Ok(info)) = (from, VideoInfo::from_caps(to)) else { return };
    let Some(structure) = to.make_mut().structure_mut(0) else { return };
    if !structure.has_field("colorimetry") && info.colorimetry() != from.colorimetry() {
        structure.set("colorimetry", from.colorimetry().to_string());
    }
    if !structure.has_field("chroma-site") && info.chroma_site() != from.chroma_site() {
        structure.set("chroma-site", from.chroma_site().to_str());
    }
}

/// The size of a frame in bytes, with default strides; `None` for encoded or invalid caps.
pub(super) fn frame_size(caps: &gst::CapsRef) -> Option<usize> {
    let info = VideoInfo::from_caps(caps).ok()?;
    (info.format() != VideoFormat::Encoded).then(|| info.size())
}

fn shape(structure: &gst::StructureRef) -> Option<Shape> {
    let side = |field| structure.get::<i32>(field).ok().and_then(|side| u32::try_from(side).ok());
    let pixel_aspect = structure.get::<gst::Fraction>("pixel-aspect-ratio").map_or(ONE, aspect);
    Some(Shape { width: side("width")?, height: side("height")?, pixel_aspect })
}

fn aspect(fraction: gst::Fraction) -> Ratio {
    ratio(fraction.numer().max(1) as u64, fraction.denom().max(1) as u64)
}

fn lengths(value: &glib::SendValue) -> Lengths {
    fn collect(value: &glib::Value, into: &mut Vec<(u32, u32, u32)>) {
        if let Ok(side) = value.get::<i32>() {
            let side = side.clamp(1, MAX_SIDE) as u32;
            into.push((side, side, 1));
        } else if let Ok(range) = value.get::<gst::IntRange<i32>>() {
            let side = |side: i32| side.clamp(1, MAX_SIDE) as u32;
            // The values are multiples of the step: the smallest above 0 is the step itself.
            let low = if range.min() < 1 { range.step() } else { range.min() };
            into.push((side(low), side(range.max()), range.step().max(1) as u32));
        } else if let Ok(list) = value.get::<gst::List>() {
            list.iter().for_each(|value| collect(value, into));
        }
    }
    let mut ranges = Vec::new();
    collect(value, &mut ranges);
    Lengths(ranges)
}

fn ratios(value: &glib::SendValue) -> Ratios {
    fn collect(value: &glib::Value, into: &mut Vec<(Ratio, Ratio)>) {
        if let Ok(fraction) = value.get::<gst::Fraction>() {
            into.push((aspect(fraction), aspect(fraction)));
        } else if let Ok(range) = value.get::<gst::FractionRange>() {
            into.push((aspect(range.min()), aspect(range.max())));
        } else if let Ok(list) = value.get::<gst::List>() {
            list.iter().for_each(|value| collect(value, into));
        }
    }
    let mut ranges = Vec::new();
    collect(value, &mut ranges);
    Ratios(ranges)
}

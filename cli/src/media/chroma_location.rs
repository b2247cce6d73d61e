//! The location of chroma samples in H.265: `x265enc` of GStreamer 1.22 does not write it into the
//! stream, and players then assume the left (ITU-T H.265, E.3.1).

use std::{
    str::FromStr as _,
    sync::atomic::{AtomicBool, Ordering},
};

use gst::{glib, prelude::*};
use gst_video::VideoChromaSite;

/// The option of x265.
const OPTION: &str = "chromaloc";

/// Sets the location of `encoder` from the caps of its frames, unless the user has set it.
///
/// # Errors
/// The encoder has no pads, or no element before it.
pub fn keep(encoder: &gst::Element) -> Result<(), glib::BoolError> {
    let missing = || glib::bool_error!("nothing is linked to {}", encoder.name());
    let before = encoder.static_pad("sink").and_then(|pad| pad.peer()).ok_or_else(missing)?;
    let input = before.parent_element().and_then(|element| element.static_pad("sink"));
    let (weak, is_set) = (encoder.downgrade(), AtomicBool::new(false));
    input.ok_or_else(missing)?.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view())
            && !is_set.swap(true, Ordering::Relaxed)
            && let Some(location) = location(caps.caps())
            && let Some(encoder) = weak.upgrade()
            && set(&encoder, &before, location).is_err()
        {
            gst::warning!(gst::CAT_RUST, obj = encoder, "the chroma location cannot be set");
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Sets the option, which the element accepts only in READY: it has had no frame and no caps. `before`
/// is the pad that it is linked to, which repeats its events after the new link.
fn set(encoder: &gst::Element, before: &gst::Pad, location: u8) -> Result<(), glib::BoolError> {
    let options = encoder.property::<Option<String>>("option-string").unwrap_or_default();
    if options.split(':').any(|option| option.split('=').next() == Some(OPTION)) {
        return Ok(());
    }
    let Some(sink) = encoder.static_pad("sink") else { return Ok(()) };
    before.unlink(&sink)?;
    let failed = |error: gst::StateChangeError| glib::bool_error!("{error}");
    encoder.set_state(gst::State::Ready).map_err(failed)?;
    let separator = if options.is_empty() { "" } else { ":" };
    encoder.set_property("option-string", format!("{options}{separator}{OPTION}={location}"));
    encoder.sync_state_with_parent()?;
    before.link(&sink).map_err(|error| glib::bool_error!("{error}"))?;
    Ok(())
}

/// The location of 4:2:0 chroma, as H.265 numbers it. `None`: the left one, which is the default, or
/// none of them.
fn location(caps: &gst::CapsRef) -> Option<u8> {
    let info = gst_video::VideoInfo::from_caps(caps).ok()?;
    let chroma = info.format_info();
    if chroma.w_sub().get(1) != Some(&1) || chroma.h_sub().get(1) != Some(&1) {
        return None;
    }
    let site = caps.structure(0)?.get::<&str>("chroma-site").ok()?;
    let site = VideoChromaSite::from_str(site).ok()?;
    let (horizontal, vertical) = (VideoChromaSite::H_COSITED, VideoChromaSite::V_COSITED);
    match site {
        site if site == VideoChromaSite::NONE => Some(1),
        // FFmpeg's decoders say DV for the top left.
        site if site == horizontal | vertical || site == VideoChromaSite::DV => Some(2),
        site if site == vertical => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_those_of_h265() {
        gst::init().unwrap();
        let of = |format: &str, site: &str| {
            let caps = format!("video/x-raw,format={format},width=64,height=48{site}");
            location(&caps.parse::<gst::Caps>().unwrap())
        };
        assert_eq!(of("I420", ",chroma-site=mpeg2"), None);
        assert_eq!(of("I420", ",chroma-site=jpeg"), Some(1));
        assert_eq!(of("I420_10LE", ",chroma-site=cosited"), Some(2));
        assert_eq!(of("I420", ",chroma-site=v-cosited"), Some(3));
        assert_eq!(of("I420", ",chroma-site=dv"), Some(2));
        assert_eq!(of("I420", ""), None);
        assert_eq!(of("Y444", ",chroma-site=cosited"), None);
    }
}

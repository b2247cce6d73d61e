//! The colour of VP9: `vp9enc` of GStreamer 1.22 writes the matrix into the stream only for a few
//! complete colorimetries, and players take another one otherwise.

use std::{
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError},
};

use gst::{glib, prelude::*};
use gst_video::{VideoColorMatrix, VideoColorimetry};

/// Names a colorimetry that `encoder` knows before it, and the true one after it, for the muxer.
///
/// # Errors
/// The encoder has no pads.
pub fn keep_colour(encoder: &gst::Element) -> Result<(), glib::BoolError> {
    let pad = |name: &str| {
        let missing = || glib::bool_error!("{} has no pad {name}", encoder.name());
        encoder.static_pad(name).ok_or_else(missing)
    };
    let kept = Arc::<Mutex<Option<String>>>::default();
    let found = kept.clone();
    replace_caps(&pad("sink")?, move |media| {
        let colorimetry = media.get::<String>("colorimetry").ok()?;
        *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(colorimetry.clone());
        known(&colorimetry)
    });
    replace_caps(&pad("src")?, move |_| {
        kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    });
    Ok(())
}

/// Replaces the colorimetry in all caps that pass `pad`.
fn replace_caps(
    pad: &gst::Pad,
    colorimetry: impl Fn(&gst::StructureRef) -> Option<String> + Send + Sync + 'static,
) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(colorimetry) = caps.caps().structure(0).and_then(&colorimetry)
        {
            let mut caps = caps.caps_owned();
            caps.make_mut().iter_mut().for_each(|media| media.set("colorimetry", &colorimetry));
            *event = gst::event::Caps::builder(&caps).seqnum(event.seqnum()).build();
        }
        gst::PadProbeReturn::Ok
    });
}

/// The colorimetry with the same range and matrix that the encoder knows.
fn known(colorimetry: &str) -> Option<String> {
    let given = VideoColorimetry::from_str(colorimetry).ok()?;
    let standard = match given.matrix() {
        VideoColorMatrix::Bt601 => "bt601",
        VideoColorMatrix::Bt709 => "bt709",
        VideoColorMatrix::Bt2020 => "bt2020",
        VideoColorMatrix::Smpte240m => "smpte240m",
        _ => return None,
    };
    let standard = VideoColorimetry::from_str(standard).ok()?;
    let (transfer, primaries) = (standard.transfer(), standard.primaries());
    Some(VideoColorimetry::new(given.range(), given.matrix(), transfer, primaries).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_and_matrix_stay() {
        gst::init().unwrap();
        assert_eq!(known("bt2100-pq").as_deref(), Some("bt2020"));
        assert_eq!(known("1:3:7:1").as_deref(), Some("1:3:5:1"));
        assert_eq!(known("2:4:16:3").as_deref(), Some("bt601"));
        assert_eq!(known("sRGB"), None);
    }
}

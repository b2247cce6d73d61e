//! The colour of frames, for encoders that do not write it into their streams.

use std::{
    str::FromStr as _,
    sync::{Arc, Mutex, PoisonError},
};

use gst::{glib, prelude::*};
use gst_video::{VideoColorRange, VideoColorimetry};

/// What the caps of frames say about their colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Primaries, transfer function and matrix (ITU-T H.273).
    pub codes: [u8; 3],
    pub is_full_range: bool,
    /// Whether chroma samples are beside luma samples: horizontally, vertically. `None`: unknown.
    pub cosited: Option<(bool, bool)>,
}

impl Colour {
    fn of(caps: &gst::CapsRef) -> Option<Self> {
        let media = caps.structure(0)?;
        let colour = VideoColorimetry::from_str(media.get::<&str>("colorimetry").ok()?).ok()?;
        let codes =
            [colour.primaries().to_iso(), colour.transfer().to_iso(), colour.matrix().to_iso()];
        Some(Self {
            codes: codes.map(|code| u8::try_from(code).unwrap_or_default()),
            is_full_range: colour.range() == VideoColorRange::Range0_255,
            cosited: match media.get::<&str>("chroma-site") {
                Ok("mpeg2") => Some((true, false)),
                Ok("cosited") => Some((true, true)),
                _ => None,
            },
        })
    }

    /// Calls `write` with each packet that leaves `encoder` and the colour of the frames that it gets.
    ///
    /// # Errors
    /// The encoder has no pads.
    pub fn follow(
        encoder: &gst::Element,
        write: impl Fn(&mut gst::Buffer, Self) -> Option<()> + Send + Sync + 'static,
    ) -> Result<(), glib::BoolError> {
        let pad = |name: &str| {
            let missing = || glib::bool_error!("{} has no pad {name}", encoder.name());
            encoder.static_pad(name).ok_or_else(missing)
        };
        let colour = Arc::<Mutex<Option<Self>>>::default();
        let found = colour.clone();
        pad("sink")?.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
            if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view()) {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Self::of(caps.caps());
            }
            gst::PadProbeReturn::Ok
        });
        pad("src")?.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let colour = *colour.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(buffer), Some(colour)) = (info.buffer_mut(), colour) {
                // Packets that have no place for it stay as they are.
                let _ = write(buffer, colour);
            }
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colour_of_caps_is_that_of_the_standard() {
        gst::init().unwrap();
        let colour = |text: &str| Colour::of(&text.parse::<gst::Caps>().unwrap());
        let found = colour("video/x-raw,colorimetry=bt709,chroma-site=mpeg2").unwrap();
        assert_eq!((found.codes, found.is_full_range), ([1, 1, 1], false));
        assert_eq!(found.cosited, Some((true, false)));
        assert_eq!(colour("video/x-raw"), None);
    }
}

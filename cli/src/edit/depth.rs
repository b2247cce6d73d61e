//! Refuses pictures that GStreamer would reduce: `videocrop` and `videoflip` have no formats of more than
//! 12 bits in colour, and a conversion would do it without a word.

use gst::prelude::*;
use gst_video::{VideoFormatInfo, VideoInfo};

/// The name of the element before those that crop and turn.
pub const ENTRY: &str = "edited";

const MAX_DEPTH: u32 = 12;

/// Makes pictures that would lose depth an error of the element [`ENTRY`] in `bin`, if there is one.
pub fn refuse_loss(bin: &gst::Bin) {
    let Some(element) = bin.by_name(ENTRY) else { return };
    let Some(sink) = element.static_pad("sink") else { return };
    let weak = element.downgrade();
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::EventView::Caps(caps)) = info.event().map(|event| event.view())
            && let (Some(element), Ok(picture)) = (weak.upgrade(), VideoInfo::from_caps(caps.caps()))
            && loses_depth(&picture.format_info())
        {
            gst::element_error!(
                element,
                gst::StreamError::Format,
                (
                    "GStreamer cannot crop, rotate or mirror pictures in the format {} without reducing \
                     them to {MAX_DEPTH} bits; use another program for that",
                    picture.format_info().name()
                )
            );
        }
        gst::PadProbeReturn::Ok
    });
}

fn loses_depth(format: &VideoFormatInfo) -> bool {
    !format.is_gray() && format.depth().iter().any(|depth| *depth > MAX_DEPTH)
}

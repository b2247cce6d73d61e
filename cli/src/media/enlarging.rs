//! The elements that enlarge and encode video in one pipeline with everything else.

use std::sync::Arc;

use gst::prelude::*;

use crate::{
    cadence::{
        Schedule,
        element::{Cadence, FACTORY as CADENCE},
    },
    edit::Edits,
};

use super::{
    Error,
    codec::Codec,
    container::Container,
    durations,
    elements::{by_name, parse, source_pad},
    encoder, kept_engine, latest_frame,
    options::Options,
    run_state::RunState,
    survey::Survey,
};

/// The name of the element that enlarges.
pub const UPSCALE: &str = "upscale";

/// A bin that enlarges and encodes video.
#[derive(Debug)]
pub struct Enlarging {
    pub bin: gst::Bin,
    pub codec: Codec,
    pub quality: Option<u32>,
    /// Where enlarged frames leave.
    pub enlarged: gst::Pad,
    /// Its caps are those of the frames that are encoded.
    first_size: gst::Element,
}

impl Enlarging {
    /// Creates the bin. `survey` is what the input contains, if that is known. `schedule` lists the
    /// pictures to enlarge; without it the flags of the frames count.
    ///
    /// # Errors
    /// An element is not installed, or a property's value is invalid.
    pub fn new(
        container: &Container,
        codec: Codec,
        options: &Options,
        survey: Option<&Survey>,
        (schedule, edits): (Option<Arc<Schedule>>, &Edits),
        state: &Arc<RunState>,
    ) -> Result<Self, Error> {
        let bin = video_bin(container, codec, (options, edits), survey, state)?;
        if let Ok(cadence) = by_name(&bin, CADENCE)?.downcast::<Cadence>() {
            cadence.set_up(schedule, options.cadence.field_order);
        }
        let first_size = by_name(&bin, "first-size")?;
        let enlarged = source_pad(&by_name(&bin, "enlarged")?)?;
        if let Some(file) = &options.latest_frame {
            latest_frame::write_on_request(&enlarged, file);
        }
        Ok(Self { bin, codec, quality: options.quality, enlarged, first_size })
    }

    /// The caps of the frames that are encoded, once there are some.
    pub fn encoded_caps(&self) -> Option<gst::Caps> {
        self.first_size.static_pad("src")?.current_caps()
    }
}

fn video_bin(
    container: &Container,
    codec: Codec,
    (options, edits): (&Options, &Edits),
    survey: Option<&Survey>,
    state: &Arc<RunState>,
) -> Result<gst::Bin, Error> {
    let side = |pixels: Option<i32>| match pixels {
        Some(pixels) => pixels.to_string(),
        None => format!("[{0},32766,{0}]", codec.alignment()),
    };
    let size = format!("width={},height={}", side(options.width), side(options.height));
    // Formats that a rotation does not have are converted only if there may be one.
    let may_turn = survey.is_none_or(|survey| survey.streams.iter().any(|it| it.is_turned));
    let turn = if may_turn { "videoflip video-direction=auto ! videoconvert !" } else { "" };
    let (before, after) = (edits.before(turn), edits.after());
    // Decoder, upscale and encoder each have a thread of their own.
    let queue = "queue max-size-buffers=2 max-size-bytes=0 max-size-time=0";
    let encoder = match container.frames {
        Some(format) => {
            format!("capsfilter caps=\"video/x-raw,format=(string){{{}}}\"", format.formats())
        }
        None => encoder::description(codec, &options.encoder_settings(None))?,
    };
    let description = format!(
        "videoconvert ! {CADENCE} name={CADENCE} ! videoconvert ! {before} {queue} \
         ! upscale name={UPSCALE} ! video/x-raw,{size} {after} \
         ! {queue} name=enlarged ! capssetter name=first-rate \
         ! videoscale method=lanczos add-borders=true ! videoconvert \
         ! capsfilter name=first-size ! {encoder}"
    );
    let bin = parse(&description)?;
    edits.set_up(&bin);
    let upscale = by_name(&bin, UPSCALE)?;
    kept_engine::keep(&upscale);
    if survey.is_some_and(|survey| survey.video_packets() == 1) {
        // No frame follows that anything could be kept for.
        upscale.set_property_from_str("reuse", "off");
    }
    options.element_properties(survey).apply(&upscale)?;
    state.count_frames(&source_pad(&by_name(&bin, "enlarged")?)?);
    let first_size = source_pad(&by_name(&bin, "first-size")?)?;
    durations::keep(&first_size, &source_pad(bin.upcast_ref())?);
    encoder::complete(&bin)?;
    keep_first_caps(&by_name(&bin, "first-size")?, &by_name(&bin, "first-rate")?)?;
    Ok(bin)
}

/// Restricts `filter` to the caps of the first frame, and sets the frame rate of all frames to the
/// first one with `setter`: broadcasts change theirs, and muxers take one caps for a stream.
fn keep_first_caps(filter: &gst::Element, setter: &gst::Element) -> Result<(), Error> {
    let (weak, setter) = (filter.downgrade(), setter.downgrade());
    // The caps may change until the first frame: a file's orientation arrives as a tag.
    source_pad(filter)?.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let kept = |fields: &[&str]| {
            let first = pad.current_caps()?;
            let first = first.structure(0)?;
            let mut kept = gst::Structure::new_empty("video/x-raw");
            for field in fields {
                if let Ok(value) = first.value(*field) {
                    kept.set_value(*field, value.clone());
                }
            }
            Some(gst::Caps::builder_full().structure(kept).build())
        };
        let fields =
            ["width", "height", "pixel-aspect-ratio", "format", "colorimetry", "chroma-site"];
        if let (Some(filter), Some(caps)) = (weak.upgrade(), kept(&fields)) {
            filter.set_property("caps", caps);
        }
        if let (Some(setter), Some(caps)) = (setter.upgrade(), kept(&["framerate"])) {
            setter.set_property("caps", caps);
        }
        gst::PadProbeReturn::Remove
    });
    Ok(())
}

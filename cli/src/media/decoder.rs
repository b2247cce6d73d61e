//! Decoding one stream.

use gst::{glib, prelude::*};

use super::{
    Error,
    elements::{link, make, sink_pad, source_pad},
};

/// Decoders that decode into their last frame (`ff_reget_buffer` of FFmpeg). All have pixel formats
/// that GStreamer knows.
const REUSING_DECODERS: &[&str] = &[
    "avdec_aasc",
    "avdec_anm",
    "avdec_cinepak",
    "avdec_flashsv",
    "avdec_flashsv2",
    "avdec_flic",
    "avdec_gif",
    "avdec_indeo2",
    "avdec_kmvc",
    "avdec_msrle",
    "avdec_msvideo1",
    "avdec_mss1",
    "avdec_nuv",
    "avdec_qpeg",
    "avdec_qtrle",
    "avdec_rpza",
    "avdec_smackvid",
    "avdec_smc",
    "avdec_tiertexseqvideo",
    "avdec_truemotion1",
    "avdec_truemotion2",
    "avdec_tscc",
    "avdec_tscc2",
    "avdec_ultimotion",
    "avdec_vmnc",
    "avdec_xan_wc4",
];

/// A `decodebin` whose first stream goes to `end`.
///
/// # Errors
/// [`Error::MissingElement`].
pub fn decoder(end: &gst::Pad) -> Result<gst::Element, Error> {
    avoid_a52dec();
    let decoder = make("decodebin")?;
    decoder.connect("element-added", false, |values| {
        let element = values.get(1)?.get::<gst::Element>().ok()?;
        // With direct rendering, gst-libav of GStreamer 1.22 crashes on pixel formats that it does
        // not know. Without it, decoders that change their last frame give all frames its time.
        let factory = element.factory();
        let reuses = factory.is_some_and(|it| REUSING_DECODERS.contains(&it.name().as_str()));
        if !reuses && element.has_property_with_type("direct-rendering", bool::static_type()) {
            element.set_property("direct-rendering", false);
        }
        None
    });
    let end = end.downgrade();
    decoder.connect_pad_added(move |decoder, pad| {
        let Some(end) = end.upgrade().filter(|end| !end.is_linked()) else { return };
        let columns = surplus(decoder, pad).unwrap_or_default();
        let linked = if columns > 0 { crop(decoder, pad, columns, &end) } else { link(pad, &end) };
        if let Err(error) = linked {
            gst::element_error!(decoder, gst::StreamError::Failed, ("{error}"));
        }
    });
    Ok(decoder)
}

/// The number of columns on the left that a decoder put out although the stream crops them: FFmpeg's
/// decoders keep the start of a row aligned (`AV_CODEC_FLAG_UNALIGNED` is not set).
fn surplus(decoder: &gst::Element, pad: &gst::Pad) -> Option<i32> {
    let width = |pad: &gst::Pad| pad.current_caps()?.structure(0)?.get::<i32>("width").ok();
    let elements = decoder.downcast_ref::<gst::Bin>()?.iterate_recurse().into_iter().flatten();
    let is_parser = |element: &gst::Element| {
        let factory = element.factory();
        factory.is_some_and(|factory| factory.has_type(gst::ElementFactoryType::PARSER))
    };
    let parser = { elements }.find(is_parser)?;
    let surplus = width(pad)? - width(&parser.static_pad("src")?)?;
    (1..ALIGNMENT).contains(&surplus).then_some(surplus)
}

/// The most columns that an aligned start of a row can need.
const ALIGNMENT: i32 = 64;

/// Links `pad` to `end` through an element that removes columns on the left.
fn crop(decoder: &gst::Element, pad: &gst::Pad, columns: i32, end: &gst::Pad) -> Result<(), Error> {
    let crop = make("videocrop")?;
    crop.set_property("left", columns);
    let bin = decoder.parent().and_downcast::<gst::Bin>();
    bin.ok_or_else(|| glib::bool_error!("{} is in no bin", decoder.name()))?.add(&crop)?;
    link(&source_pad(&crop)?, end)?;
    crop.sync_state_with_parent()?;
    link(pad, &sink_pad(&crop)?)
}

/// Prefers another decoder to `a52dec`, which corrupts memory in GStreamer 1.22 if the number of
/// channels changes.
fn avoid_a52dec() {
    if let Some(faulty) = gst::ElementFactory::find("a52dec")
        && gst::ElementFactory::find("avdec_ac3").is_some()
    {
        faulty.set_rank(gst::Rank::NONE);
    }
}

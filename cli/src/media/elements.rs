//! Making and linking elements.

use gst::{glib, prelude::*};

use super::Error;

/// A new element.
///
/// # Errors
/// [`Error::MissingElement`].
pub fn make(factory: &str) -> Result<gst::Element, Error> {
    gst::ElementFactory::make(factory).build().map_err(|_| Error::MissingElement(factory.into()))
}

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
        if let Err(error) = link(pad, &end) {
            gst::element_error!(decoder, gst::StreamError::Failed, ("{error}"));
        }
    });
    Ok(decoder)
}

/// A pipeline of the elements of `description`, in the syntax of `gst-launch-1.0`.
///
/// # Errors
/// [`Error::MissingElement`], [`Error::Parse`] or [`Error::Build`].
pub fn pipeline(description: &str) -> Result<gst::Pipeline, Error> {
    let pipeline = gst::Pipeline::new();
    pipeline.add(&parse(description)?)?;
    Ok(pipeline)
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

/// A bin of the elements of `description`, in the syntax of `gst-launch-1.0`, with ghost pads for
/// both ends.
///
/// # Errors
/// [`Error::MissingElement`], [`Error::Parse`] or [`Error::Build`].
pub fn parse(description: &str) -> Result<gst::Bin, Error> {
    let mut context = gst::ParseContext::new();
    let parsed = gst::parse::bin_from_description_full(
        description,
        true,
        Some(&mut context),
        gst::ParseFlags::FATAL_ERRORS,
    );
    let parsed = parsed.map_err(|error| match context.missing_elements().as_slice() {
        [] => Error::Parse(error),
        missing => Error::MissingElement(missing.join(", ")),
    })?;
    parsed.downcast().map_err(|_| glib::bool_error!("{description} is not a bin").into())
}

/// The element of this name in a bin of [`parse`].
///
/// # Errors
/// [`Error::Build`].
pub fn by_name(bin: &gst::Bin, name: &str) -> Result<gst::Element, Error> {
    let missing = || glib::bool_error!("{} has no element {name}", bin.name());
    Ok(bin.by_name(name).ok_or_else(missing)?)
}

/// The pad `src`.
///
/// # Errors
/// [`Error::Build`] if the element has none.
pub fn source_pad(element: &gst::Element) -> Result<gst::Pad, Error> {
    static_pad(element, "src")
}

/// The pad `sink`.
///
/// # Errors
/// [`Error::Build`] if the element has none.
pub fn sink_pad(element: &gst::Element) -> Result<gst::Pad, Error> {
    static_pad(element, "sink")
}

/// A pad that the element always has.
///
/// # Errors
/// [`Error::Build`] if the element has no pad of this name.
pub fn static_pad(element: &gst::Element, name: &str) -> Result<gst::Pad, Error> {
    let missing = || glib::bool_error!("{} has no pad {name}", element.name());
    Ok(element.static_pad(name).ok_or_else(missing)?)
}

/// Links two pads.
///
/// # Errors
/// [`Error::Build`].
pub fn link(source: &gst::Pad, sink: &gst::Pad) -> Result<(), Error> {
    source.link(sink).map_err(|error| {
        glib::bool_error!("{} cannot be linked to {}: {error}", source.name(), sink.name())
    })?;
    Ok(())
}

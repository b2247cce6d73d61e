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

/// A pipeline of the elements of `description`, in the syntax of `gst-launch-1.0`.
///
/// # Errors
/// [`Error::MissingElement`], [`Error::Parse`] or [`Error::Build`].
pub fn pipeline(description: &str) -> Result<gst::Pipeline, Error> {
    let pipeline = gst::Pipeline::new();
    pipeline.add(&parse(description)?)?;
    Ok(pipeline)
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

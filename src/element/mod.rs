//! The GStreamer element.

/// Makes `upscale` known to GStreamer.
pub(crate) fn register(_plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    Ok(())
}

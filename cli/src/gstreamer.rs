//! GStreamer, with an element `upscale` in it.

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("GStreamer did not start: {0}")]
pub struct Error(String);

/// Starts GStreamer and makes this program's own `upscale` known to it, in place of an installed
/// one.
///
/// # Errors
/// See [`Error`].
pub fn start() -> Result<(), Error> {
    gst::init().map_err(|error| Error(error.to_string()))?;
    let registry = gst::Registry::get();
    if let Some(plugin) = registry.find_plugin("upscale") {
        // Our own, from an earlier call; or the installed one, which GStreamer has loaded to look
        // at it (GST_REGISTRY_FORK=no): a process has room for one.
        if plugin.is_loaded() {
            return Ok(());
        }
        registry.remove_plugin(&plugin);
    }
    gstupscale::plugin_register_static().map_err(|error| Error(error.to_string()))
}

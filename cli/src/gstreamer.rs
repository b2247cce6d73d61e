//! Starts GStreamer with this program's own elements.

use gst::glib;

use crate::{cadence, clean, edit};

/// Why GStreamer did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("GStreamer could not be initialised: {0}")]
    Init(#[from] glib::Error),
    #[error("an element could not be registered with GStreamer: {0}")]
    Register(#[from] glib::BoolError),
}

/// Starts GStreamer and registers the elements of this program. Its own `upscale` takes the place of
/// an installed plugin.
///
/// # Errors
/// See [`Error`].
pub fn start() -> Result<(), Error> {
    gst::init()?;
    cadence::element::register()?;
    clean::element::register()?;
    edit::element::register()?;
    let registry = gst::Registry::get();
    if let Some(plugin) = registry.find_plugin("upscale") {
        // Loaded by an earlier call, or by GStreamer while it scanned the installed plugins
        // (GST_REGISTRY_FORK=no). A process cannot load a second plugin of the same name.
        if plugin.is_loaded() {
            return Ok(());
        }
        registry.remove_plugin(&plugin);
    }
    Ok(gstupscale::plugin_register_static()?)
}

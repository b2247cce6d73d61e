//! The GStreamer element `upscale`: enlarges video with a neural network.
//!
//! # upscale
//!
//! Takes decoded frames in system memory, puts them through a super-resolution model and
//! pushes enlarged frames in the same format and colour. The size is what downstream's caps
//! ask for, else the input's times `scale`, else times the model's own factor.
//!
//! ## Example pipelines
//!
//! Enlarge a file as far as the built-in model does, the sound untouched:
//!
//! ```sh
//! gst-launch-1.0 filesrc location=in.mkv ! decodebin name=d \
//!     d. ! queue ! deinterlace ! videoconvert ! upscale ! videoconvert \
//!        ! x264enc ! mp4mux name=m ! filesink location=out.mp4 \
//!     d. ! queue ! audioconvert ! avenc_aac ! m.
//! ```
//!
//! Whatever the model's factor, come out at a given size:
//!
//! ```sh
//! gst-launch-1.0 videotestsrc ! video/x-raw,width=640,height=360 ! upscale \
//!     ! video/x-raw,width=1920,height=1080 ! videoconvert ! autovideosink
//! ```
//!
//! A still picture:
//!
//! ```sh
//! gst-launch-1.0 filesrc location=in.jpg ! jpegdec ! upscale ! videoconvert ! pngenc \
//!     ! filesink location=out.png
//! ```
//!
//! In a player:
//!
//! ```sh
//! gst-launch-1.0 playbin uri=file:///path/in.mkv video-filter=upscale
//! ```
//!
//! ## Manners
//!
//! - The model is opened in READY→PAUSED and loaded on a worker that posts `progress`
//!   messages with the code `load-model`; the first frame waits for it, and a flush or a state
//!   change ends that wait. With `startup=resample` no frame waits: they are enlarged by Lanczos
//!   until the model is there.
//! - Late frames are dropped before inference while `qos` is true, which is the default here.
//! - While one frame goes through the model, the one before it is packed and pushed and the one
//!   behind it is compared, so no `queue` is needed around the element. For that it keeps a
//!   frame back (`pipeline-depth`), but not when live.
//! - In a live pipeline the time that a frame takes is reported as latency.
//! - Interlaced video is refused: put `deinterlace` in front.
//! - `scale=1 blend=0 grain=0` passes buffers through untouched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glib::subclass::prelude::*;
use gst::prelude::*;

mod allocation;
mod caps;
mod enlarge;
mod errors;
mod imp;
mod latency;
mod loader;
mod metas;
mod navigation;
mod placeholder;
mod properties;
mod sizes;
mod stats;
mod stream;
mod video_info;

pub use loader::EngineLoader;
pub use properties::{ReuseMode, Startup};

glib::wrapper! {
    /// The element `upscale`.
    pub struct Upscale(ObjectSubclass<imp::Upscale>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl Upscale {
    /// Opens models and loads engines with `engine_loader` from the next change to PAUSED on,
    /// instead of model files and the backends of this library.
    pub fn set_engine_loader(&self, engine_loader: Arc<dyn EngineLoader>) {
        self.imp().set_engine_loader(engine_loader);
    }
}

/// Registers the element.
///
/// # Errors
/// Returns the error of GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    for kind in [
        crate::engine::Backend::static_type(),
        crate::engine::Precision::static_type(),
        ReuseMode::static_type(),
        Startup::static_type(),
    ] {
        kind.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    gst::Element::register(Some(plugin), "upscale", gst::Rank::NONE, Upscale::static_type())
}

/// Locks a mutex, also after a thread panicked while it held the lock: all data behind the
/// mutexes of this module stays valid then.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

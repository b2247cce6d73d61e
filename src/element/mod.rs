//! The GStreamer element `upscale`.
//!
//! # element-upscale
//!
//! Enlarges raw video with a super-resolution neural network. Input and output are in system
//! memory and have the same pixel format and colorimetry. The output has the size that the
//! downstream caps ask for, otherwise the size of the input multiplied by the property `scale`,
//! otherwise multiplied by the factor of the model.
//!
//! ## Example pipelines
//!
//! ```shell
//! gst-launch-1.0 videotestsrc ! video/x-raw,width=320,height=180 ! upscale \
//!     ! video/x-raw,width=1280,height=720 ! videoconvert ! autovideosink
//! ```
//!
//! Enlarges a test picture to a given size, whatever the factor of the model is.
//!
//! ```shell
//! gst-launch-1.0 filesrc location=in.jpg ! decodebin ! videoconvert ! upscale ! videoconvert \
//!     ! pngenc ! filesink location=out.png
//! ```
//!
//! Enlarges a picture by the factor of the built-in model.
//!
//! ```shell
//! gst-launch-1.0 playbin uri=file:///path/in.mkv video-filter=upscale
//! ```
//!
//! Plays an enlarged video.
//!
//! ## Behaviour
//!
//! - The model is opened in the change from READY to PAUSED. A worker thread loads it and posts
//!   `progress` messages with the code `load-model`. The first frame waits for the model; a flush
//!   or a state change ends the wait. In live pipelines, and with `startup=resample`, frames do not
//!   wait: they are enlarged with Lanczos resampling until the model is loaded.
//! - The properties `model`, `denoise` and `scale` can be changed while playing. The previous
//!   model is used until the new one is loaded.
//! - While the model processes one frame, the previous frame is output and the next one is
//!   prepared, so that no `queue` is needed around the element. This delays the output by one
//!   frame, except in live pipelines (see `pipeline-depth`). If no further frame arrives within
//!   the duration of a frame (1 second at most), the frames in flight are output at once.
//! - Before an application removes the element from a playing pipeline, it sends end-of-stream
//!   through it, as for any element; what is in flight is lost otherwise.
//! - In live pipelines each frame has a deadline: 90 % of its duration after its arrival, 100 ms and
//!   `max-latency` at most, which is also the latency that is reported. What the model does not
//!   finish until then is enlarged with Lanczos resampling (`overload`), and an `upscale-overload`
//!   message says so. Other pipelines work like this from the first frame on that a sink reports as
//!   more than 20 ms late.
//! - While the model is too slow, `lighter-model` is in use. Trial runs of the model beside it decide when
//!   the element changes back.
//! - `profiles` names a TOML file with properties that depend on the stream; `docs/PLAYERS.md` of the
//!   source describes it.
//! - With `overload=drop` frames wait for the model, the measured time per frame is reported as
//!   latency, and late frames are dropped before inference if `qos` is true, which is the default.
//! - Interlaced video is refused: add `deinterlace` before `upscale`.
//! - With `scale=1 blend=0 grain=0` buffers pass through unchanged.
//!
//! Since: 0.1. All properties exist since the same version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glib::subclass::prelude::*;
use gst::prelude::*;

mod allocation;
mod caps;
mod colour;
mod deadline;
mod enlarge;
mod errors;
mod idle;
mod imp;
mod ladder;
mod latency;
mod loader;
mod metas;
mod models;
mod navigation;
mod overload;
mod placeholder;
mod profiles;
mod properties;
mod property_table;
mod sizes;
mod stats;
mod stream;
mod timing;
mod upscalebin;
mod video_info;

// For the tests, the benchmarks and the command; not a stable interface.
#[doc(hidden)]
pub use self::{
    colour::explicit as explicit_colorimetry,
    loader::EngineLoader,
    properties::{Overload, Startup},
    upscalebin::UpscaleBin,
};

glib::wrapper! {
    /// The element `upscale`.
    pub struct Upscale(ObjectSubclass<imp::Upscale>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl Upscale {
    /// Opens models and loads engines with `engine_loader` from the next change to PAUSED on,
    /// instead of model files and the backends of this library.
    #[doc(hidden)]
    pub fn set_engine_loader(&self, engine_loader: Arc<dyn EngineLoader>) {
        self.imp().set_engine_loader(engine_loader);
    }

    /// Keeps frames in flight until the next frame or event, however late it is.
    #[doc(hidden)]
    pub fn hold_frames(&self) {
        self.imp().idle.switch_off();
    }
}

/// Registers the elements.
///
/// # Errors
/// Returns the error of GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    #[cfg(feature = "doc")]
    for kind in [
        crate::engine::Backend::static_type(),
        crate::engine::Precision::static_type(),
        crate::upscaler::ReuseMode::static_type(),
        Startup::static_type(),
        Overload::static_type(),
    ] {
        kind.mark_as_plugin_api(gst::PluginAPIFlags::empty());
    }
    let none = gst::Rank::NONE;
    gst::Element::register(Some(plugin), "upscale", none, Upscale::static_type())?;
    gst::Element::register(Some(plugin), "upscalebin", none, UpscaleBin::static_type())
}

/// Locks a mutex, even after a thread panicked while it held the lock: the data in the mutexes
/// of this module is still valid then.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

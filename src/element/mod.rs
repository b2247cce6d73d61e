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
mod settings;
mod sizes;
mod stand_in;
mod stats;
mod stream;
mod video_info;

pub use loader::EngineSource;

glib::wrapper! {
    /// The element `upscale`.
    pub struct Upscale(ObjectSubclass<imp::Upscale>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl Upscale {
    /// Takes models and engines from `source` instead of files and ONNX Runtime, from the next
    /// READY→PAUSED on. For programs that bring their own inference, and for tests.
    pub fn set_engine_source(&self, source: Arc<dyn EngineSource>) {
        self.imp().set_engine_source(source);
    }
}

/// Makes `upscale` known to GStreamer.
pub(crate) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(Some(plugin), "upscale", gst::Rank::NONE, Upscale::static_type())
}

/// Locks, also after a panic elsewhere: what is behind these locks is replaced as a whole, so
/// it is never half done.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The element `upscalebin`: `upscale` with the elements around it that a player needs.
//!
//! # element-upscalebin
//!
//! Has the properties of `upscale`, and `overlay`. Inside, frames pass through a download from the
//! memory of a GPU (only if upstream needs one), `deinterlace`, `videoconvert`, `upscale`,
//! `textoverlay`, and an upload (only if downstream needs one). Elements that are not installed are
//! left out.
//!
//! ## Example pipelines
//!
//! ```shell
//! gst-launch-1.0 playbin uri=file:///path/in.mkv video-filter="upscalebin overlay=true"
//! ```
//!
//! Plays an enlarged video, and shows what the model does.

mod imp;
mod memory;
mod overlay;
mod rates;

glib::wrapper! {
    /// The element `upscalebin`.
    pub struct UpscaleBin(ObjectSubclass<imp::UpscaleBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

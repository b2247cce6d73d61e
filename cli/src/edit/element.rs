//! The element that changes brightness and saturation and adds a watermark.

use gst::{glib, prelude::*, subclass::prelude::*};

use super::{grade::Grade, watermark::Watermark};

glib::wrapper! {
    /// Changes frames in place, in all formats that `upscale` gives.
    pub struct Retouch(ObjectSubclass<imp::Retouch>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// The name of the element in descriptions of pipelines.
pub const FACTORY: &str = "retouch";

/// Makes the element available to descriptions of pipelines in this process.
///
/// # Errors
/// GStreamer refused it.
pub fn register() -> Result<(), glib::BoolError> {
    gst::Element::register(None, FACTORY, gst::Rank::NONE, Retouch::static_type())
}

impl Retouch {
    /// Sets what is changed, before the first frame.
    pub fn set_up(&self, grade: Grade, watermark: Option<Watermark>) {
        self.imp().set_up(grade, watermark);
    }
}

mod imp {
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

    use gst_base::subclass::{BaseTransformMode, prelude::*};
    use gst_video::{VideoFrameRef, VideoInfo, subclass::prelude::*};
    use gstupscale::frame::PixelFormat;

    use super::{super::blend::Overlay, *};

    #[derive(Default)]
    pub struct Retouch(Mutex<State>);

    #[derive(Default)]
    struct State {
        grade: Grade,
        watermark: Option<Watermark>,
        info: Option<VideoInfo>,
        /// The watermark for frames of `info`.
        overlay: Option<Overlay>,
    }

    impl Retouch {
        fn lock(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub fn set_up(&self, grade: Grade, watermark: Option<Watermark>) {
            let mut state = self.lock();
            (state.grade, state.watermark) = (grade, watermark);
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Retouch {
        const NAME: &'static str = "GstUpscaleRetouch";
        type Type = super::Retouch;
        type ParentType = gst_video::VideoFilter;
    }

    impl ObjectImpl for Retouch {}

    impl GstObjectImpl for Retouch {}

    impl ElementImpl for Retouch {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Retouch",
                    "Filter/Effect/Video",
                    "Changes brightness and saturation and adds a watermark",
                    "gst-upscale",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let formats = PixelFormat::ALL.iter().map(|format| format.name());
                let formats = gst::List::new(formats);
                let caps = gst::Caps::builder("video/x-raw").field("format", formats).build();
                let ends = [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)];
                let template = |(name, direction)| {
                    gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
                };
                ends.into_iter().filter_map(template).collect()
            });
            TEMPLATES.as_ref()
        }
    }

    impl BaseTransformImpl for Retouch {
        const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
        const PASSTHROUGH_ON_SAME_CAPS: bool = false;
        const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;
    }

    impl VideoFilterImpl for Retouch {
        fn set_info(
            &self,
            _: &gst::Caps,
            info: &VideoInfo,
            _: &gst::Caps,
            _: &VideoInfo,
        ) -> Result<(), gst::LoggableError> {
            let mut state = self.lock();
            state.overlay = state.watermark.as_ref().map(|mark| Overlay::new(mark, info));
            state.info = Some(info.clone());
            Ok(())
        }

        fn transform_frame_ip(
            &self,
            frame: &mut VideoFrameRef<&mut gst::BufferRef>,
        ) -> Result<gst::FlowSuccess, gst::FlowError> {
            let state = self.lock();
            let State { grade, info: Some(info), overlay, .. } = &*state else {
                return Err(gst::FlowError::NotNegotiated);
            };
            if !grade.is_none() {
                grade.apply(info, frame);
            }
            if let Some(overlay) = overlay {
                overlay.blend(frame);
            }
            Ok(gst::FlowSuccess::Ok)
        }
    }
}

//! The GObject: properties, state changes, and BaseTransform's virtual methods.

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use gst::{prelude::*, subclass::prelude::*};
use gst_base::{
    prelude::*,
    subclass::{BaseTransformMode, base_transform::GenerateOutputSuccess, prelude::*},
};

use super::{
    allocation::{self, OfferedMeta},
    caps,
    enlarge::is_empty_gap,
    errors::{Failure, Severity},
    latency::Latency,
    loader::{EngineSource, Loader, OnnxRuntime, Request},
    lock, metas, navigation,
    settings::{self, Settings},
    sizes::TooLarge,
    stats::Stats,
    stream::{Negotiated, Stream},
};
use crate::model::ModelInfo;

pub(super) static CATEGORY: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("upscale", gst::DebugColorFlags::empty(), Some("Video upscaler"))
});

/// Locks are taken in the order of the fields, and none but `stream` is held while a frame is
/// at work.
pub struct Upscale {
    /// The streaming thread's.
    pub(super) stream: Mutex<Stream>,
    pub(super) loader: Loader,
    source: Mutex<Arc<dyn EngineSource>>,
    pub(super) settings: Mutex<Settings>,
    /// Of the model that caps are answered for.
    pub(super) model: Mutex<Option<ModelInfo>>,
    pub(super) negotiated: Mutex<Option<Negotiated>>,
    too_large: Mutex<Option<TooLarge>>,
    offered_metas: Mutex<Vec<OfferedMeta>>,
    pub(super) latency: Mutex<Latency>,
    pub(super) stats: Mutex<Stats>,
    /// Whether upstream answered a latency query as a live source.
    pub(super) live: AtomicBool,
    /// Between `start` and `stop`.
    started: AtomicBool,
    /// Whether the last caps were refused: upstream tries again with each buffer, and one
    /// message is enough.
    caps_refused: AtomicBool,
}

#[glib::object_subclass]
impl ObjectSubclass for Upscale {
    const NAME: &'static str = "GstUpscale";
    type Type = super::Upscale;
    type ParentType = gst_base::BaseTransform;

    fn new() -> Self {
        Self {
            stream: Mutex::default(),
            loader: Loader::default(),
            source: Mutex::new(Arc::new(OnnxRuntime)),
            settings: Mutex::default(),
            model: Mutex::default(),
            negotiated: Mutex::default(),
            too_large: Mutex::default(),
            offered_metas: Mutex::default(),
            latency: Mutex::default(),
            stats: Mutex::default(),
            live: AtomicBool::new(false),
            started: AtomicBool::new(false),
            caps_refused: AtomicBool::new(false),
        }
    }
}

impl ObjectImpl for Upscale {
    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_qos(true);
        // A frame that is flagged as a gap is enlarged like any other.
        self.obj().set_gap_aware(true);
    }

    fn properties() -> &'static [glib::ParamSpec] {
        settings::properties()
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        let value = lock(&self.settings).get(spec.name());
        value.unwrap_or_else(|| lock(&self.stats).structure().to_value())
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        let (before, after) = {
            let mut settings = lock(&self.settings);
            let before = settings.clone();
            settings.set(spec.name(), value);
            (before, settings.clone())
        };
        if !self.started.load(Ordering::SeqCst) {
            return;
        }
        let how = after.open_options();
        if before.model != after.model || before.open_options() != how {
            gst::info!(CATEGORY, imp = self, "changing to model {}, {how:?}", after.model);
            self.load(Request::Named(after.model, how), &before);
        }
        if before.scale != after.scale {
            self.obj().reconfigure_src();
        }
        if before.pipeline_depth != after.pipeline_depth {
            self.post_latency();
        }
    }
}

impl GstObjectImpl for Upscale {}

impl ElementImpl for Upscale {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Video upscaler",
                "Filter/Effect/Video/Scaler",
                env!("CARGO_PKG_DESCRIPTION"),
                "The gst-upscale developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            [("sink", gst::PadDirection::Sink), ("src", gst::PadDirection::Src)]
                .into_iter()
                .filter_map(|(name, direction)| {
                    let always = gst::PadPresence::Always;
                    gst::PadTemplate::new(name, direction, always, &caps::template()).ok()
                })
                .collect()
        });
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::PausedToReady {
            // The pads cannot be stopped while the first frame waits for the model.
            self.loader.set_interrupted(true);
        }
        self.parent_change_state(transition)
    }
}

impl BaseTransformImpl for Upscale {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = lock(&self.settings).clone();
        let model = lock(&self.source).clone().open(&settings.model, &settings.open_options());
        let model = model.map_err(|error| Failure::from(error).message())?;
        *lock(&self.model) = Some(model.info.clone());
        *lock(&self.stats) = Stats::default();
        *lock(&self.latency) = Latency::default();
        self.loader.set_interrupted(false);
        self.load(Request::Opened(model), &settings);
        self.started.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        self.started.store(false, Ordering::SeqCst);
        self.loader.cancel();
        self.loader.settle();
        *lock(&self.stream) = Stream::default();
        *lock(&self.model) = None;
        *lock(&self.negotiated) = None;
        *lock(&self.too_large) = None;
        lock(&self.offered_metas).clear();
        self.live.store(false, Ordering::SeqCst);
        self.caps_refused.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let other = caps::transform(direction, caps, filter);
        gst::trace!(CATEGORY, imp = self, "{direction:?} {caps} can become {other}");
        Some(other)
    }

    fn fixate_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        othercaps: gst::Caps,
    ) -> gst::Caps {
        let chosen = caps::fixate(direction, caps, othercaps.clone(), self.scale());
        *lock(&self.too_large) = chosen.as_ref().err().copied();
        // `set_caps` comes next and refuses what is too large.
        chosen.unwrap_or_else(|_| {
            let mut caps = othercaps;
            caps.fixate();
            caps
        })
    }

    fn set_caps(&self, incaps: &gst::Caps, outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        // Those in flight are of the caps before, and an error keeps the next frame out.
        self.drain_before_event();
        let negotiated = match lock(&self.too_large).take() {
            Some(size) => Err(Failure::TooLarge(size)),
            None => Negotiated::new(incaps, outcaps).map_err(Failure::Frames),
        };
        let negotiated = negotiated.map_err(|failure| {
            self.refuse_caps(&failure);
            gst::loggable_error!(CATEGORY, "{failure}")
        })?;
        self.caps_refused.store(false, Ordering::SeqCst);
        gst::debug!(CATEGORY, imp = self, "from {incaps} to {outcaps}");
        *lock(&self.negotiated) = Some(negotiated);
        lock(&self.stream).caps_changed();
        lock(&self.latency).restart();
        self.ask_whether_live();
        self.update_passthrough();
        Ok(())
    }

    fn unit_size(&self, caps: &gst::Caps) -> Option<usize> {
        caps::frame_size(caps)
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        if direction == gst::PadDirection::Sink && query.is_serialized() {
            self.drain_before_event();
        }
        let answered = BaseTransformImplExt::parent_query(self, direction, query);
        if direction == gst::PadDirection::Src
            && answered
            && let gst::QueryViewMut::Latency(query) = query.view_mut()
        {
            let (live, min, max) = query.result();
            self.live.store(live, Ordering::SeqCst);
            let own = if live { self.latency() } else { gst::ClockTime::ZERO };
            query.set(live, min + own, max.map(|max| max + own));
        }
        answered
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        if event.is_serialized() && event.type_() != gst::EventType::FlushStop {
            self.drain_before_event();
        }
        match event.view() {
            EventView::FlushStart(_) => self.loader.set_interrupted(true),
            EventView::FlushStop(_) => {
                self.loader.set_interrupted(false);
                lock(&self.stream).reset();
            }
            EventView::StreamStart(_) | EventView::Segment(_) => lock(&self.stream).forget(),
            EventView::Caps(event) if caps::is_interlaced(event.caps()) => {
                self.refuse_caps(&Failure::Interlaced);
                return false;
            }
            _ => {}
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, mut event: gst::Event) -> bool {
        if event.type_() == gst::EventType::Navigation
            && let Some(Negotiated { input, output, .. }) = lock(&self.negotiated).clone()
        {
            let across = f64::from(input.width()) / f64::from(output.width().max(1));
            let down = f64::from(input.height()) / f64::from(output.height().max(1));
            navigation::scale(event.make_mut().structure_mut(), across, down);
        }
        self.parent_src_event(event)
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        // Without a query of ours frames pass through, and downstream has answered.
        if decide_query.is_some() {
            let kept = self.depth() as u32;
            allocation::propose(query, &lock(&self.offered_metas), kept);
        }
        Ok(())
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        *lock(&self.offered_metas) = allocation::offered_metas(query);
        allocation::decide(query).map_err(|error| gst::loggable_error!(CATEGORY, "{error}"))?;
        self.parent_decide_allocation(query)
    }

    fn transform_meta<'a>(
        &self,
        outbuf: &mut gst::BufferRef,
        meta: gst::MetaRef<'a, gst::Meta>,
        inbuf: &'a gst::BufferRef,
    ) -> bool {
        let Some(Negotiated { input, output, .. }) = lock(&self.negotiated).clone() else {
            return false;
        };
        match metas::take_over(&meta, outbuf, &input, &output) {
            metas::Fate::Copied => true,
            metas::Fate::Transformed => false,
            metas::Fate::Unknown => self.parent_transform_meta(outbuf, meta, inbuf),
        }
    }

    fn submit_input_buffer(
        &self,
        is_discont: bool,
        inbuf: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        lock(&self.stats).frames_in += 1;
        self.sync_controlled(&inbuf);
        if let Some(error) = lock(&self.stream).failed.take() {
            return Err(error);
        }
        if inbuf.flags().contains(gst::BufferFlags::DISCONT) {
            // BaseTransform marks what it is given next as this buffer is.
            self.drain()?;
        }
        if let Some(ready) = self.loader.poll() {
            let drained = self.drain();
            // It comes but once, whatever becomes of the frames before.
            self.adopt(&mut lock(&self.stream), ready);
            drained?;
        }
        if self.update_passthrough() {
            // Pools are for the one or the other.
            self.obj().reconfigure_src();
        }
        if !self.obj().is_passthrough() && !is_empty_gap(&inbuf) {
            // Before this frame's size is settled, on which the model's factor may decide.
            self.ensure_model(&mut lock(&self.stream))?;
        }
        let submitted = self.parent_submit_input_buffer(is_discont, inbuf)?;
        if submitted == gst_base::BASE_TRANSFORM_FLOW_DROPPED {
            // The frame behind the gap is marked as such, and those before it are not.
            self.drain()?;
        }
        Ok(submitted)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let begun = Instant::now();
        let inbuf = self.take_queued_buffer();
        if let Some(inbuf) = &inbuf {
            if self.obj().is_passthrough() {
                lock(&self.stats).frames_out += 1;
                return Ok(GenerateOutputSuccess::Buffer(inbuf.clone()));
            }
            self.submit(inbuf)?;
        }
        if !self.is_due() {
            return Ok(GenerateOutputSuccess::NoOutput);
        }
        let Some(outbuf) = self.emit()? else { return Ok(GenerateOutputSuccess::NoOutput) };
        if inbuf.is_some() {
            self.note_time(begun.elapsed());
        }
        Ok(GenerateOutputSuccess::Buffer(outbuf))
    }
}

impl Upscale {
    pub(super) fn set_engine_source(&self, source: Arc<dyn EngineSource>) {
        *lock(&self.source) = source;
    }

    pub(super) fn load(&self, request: Request, settings: &Settings) {
        let source = lock(&self.source).clone();
        self.loader.begin(self.obj().upcast_ref(), source, request, settings.engine_options());
    }

    /// Live sources must not wait for frames to come.
    fn ask_whether_live(&self) {
        let mut query = gst::query::Latency::new();
        if self.obj().sink_pad().peer_query(&mut query) {
            self.live.store(query.result().0, Ordering::SeqCst);
        }
    }

    /// What a frame waits here in a live pipeline: for its own time and for those behind it.
    fn latency(&self) -> gst::ClockTime {
        let depth = self.depth() as u64;
        let duration = lock(&self.negotiated).as_ref().and_then(Negotiated::frame_duration);
        let took = lock(&self.latency).get();
        took + duration.unwrap_or(took) * depth
    }

    pub(super) fn post_latency(&self) {
        let message = gst::message::Latency::builder().src(&*self.obj()).build();
        // Without a bus there is no one to tell.
        let _ = self.obj().post_message(message);
    }

    fn refuse_caps(&self, failure: &Failure) {
        if !self.caps_refused.swap(true, Ordering::SeqCst) {
            failure.post(self.obj().upcast_ref(), Severity::Error);
        }
    }

    /// Output size over input size, where downstream has no wish.
    fn scale(&self) -> f64 {
        let scale = lock(&self.settings).scale;
        if scale > 0.0 {
            return scale;
        }
        lock(&self.model).as_ref().map_or(1.0, |model| f64::from(model.factor))
    }

    /// Lets frames through untouched or not, as settings and sizes have it; whether that is new.
    fn update_passthrough(&self) -> bool {
        let untouched = {
            let settings = lock(&self.settings);
            settings.blend <= 0.0 && settings.grain <= 0.0
        };
        let same_size = lock(&self.negotiated).as_ref().is_some_and(Negotiated::is_same_size);
        let passthrough = untouched && same_size;
        if passthrough == self.obj().is_passthrough() {
            return false;
        }
        self.drain_before_event();
        self.obj().set_passthrough(passthrough);
        lock(&self.stream).forget();
        true
    }
}

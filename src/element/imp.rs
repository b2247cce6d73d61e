//! The GObject subclass: state changes, events and seeks (flushes), queries, when models are switched
//! and late frames dropped.

use std::{
    sync::{Arc, LazyLock, Mutex},
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
    errors::{Failure, Severity},
    idle::IdleTimer,
    ladder::Ladder,
    latency::Latency,
    loader::{EngineLoader, Loader, Request},
    lock, metas, navigation,
    profiles::{Content, Profiles},
    properties::Properties,
    property_table,
    stats::{Interval, Stats},
    stream::{Negotiated, Stream, is_empty_gap},
};
use crate::{engine::Interrupt, model::ModelInfo, upscaler::FrameReport};

pub(super) static CATEGORY: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("upscale", gst::DebugColorFlags::empty(), Some("Video upscaler"))
});

/// `stream` is locked before `state` or `properties`, which are never locked together. Only
/// `stream` stays locked while a frame is processed, a message is posted, or a pad is used.
pub struct Upscale {
    /// What the streaming thread works with.
    pub(super) stream: Mutex<Stream>,
    /// What other threads read too.
    pub(super) state: Mutex<State>,
    pub(super) properties: Mutex<Properties>,
    /// What decides on `properties`; locked alone.
    profiles: Mutex<Profiles>,
    pub(super) loader: Loader,
    /// Loads the lighter model.
    pub(super) lighter: Loader,
    /// Cancels the work of the streaming thread at the next flush or at the end.
    interrupt: Mutex<Interrupt>,
    pub(super) idle: IdleTimer,
}

impl Default for Upscale {
    fn default() -> Self {
        Self {
            stream: Mutex::default(),
            state: Mutex::default(),
            properties: Mutex::default(),
            profiles: Mutex::default(),
            loader: Loader::default(),
            lighter: Loader::optional(),
            interrupt: Mutex::default(),
            idle: IdleTimer::default(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether the element is between `start` and `stop`.
    started: bool,
    /// Whether the last latency query was answered by a live source.
    pub live: bool,
    /// The latency of the elements upstream, as of the last latency query.
    pub upstream_latency: gst::ClockTime,
    /// Whether a sink reported a late frame since the start or the last flush in PAUSED.
    pub throttled: bool,
    /// Whether the pointer drags the line of a split picture.
    pub is_dragging: bool,
    /// When `upscale-overload` messages are posted.
    pub overload: Interval,
    pub ladder: Ladder,
    /// Whether nothing is left to do to load the lighter model, of this name and for this model.
    pub lighter_requested: bool,
    /// The report of the last output that was painted.
    pub report: FrameReport,
    /// The model whose factor decides the output size.
    pub model: Option<ModelInfo>,
    pub negotiated: Option<Negotiated>,
    /// Whether the last caps were refused. Upstream retries with each buffer, and one message
    /// is enough.
    caps_refused: bool,
    offered_metas: Vec<OfferedMeta>,
    pub latency: Latency,
    pub stats: Stats,
}

#[glib::object_subclass]
impl ObjectSubclass for Upscale {
    const NAME: &'static str = "GstUpscale";
    type Type = super::Upscale;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for Upscale {
    fn constructed(&self) {
        self.parent_constructed();
        // BaseTransform then drops late frames before they are submitted.
        self.obj().set_qos(true);
        // A frame with the GAP flag is enlarged like any other.
        self.obj().set_gap_aware(true);
    }

    fn properties() -> &'static [glib::ParamSpec] {
        property_table::specs()
    }

    fn property(&self, _id: usize, spec: &glib::ParamSpec) -> glib::Value {
        let value = lock(&self.properties).get(spec.name());
        value.unwrap_or_else(|| lock(&self.state).stats.structure().to_value())
    }

    fn set_property(&self, _id: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        lock(&self.profiles).set(spec.name(), value);
        self.change_properties(|properties| properties.set(spec.name(), value));
        let started = lock(&self.state).started;
        if started && spec.name() == "profiles" {
            let read = lock(&self.profiles).read();
            match read {
                Ok(()) => self.use_properties(lock(&self.profiles).properties()),
                Err(error) => {
                    Failure::from(error).post(self.obj().upcast_ref(), Severity::Warning);
                }
            }
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
                "Enlarges video with a super-resolution neural network",
                "The gst-upscale developers",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(caps::pad_templates);
        &TEMPLATES
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::PausedToReady {
            // The pads cannot be deactivated while the streaming thread waits for the model.
            self.interrupt();
        }
        self.parent_change_state(transition)
    }
}

impl BaseTransformImpl for Upscale {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let own = {
            let mut profiles = lock(&self.profiles);
            profiles.read().map_err(|error| Failure::from(error).message())?;
            profiles.start()
        };
        *lock(&self.properties) = own;
        let properties = lock(&self.properties).clone();
        let model = self.loader.open(&properties.model, &properties.open_options());
        let model = model.map_err(|error| Failure::from(error).message())?;
        {
            let mut state = lock(&self.state);
            state.model = Some(model.info.clone());
            state.stats = Stats::default();
            state.latency = Latency::default();
        }
        self.end_interrupt();
        self.load(Request::Opened(model), &properties);
        lock(&self.state).started = true;
        // `set_property` loads nothing before that.
        let current = lock(&self.properties).clone();
        self.load_if_changed(&properties, &current);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.state).started = false;
        self.idle.close();
        self.loader.cancel();
        self.lighter.cancel();
        *lock(&self.stream) = Stream::default();
        let mut state = lock(&self.state);
        // Applications read the statistics after the end.
        *state = State { stats: std::mem::take(&mut state.stats), ..State::default() };
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
        caps::fixate(direction, caps, othercaps, self.scale()).unwrap_or_else(|size| {
            self.drain_before_event();
            self.refuse_caps(&Failure::TooLarge(size));
            // Empty caps end the negotiation.
            gst::Caps::new_empty()
        })
    }

    fn set_caps(&self, incaps: &gst::Caps, outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        // The frames in flight have the previous caps. An error is returned for the next frame.
        self.drain_before_event();
        let negotiated = Negotiated::new(incaps, outcaps).map_err(|error| {
            let failure = Failure::Frames(error);
            self.refuse_caps(&failure);
            gst::loggable_error!(CATEGORY, "{failure}")
        })?;
        gst::debug!(CATEGORY, imp = self, "from {incaps} to {outcaps}");
        lock(&self.stream).caps_changed();
        {
            let mut state = lock(&self.state);
            state.caps_refused = false;
            state.negotiated = Some(negotiated);
            state.latency.restart();
        }
        self.query_live();
        self.update_passthrough();
        if lock(&self.state).live && self.longest().is_some() {
            self.post_latency();
        }
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
            self.set_live(live, min);
            let own = if live { self.latency() } else { gst::ClockTime::ZERO };
            query.set(live, min + own, max.map(|max| max + own));
        }
        answered
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        self.idle.clear();
        if event.is_serialized() && event.type_() != gst::EventType::FlushStop {
            self.drain_before_event();
        }
        match event.view() {
            EventView::FlushStart(_) => self.interrupt(),
            EventView::FlushStop(_) => {
                self.end_interrupt();
                lock(&self.stream).restart();
                // While it plays, frames after a seek must be on time at once.
                if self.obj().current_state() != gst::State::Playing {
                    lock(&self.state).throttled = false;
                }
            }
            EventView::StreamStart(_) => {
                lock(&self.stream).reset_reuse();
                // Those of the next stream follow.
                self.choose_profile(Content::clear_tags);
            }
            EventView::Segment(_) => lock(&self.stream).reset_reuse(),
            EventView::Tag(event) => self.choose_profile(|content| content.add_tags(event.tag())),
            EventView::Caps(event) if caps::is_interlaced(event.caps()) => {
                self.refuse_caps(&Failure::Interlaced);
                return false;
            }
            EventView::Caps(event) => self.choose_profile(|content| content.set_caps(event.caps())),
            _ => {}
        }
        self.parent_sink_event(event)
    }

    fn src_event(&self, mut event: gst::Event) -> bool {
        if let gst::EventView::Qos(qos) = event.view()
            && self.obj().property::<bool>("qos")
            && !self.late_frame(qos.get().2)
        {
            return self.obj().sink_pad().push_event(event);
        }
        if event.type_() == gst::EventType::Navigation {
            let negotiated = lock(&self.state).negotiated.clone();
            if let Some(Negotiated { input, output, .. }) = negotiated {
                if let Some(split) = event.structure().and_then(|it| {
                    let mut state = lock(&self.state);
                    navigation::split(it, output.width(), &mut state.is_dragging)
                }) && lock(&self.properties).split > 0.0
                {
                    self.obj().set_property("split", split);
                }
                let horizontal = f64::from(input.width()) / f64::from(output.width().max(1));
                let vertical = f64::from(input.height()) / f64::from(output.height().max(1));
                navigation::scale(event.make_mut().structure_mut(), horizontal, vertical);
            }
        }
        self.parent_src_event(event)
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        // In passthrough mode there is no query of our own, and downstream has answered.
        if decide_query.is_some() {
            let kept = self.depth() as u32;
            allocation::propose(query, &lock(&self.state).offered_metas, kept);
        }
        Ok(())
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        lock(&self.state).offered_metas = allocation::offered_metas(query);
        allocation::decide(query).map_err(|error| gst::loggable_error!(CATEGORY, "{error}"))?;
        self.parent_decide_allocation(query)
    }

    fn transform_meta<'a>(
        &self,
        outbuf: &mut gst::BufferRef,
        meta: gst::MetaRef<'a, gst::Meta>,
        inbuf: &'a gst::BufferRef,
    ) -> bool {
        let negotiated = lock(&self.state).negotiated.clone();
        let Some(Negotiated { input, output, .. }) = negotiated else { return false };
        match metas::transform(&meta, outbuf, &input, &output) {
            metas::Outcome::Copy => true,
            metas::Outcome::Done => false,
            metas::Outcome::Unknown => self.parent_transform_meta(outbuf, meta, inbuf),
        }
    }

    fn submit_input_buffer(
        &self,
        is_discont: bool,
        inbuf: gst::Buffer,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        self.idle.clear();
        lock(&self.state).stats.frames_in += 1;
        self.sync_controlled(&inbuf);
        if let Some(error) = lock(&self.stream).take_error() {
            return Err(error);
        }
        if inbuf.flags().contains(gst::BufferFlags::DISCONT) {
            // BaseTransform sets the flag on the next output buffer, which must be this frame.
            self.drain()?;
        }
        if let Some(loaded) = self.loader.poll() {
            let drained = self.drain();
            // The loader gives a model only once: use it even if draining failed.
            self.switch_model(&mut lock(&self.stream), loaded);
            drained?;
        }
        if let Some(lighter) = self.lighter.poll() {
            self.set_lighter(&mut lock(&self.stream), lighter);
        }
        if self.update_passthrough() {
            // Passthrough needs another allocation.
            self.obj().reconfigure_src();
        }
        if !self.obj().is_passthrough() && !is_empty_gap(&inbuf) {
            // The model's factor may decide the size that is negotiated next.
            self.ensure_model(&mut lock(&self.stream))?;
        }
        let submitted = self.parent_submit_input_buffer(is_discont, inbuf)?;
        if submitted == gst_base::BASE_TRANSFORM_FLOW_DROPPED {
            // BaseTransform sets DISCONT on the next output buffer, which must be the next frame.
            self.drain()?;
        }
        Ok(submitted)
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        let started = Instant::now();
        let inbuf = self.take_queued_buffer();
        if let Some(inbuf) = &inbuf {
            if self.obj().is_passthrough() {
                lock(&self.state).stats.frames_out += 1;
                return Ok(GenerateOutputSuccess::Buffer(inbuf.clone()));
            }
            self.submit(inbuf)?;
        }
        if !self.is_due() {
            self.output_when_idle();
            return Ok(GenerateOutputSuccess::NoOutput);
        }
        let Some(outbuf) = self.next_output()? else { return Ok(GenerateOutputSuccess::NoOutput) };
        if inbuf.is_some() {
            self.record_frame_time(started.elapsed());
        }
        Ok(GenerateOutputSuccess::Buffer(outbuf))
    }
}

impl Upscale {
    /// Makes the streaming thread return, whatever it waits for.
    fn interrupt(&self) {
        let interrupt = lock(&self.interrupt).clone();
        interrupt.raise();
    }

    /// Lets the streaming thread work again.
    fn end_interrupt(&self) {
        *lock(&self.interrupt) = Interrupt::default();
    }

    /// Does `work` of the streaming thread, which ends early at a flush and at the end.
    pub(super) fn interruptible<T>(&self, work: impl FnOnce() -> T) -> T {
        let interrupt = lock(&self.interrupt).clone();
        interrupt.enter(work)
    }

    pub(super) fn set_engine_loader(&self, engine_loader: Arc<dyn EngineLoader>) {
        self.loader.set_engine_loader(engine_loader);
    }

    pub(super) fn load(&self, request: Request, properties: &Properties) {
        self.loader.begin(self.obj().upcast_ref(), request, properties.engine_options());
    }

    /// Changes properties, and loads a model, renegotiates or reports the latency if necessary.
    fn change_properties(&self, change: impl FnOnce(&mut Properties)) {
        let (before, after) = {
            let mut properties = lock(&self.properties);
            let before = properties.clone();
            change(&mut properties);
            (before, properties.clone())
        };
        let started = lock(&self.state).started;
        if !started {
            return;
        }
        self.load_if_changed(&before, &after);
        if before.scale != after.scale {
            self.obj().reconfigure_src();
        }
        let changes_latency = before.pipeline_depth != after.pipeline_depth
            || before.max_latency != after.max_latency
            || before.overload != after.overload;
        if changes_latency {
            self.post_latency();
        }
    }

    fn use_properties(&self, new: Properties) {
        self.change_properties(|properties| *properties = new);
    }

    /// Uses the profile that fits the stream after `change` has updated its content.
    fn choose_profile(&self, change: impl FnOnce(&mut Content)) {
        let chosen = lock(&self.profiles).choose(change);
        if let Some(properties) = chosen {
            gst::info!(CATEGORY, imp = self, "another profile: {properties:?}");
            self.use_properties(properties);
        }
    }

    /// Loads the model that `after` names, unless `before` names the same.
    fn load_if_changed(&self, before: &Properties, after: &Properties) {
        let open_options = after.open_options();
        if before.model != after.model || before.open_options() != open_options {
            gst::info!(CATEGORY, imp = self, "loading model {}, {open_options:?}", after.model);
            self.load(Request::Named(after.model.clone(), open_options), after);
        }
    }

    fn refuse_caps(&self, failure: &Failure) {
        let refused_before = std::mem::replace(&mut lock(&self.state).caps_refused, true);
        if !refused_before {
            failure.post(self.obj().upcast_ref(), Severity::Error);
        }
    }

    /// Output size divided by input size, if the downstream caps leave a choice.
    fn scale(&self) -> f64 {
        let scale = lock(&self.properties).scale;
        if scale > 0.0 {
            return scale;
        }
        lock(&self.state).model.as_ref().map_or(1.0, |model| f64::from(model.factor))
    }

    /// Switches passthrough mode on or off as properties and sizes require, and returns whether
    /// it changed.
    fn update_passthrough(&self) -> bool {
        let unchanged = {
            let properties = lock(&self.properties);
            properties.bypass || properties.blend <= 0.0 && properties.grain <= 0.0
        };
        let same_size = lock(&self.state).negotiated.as_ref().is_some_and(Negotiated::is_same_size);
        let passthrough = unchanged && same_size;
        if passthrough == self.obj().is_passthrough() {
            return false;
        }
        self.drain_before_event();
        self.obj().set_passthrough(passthrough);
        lock(&self.stream).reset_reuse();
        true
    }
}

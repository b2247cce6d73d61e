//! Which model the stream uses: waiting for the first one, changing to another one or to the lighter
//! one, and leaving the GPU.

use std::time::Duration;

use gst::{prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use super::{
    errors::Failure,
    imp::{CATEGORY, Upscale},
    ladder::{self, Ladder, Step},
    loader::{LoadedModel, NoModel, Request},
    lock, overload,
    properties::Startup,
    stream::{Negotiated, Stream},
};
use crate::{
    engine::Backend,
    upscaler::{self, MemoryUse},
};

impl Upscale {
    /// Uses `loaded` for all following frames.
    pub(super) fn switch_model(&self, stream: &mut Stream, loaded: LoadedModel) {
        let LoadedModel { model, engine } = loaded;
        gst::info!(CATEGORY, imp = self, "switching to {}: {:?}", model.name, model.info);
        for fallback in &engine.fallbacks {
            gst::info!(CATEGORY, imp = self, "not in use: {fallback}");
        }
        if let Some(note) = &engine.note {
            let code = gst::LibraryError::Settings;
            gst::element_imp_warning!(self, code, ("{note}."), ["{:?}", engine.fallbacks]);
        }
        let factor = model.info.factor;
        if lock(&self.properties).lighter_model == model.name {
            stream.drop_spare();
        }
        self.step_up(stream);
        let previous = {
            let mut state = lock(&self.state);
            state.lighter_requested = stream.has_spare();
            state.stats.set_model(model.name, &engine);
            state.latency.restart();
            state.model.replace(model.info)
        };
        stream.set_engine(engine.infer, engine.traits);
        // The factor decides the output size if nothing else does.
        if previous.is_none_or(|previous| previous.factor != factor) {
            self.obj().reconfigure_src();
        }
    }

    /// Uses the model that the application asked for, if the lighter one is in use.
    fn step_up(&self, stream: &mut Stream) {
        let mut state = lock(&self.state);
        if state.ladder.is_down() {
            stream.swap();
            state.stats.swap_models();
        }
        state.ladder = Ladder::default();
    }

    /// Loads the lighter model, once and unless it is in use.
    fn load_lighter(&self) {
        if std::mem::replace(&mut lock(&self.state).lighter_requested, true) {
            return;
        }
        let properties = lock(&self.properties).clone();
        let lighter = &properties.lighter_model;
        if lighter.is_empty() || lock(&self.state).stats.model_name() == Some(lighter) {
            return;
        }
        let request = Request::Named(lighter.clone(), Default::default());
        self.lighter.set_engine_loader(self.loader.engine_loader());
        self.lighter.begin(self.obj().upcast_ref(), request, properties.engine_options());
    }

    /// Keeps the lighter model ready.
    pub(super) fn set_lighter(&self, stream: &mut Stream, loaded: LoadedModel) {
        let LoadedModel { model, engine } = loaded;
        if lock(&self.state).stats.model_name() == Some(&model.name) {
            return;
        }
        gst::info!(CATEGORY, imp = self, "ready to change to {}", model.name);
        lock(&self.state).stats.set_spare(model.name, &engine);
        stream.set_spare(engine.infer, engine.traits);
    }

    /// Changes to the lighter model, or back, as the last outputs require. Loads the lighter model before
    /// it is needed, because loading is slow while other processes use the CPU.
    pub(super) fn step(&self, stream: &mut Stream, inbuf: &gst::Buffer) {
        let Some(available) = self.longest() else { return };
        if !stream.has_spare() {
            let whole = lock(&self.state).report.whole_frame;
            if whole.is_some_and(|whole| Self::SLOWER * whole > available.into()) {
                self.load_lighter();
            }
            return;
        }
        let Some(now) = self.running_time(inbuf) else { return };
        let trial = stream.trial();
        if let Some(trial) = trial {
            gst::debug!(CATEGORY, imp = self, "trial of the heavier model: {trial:?}");
        }
        let step = {
            let mut state = lock(&self.state);
            let report = state.report;
            let Some(whole) = report.whole_frame else { return };
            let share = |pixels: u64| pixels as f64 / report.frame_pixels.max(1) as f64;
            let resampled = share(report.resampled_pixels);
            let changing = (resampled + share(report.fresh_pixels)).min(1.0);
            state.ladder.add(ladder::Frame {
                now,
                resampled,
                missed: report.missed,
                changing,
                whole,
                available: available.into(),
                trial,
            })
        };
        match step {
            None => {}
            Some(Step::Try) => self.begin_trial(stream, inbuf),
            Some(Step::EndTrial) => stream.end_trial(),
            Some(Step::Down) => self.swap_models(stream, overload::Change::Down, available.into()),
            Some(Step::Up) => self.swap_models(stream, overload::Change::Up, available.into()),
        }
    }

    /// A load of the machine can make the model slower by this factor.
    const SLOWER: u32 = 8;

    /// Exchanges the model in use and the lighter one.
    fn swap_models(&self, stream: &mut Stream, change: overload::Change, available: Duration) {
        let message = {
            let mut state = lock(&self.state);
            let whole = std::mem::take(&mut state.report).whole_frame.unwrap_or_default();
            let from = state.stats.model_name().unwrap_or_default().to_owned();
            stream.swap();
            state.stats.swap_models();
            let to = state.stats.model_name().unwrap_or_default();
            overload::step_message(change, &from, to, whole, available)
        };
        self.post(message);
    }

    /// Begins a trial of the heavier model.
    fn begin_trial(&self, stream: &mut Stream, inbuf: &gst::Buffer) {
        let Some(negotiated) = lock(&self.state).negotiated.clone() else { return };
        let settings = || lock(&self.properties).upscaler_settings();
        let begun = self.interruptible(|| stream.begin_trial(&negotiated, settings, inbuf));
        if let Err(failure) = begun {
            gst::warning!(CATEGORY, imp = self, "cannot change back to the model: {failure}");
            stream.drop_spare();
        }
    }

    /// Whether the CPU may continue after this failure of the GPU.
    pub(super) fn can_leave_gpu(&self, failure: &Failure) -> bool {
        lock(&self.properties).engine_options().backend == Backend::Auto
            && match failure {
                Failure::Upscaler(upscaler::Error::OutOfMemory(out)) => {
                    out.purpose == MemoryUse::Gpu
                }
                Failure::Upscaler(upscaler::Error::NoFidelity) => true,
                _ => false,
            }
    }

    /// Switches to the CPU, which also processes the frames in flight.
    pub(super) fn leave_gpu(
        &self,
        stream: &mut Stream,
        negotiated: &Negotiated,
        reason: &Failure,
    ) -> Result<(), gst::FlowError> {
        gst::element_imp_warning!(
            self,
            gst::ResourceError::NoSpaceLeft,
            ("{reason}; continuing on the CPU, which is slower.")
        );
        let left = lock(&self.state).stats.fallback(reason.to_string());
        stream.drop_engine();
        let properties = lock(&self.properties).clone();
        let request = Request::OnCpu(properties.model.clone(), properties.open_options());
        self.load(request, &properties);
        let mut loaded = self.loader.wait().map_err(|no_model| match no_model {
            NoModel::Interrupted => gst::FlowError::Flushing,
            NoModel::Failed => self.fail(stream, reason),
        })?;
        loaded.engine.fallbacks.extend(left);
        self.switch_model(stream, loaded);
        let settings = || lock(&self.properties).upscaler_settings();
        stream.submit_again(negotiated, settings).map_err(|failure| self.fail(stream, &failure))
    }

    /// Waits until the stream has a model or a placeholder for it.
    ///
    /// # Errors
    /// Returns what to answer upstream if there is no model. The reason is already on the bus.
    pub(super) fn ensure_model(&self, stream: &mut Stream) -> Result<(), gst::FlowError> {
        if stream.has_model() {
            return Ok(());
        }
        let waited = self.interruptible(|| self.wait_for_model(stream));
        waited.map_err(|no_model| match no_model {
            NoModel::Interrupted => gst::FlowError::Flushing,
            NoModel::Failed => gst::FlowError::Error,
        })
    }

    fn wait_for_model(&self, stream: &mut Stream) -> Result<(), NoModel> {
        let startup = lock(&self.properties).startup;
        let (model, live) = {
            let state = lock(&self.state);
            (state.model.clone(), state.live)
        };
        let startup = match startup {
            Startup::Auto if live => Startup::Resample,
            startup => startup,
        };
        match (startup, model) {
            (Startup::Resample, Some(model)) => {
                self.loader.check()?;
                stream.set_placeholder(model);
            }
            _ => {
                let loaded = self.loader.wait()?;
                self.switch_model(stream, loaded);
            }
        }
        Ok(())
    }
}

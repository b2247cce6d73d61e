//! Loads models on a worker thread, posts progress messages on the bus, and hands the loaded
//! engines to the streaming thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use glib::WeakRef;
use gst::prelude::*;

use super::{
    errors::{Failure, Severity},
    lock,
};
use crate::{
    backend::{self, Loaded},
    engine::{self, EngineOptions, Interrupt, Monitor, background, low_priority},
    model::{self, Model, OpenOptions},
    upscaler,
};

/// The `code` of this element's `progress` messages.
const PROGRESS_CODE: &str = "load-model";

/// How long a load waits for the end of the cancelled one before it: both need memory. Some steps
/// cannot be cancelled.
const MAX_CANCEL_TIME: Duration = Duration::from_secs(2);

/// Opens models and loads engines for them.
pub trait EngineLoader: Send + Sync {
    /// Opens the model with this name or path; see [`Model::open_with`].
    ///
    /// # Errors
    /// Returns the error of [`Model::open_with`].
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error>;

    /// Loads an engine that runs `model`; see [`backend::load`].
    ///
    /// # Errors
    /// Returns the error of [`backend::load`].
    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error>;

    /// Loads an engine that runs `model` on the CPU, after a GPU ran out of memory; see
    /// [`backend::load_on_cpu`].
    ///
    /// # Errors
    /// Returns the error of [`backend::load_on_cpu`].
    fn load_on_cpu(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        let options = EngineOptions { backend: engine::Backend::Cpu, ..options.clone() };
        self.load(model, &options, monitor)
    }
}

/// Opens model files and loads engines of the available backends.
struct BackendLoader;

impl EngineLoader for BackendLoader {
    fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        backend::open(name, options)
    }

    fn load(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        backend::load(model, options, monitor)
    }

    fn load_on_cpu(
        &self,
        model: &Model,
        options: &EngineOptions,
        monitor: &dyn Monitor,
    ) -> Result<Loaded, engine::Error> {
        backend::load_on_cpu(model, options, monitor)
    }
}

/// What to load.
pub(super) enum Request {
    /// A model that is already open.
    Opened(Model),
    /// A model by its name.
    Named(String, OpenOptions),
    /// A model by its name, on the CPU.
    OnCpu(String, OpenOptions),
}

/// A model and the engine that runs it.
pub(super) struct LoadedModel {
    pub model: Model,
    pub engine: Loaded,
}

/// Why there is no model to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoModel {
    /// A flush or a state change ended the wait.
    Interrupted,
    /// Loading failed, and an error message has been posted.
    Failed,
}

/// What has been loaded since the last [`Loader::cancel`].
enum Latest {
    /// Nothing yet. `first` is the model that was opened at the start: it is loaded if a later
    /// request fails.
    Nothing { first: Option<Model> },
    /// A model that the streaming thread has not taken yet.
    Ready(Box<LoadedModel>),
    /// The streaming thread has taken the last model.
    Taken,
}

struct State {
    latest: Latest,
    /// Cancels the request that a worker is loading. All earlier ones are cancelled.
    loading: Option<Interrupt>,
}

impl Default for State {
    fn default() -> Self {
        Self { latest: Latest::Nothing { first: None }, loading: None }
    }
}

impl State {
    /// Cancels the request that a worker is loading. Afterwards the worker does not change the
    /// state.
    fn cancel(&mut self) {
        if let Some(loading) = self.loading.take() {
            loading.raise();
        }
    }

    /// Takes the model that is ready.
    fn take_ready(&mut self) -> Option<LoadedModel> {
        match std::mem::replace(&mut self.latest, Latest::Taken) {
            Latest::Ready(loaded) => Some(*loaded),
            other => {
                self.latest = other;
                None
            }
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// One element's loader. A worker that cannot be cancelled is left to end by itself; it owns
/// nothing of the element.
pub(super) struct Loader {
    engine_loader: Mutex<Arc<dyn EngineLoader>>,
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
    /// Whether the stream needs the model. If not, a failure is never more than a warning.
    is_needed: bool,
}

impl Default for Loader {
    fn default() -> Self {
        Self {
            engine_loader: Mutex::new(Arc::new(BackendLoader)),
            shared: Arc::default(),
            worker: Mutex::default(),
            is_needed: true,
        }
    }
}

impl Loader {
    /// A loader of models that the stream can do without.
    pub(crate) fn optional() -> Self {
        let mut loader = Self::default();
        loader.is_needed = false;
        loader
    }

    /// Uses `engine_loader` for all later requests.
    pub(crate) fn set_engine_loader(&self, engine_loader: Arc<dyn EngineLoader>) {
        *lock(&self.engine_loader) = engine_loader;
    }

    /// What opens models and loads engines.
    pub(crate) fn engine_loader(&self) -> Arc<dyn EngineLoader> {
        lock(&self.engine_loader).clone()
    }

    /// Opens a model without loading it.
    ///
    /// # Errors
    /// Returns the error of [`EngineLoader::open`].
    pub(crate) fn open(&self, name: &str, options: &OpenOptions) -> Result<Model, model::Error> {
        self.engine_loader().open(name, options)
    }

    /// Starts to load a model, and cancels the previous request.
    ///
    /// A failure is posted on the bus of `element`: as a warning if there is another model to
    /// continue with, otherwise as an error.
    pub(crate) fn begin(&self, element: &gst::Element, request: Request, options: EngineOptions) {
        let mut worker = lock(&self.worker);
        let interrupt = Interrupt::default();
        {
            let mut state = lock(&self.shared.state);
            state.cancel();
            state.loading = Some(interrupt.clone());
            if let Request::Opened(model) = &request {
                state.latest = Latest::Nothing { first: Some(model.clone()) };
            }
        }
        let task = Task {
            engine_loader: self.engine_loader(),
            shared: self.shared.clone(),
            element: element.downgrade(),
            interrupt,
            previous: worker.take(),
            is_needed: self.is_needed,
        };
        let started = thread::Builder::new()
            .name("upscale-load".into())
            .spawn(move || task.run(request, &options));
        match started {
            Ok(handle) => *worker = Some(handle),
            Err(error) => {
                lock(&self.shared.state).loading = None;
                self.shared.changed.notify_all();
                Failure::NoThread(error).post(element, Severity::Error);
            }
        }
    }

    /// Cancels the current request and drops the loaded model. Does not wait for a worker that
    /// cannot be cancelled.
    pub(crate) fn cancel(&self) {
        let old = {
            let mut state = lock(&self.shared.state);
            state.cancel();
            std::mem::take(&mut *state)
        };
        self.shared.changed.notify_all();
        // Dropping an engine can take long: not while the state is locked.
        drop(old);
        if let Some(worker) = lock(&self.worker).take() {
            background::end(worker);
        }
    }

    /// Takes a model that has been loaded since the last call.
    pub(crate) fn poll(&self) -> Option<LoadedModel> {
        lock(&self.shared.state).take_ready()
    }

    /// Checks that a model is ready or being loaded, without waiting for it.
    ///
    /// # Errors
    /// Returns [`NoModel`] if [`wait`](Self::wait) would.
    pub(crate) fn check(&self) -> Result<(), NoModel> {
        let state = lock(&self.shared.state);
        if Interrupt::current().is_raised() {
            Err(NoModel::Interrupted)
        } else if state.loading.is_some() || matches!(state.latest, Latest::Ready(_)) {
            Ok(())
        } else {
            Err(NoModel::Failed)
        }
    }

    /// Waits for a model and takes it. The current [`Interrupt`] ends the wait.
    ///
    /// # Errors
    /// Returns [`NoModel`] if the wait was interrupted or loading failed.
    pub(crate) fn wait(&self) -> Result<LoadedModel, NoModel> {
        let interrupt = Interrupt::current();
        let shared = self.shared.clone();
        let _wake = interrupt.on_raise(move || {
            // The waiting thread holds the lock until it waits.
            drop(lock(&shared.state));
            shared.changed.notify_all();
        });
        let mut state = lock(&self.shared.state);
        loop {
            if interrupt.is_raised() {
                return Err(NoModel::Interrupted);
            }
            if let Some(loaded) = state.take_ready() {
                return Ok(loaded);
            }
            if state.loading.is_none() {
                return Err(NoModel::Failed);
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// The work of one worker thread.
struct Task {
    engine_loader: Arc<dyn EngineLoader>,
    shared: Arc<Shared>,
    element: WeakRef<gst::Element>,
    interrupt: Interrupt,
    previous: Option<JoinHandle<()>>,
    is_needed: bool,
}

impl Task {
    fn run(mut self, mut request: Request, options: &EngineOptions) {
        if let Some(previous) = self.previous.take() {
            background::is_over(&previous, MAX_CANCEL_TIME);
            background::end(previous);
        }
        while !self.cancelled() {
            let (name, is_first) = match &request {
                Request::Opened(model) => (model.name.clone(), true),
                Request::Named(name, _) | Request::OnCpu(name, _) => (name.clone(), false),
            };
            self.post(gst::ProgressType::Start, &format!("Loading model {name}"));
            let load = || self.interrupt.enter(|| self.load(request, options));
            // Beside a stream, which shows frames meanwhile.
            let load = || if is_first { load() } else { low_priority::prefer(load) };
            let loaded = catch_unwind(AssertUnwindSafe(load)).unwrap_or(Err(Failure::Panicked));
            let next = match loaded {
                Ok(loaded) => {
                    self.deliver(&name, loaded);
                    None
                }
                Err(failure) => self.fail(&name, is_first, &failure),
            };
            match next {
                Some(first) => request = Request::Opened(first),
                None => break,
            }
        }
        // What this load and the drop of an earlier engine have freed.
        upscaler::give_back_memory();
    }

    fn load(&self, request: Request, options: &EngineOptions) -> Result<LoadedModel, Failure> {
        let loader = &self.engine_loader;
        let (model, engine) = match request {
            Request::Opened(model) => {
                let engine = loader.load(&model, options, self)?;
                (model, engine)
            }
            Request::Named(name, open_options) => {
                let model = low_priority::run(|| loader.open(&name, &open_options))?;
                let engine = loader.load(&model, options, self)?;
                (model, engine)
            }
            Request::OnCpu(name, open_options) => {
                let model = loader.open(&name, &open_options)?;
                let engine = loader.load_on_cpu(&model, options, self)?;
                (model, engine)
            }
        };
        Ok(LoadedModel { model, engine })
    }

    /// Hands over a model.
    fn deliver(&self, name: &str, loaded: LoadedModel) {
        let ready = Latest::Ready(Box::new(loaded));
        match self.conclude(|state| std::mem::replace(&mut state.latest, ready)) {
            Some(_previous) => {
                self.post(gst::ProgressType::Complete, &format!("Loaded model {name}"));
            }
            None => self.post_cancelled(name),
        }
    }

    /// Reports that a model cannot be loaded. Returns the model to load instead, if there is
    /// one.
    fn fail(&self, name: &str, is_first: bool, failure: &Failure) -> Option<Model> {
        if self.cancelled() {
            self.post_cancelled(name);
            return None;
        }
        let (severity, first) = match &lock(&self.shared.state).latest {
            Latest::Ready(_) | Latest::Taken => (Severity::Warning, None),
            Latest::Nothing { first: Some(first) } if !is_first => {
                (Severity::Warning, Some(first.clone()))
            }
            Latest::Nothing { .. } if !self.is_needed => (Severity::Warning, None),
            Latest::Nothing { .. } => (Severity::Error, None),
        };
        self.post(gst::ProgressType::Error, &format!("Could not load model {name}"));
        // The streaming thread must fail after this message, which says why.
        if let Some(element) = self.element.upgrade() {
            failure.post(&element, severity);
        }
        if first.is_none() {
            self.conclude(|_| ());
        }
        first
    }

    /// Ends the request with a change of the state and wakes the threads that wait. Does nothing
    /// and returns `None` if the request has been cancelled.
    fn conclude<T>(&self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        let mut state = lock(&self.shared.state);
        if self.cancelled() {
            return None;
        }
        state.loading = None;
        self.shared.changed.notify_all();
        Some(change(&mut state))
    }

    fn post(&self, kind: gst::ProgressType, text: &str) {
        if let Some(element) = self.element.upgrade() {
            let message =
                gst::message::Progress::builder(kind, PROGRESS_CODE, text).src(&element).build();
            // It fails if the element has no bus.
            let _ = element.post_message(message);
        }
    }

    fn post_cancelled(&self, name: &str) {
        self.post(gst::ProgressType::Canceled, &format!("Cancelled loading model {name}"));
    }
}

impl Monitor for Task {
    fn progress(&self, percent: u32, what: &str) {
        self.post(gst::ProgressType::Continue, &format!("{what} ({percent} %)"));
    }

    fn cancelled(&self) -> bool {
        self.interrupt.is_raised()
    }
}

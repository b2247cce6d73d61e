//! Loads models on a worker thread, posts progress messages on the bus, and hands the loaded
//! engines to the streaming thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use glib::WeakRef;
use gst::prelude::*;

use super::{
    errors::{Failure, Severity},
    lock,
};
use crate::{
    backend::{self, Loaded},
    engine::{self, EngineOptions, Monitor},
    model::{self, Model, OpenOptions},
};

/// The `code` of this element's `progress` messages.
const PROGRESS_CODE: &str = "load-model";

/// How long a state change waits for the end of a cancelled load.
const MAX_CANCEL_TIME: Duration = Duration::from_secs(5);

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
        Model::open_with(name, options)
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

/// The number of a request.
type RequestNumber = u64;

struct State {
    latest: Latest,
    /// The request that a worker is loading. All earlier ones are cancelled.
    loading: Option<RequestNumber>,
    /// The number of the last request.
    last_request: RequestNumber,
    /// Whether nobody may wait, because of a flush or a state change.
    interrupted: bool,
}

impl Default for State {
    fn default() -> Self {
        let latest = Latest::Nothing { first: None };
        Self { latest, loading: None, last_request: 0, interrupted: false }
    }
}

impl State {
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

/// One element's loader. At most one worker runs at a time, and none outlives the loader.
pub(super) struct Loader {
    engine_loader: Mutex<Arc<dyn EngineLoader>>,
    shared: Arc<Shared>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Default for Loader {
    fn default() -> Self {
        Self {
            engine_loader: Mutex::new(Arc::new(BackendLoader)),
            shared: Arc::default(),
            worker: Mutex::default(),
        }
    }
}

impl Loader {
    /// Uses `engine_loader` for all later requests.
    pub(crate) fn set_engine_loader(&self, engine_loader: Arc<dyn EngineLoader>) {
        *lock(&self.engine_loader) = engine_loader;
    }

    fn engine_loader(&self) -> Arc<dyn EngineLoader> {
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
        let number = {
            let mut state = lock(&self.shared.state);
            state.last_request += 1;
            state.loading = Some(state.last_request);
            if let Request::Opened(model) = &request {
                state.latest = Latest::Nothing { first: Some(model.clone()) };
            }
            state.last_request
        };
        let task = Task {
            engine_loader: self.engine_loader(),
            shared: self.shared.clone(),
            element: element.downgrade(),
            number,
            previous: worker.take(),
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

    /// Cancels the current request and drops the loaded model. Does not wait for the worker.
    pub(crate) fn cancel(&self) {
        let old = {
            let mut state = lock(&self.shared.state);
            let initial = State { last_request: state.last_request, ..State::default() };
            std::mem::replace(&mut *state, initial)
        };
        self.shared.changed.notify_all();
        // Dropping an engine can take long: not while the state is locked.
        drop(old);
    }

    /// Waits until a cancelled worker has ended, because ONNX Runtime must not run when the
    /// process exits. Gives up after a few seconds, as some steps cannot be cancelled.
    pub(crate) fn settle(&self) {
        let Some(worker) = lock(&self.worker).take() else { return };
        // The worker itself may stop the element, from a bus handler.
        let is_own = worker.thread().id() == thread::current().id();
        let started = Instant::now();
        while !is_own && !worker.is_finished() && started.elapsed() < MAX_CANCEL_TIME {
            thread::sleep(Duration::from_millis(1));
        }
        if worker.is_finished() {
            let _ = worker.join();
        } else {
            lock(&self.worker).get_or_insert(worker);
        }
    }

    /// While `interrupted` is set, [`wait`](Self::wait) returns at once.
    pub(crate) fn set_interrupted(&self, interrupted: bool) {
        lock(&self.shared.state).interrupted = interrupted;
        self.shared.changed.notify_all();
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
        if state.interrupted {
            Err(NoModel::Interrupted)
        } else if state.loading.is_some() || matches!(state.latest, Latest::Ready(_)) {
            Ok(())
        } else {
            Err(NoModel::Failed)
        }
    }

    /// Waits for a model and takes it.
    ///
    /// # Errors
    /// Returns [`NoModel`] if the wait was interrupted or loading failed.
    pub(crate) fn wait(&self) -> Result<LoadedModel, NoModel> {
        let mut state = lock(&self.shared.state);
        loop {
            if state.interrupted {
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
        // ONNX Runtime must not run when the process exits. The worker itself may drop the last
        // reference to the element, and cannot wait for itself.
        if let Some(worker) = lock(&self.worker).take()
            && worker.thread().id() != thread::current().id()
        {
            let _ = worker.join();
        }
    }
}

/// The work of one worker thread.
struct Task {
    engine_loader: Arc<dyn EngineLoader>,
    shared: Arc<Shared>,
    element: WeakRef<gst::Element>,
    number: RequestNumber,
    previous: Option<JoinHandle<()>>,
}

impl Task {
    fn run(mut self, mut request: Request, options: &EngineOptions) {
        // Two loads at the same time would need twice the memory.
        if let Some(previous) = self.previous.take() {
            let _ = previous.join();
        }
        while !self.cancelled() {
            let (name, is_first) = match &request {
                Request::Opened(model) => (model.name.clone(), true),
                Request::Named(name, _) | Request::OnCpu(name, _) => (name.clone(), false),
            };
            self.post(gst::ProgressType::Start, &format!("Loading model {name}"));
            let loaded = catch_unwind(AssertUnwindSafe(|| self.load(request, options)))
                .unwrap_or(Err(Failure::Panicked));
            let next = match loaded {
                Ok(loaded) => {
                    self.deliver(&name, loaded);
                    None
                }
                Err(failure) => self.fail(&name, is_first, &failure),
            };
            match next {
                Some(first) => request = Request::Opened(first),
                None => return,
            }
        }
    }

    fn load(&self, request: Request, options: &EngineOptions) -> Result<LoadedModel, Failure> {
        let loader = &self.engine_loader;
        let (model, engine) = match request {
            Request::Opened(model) => {
                let engine = loader.load(&model, options, self)?;
                (model, engine)
            }
            Request::Named(name, open_options) => {
                let model = loader.open(&name, &open_options)?;
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
        if state.loading != Some(self.number) {
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
        lock(&self.shared.state).loading != Some(self.number)
    }
}
